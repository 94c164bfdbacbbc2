"""A wall clock that is set, forward and back, by seconds and by years: with libfaketime where it is
installed (the package `faketime`), else by an offset inside the server's process."""

import asyncio
import tempfile
from pathlib import Path
from random import Random

from tools.attack.programs import shifted
from tools.attack.target import Target, target

JUMPS_S = (-86_400, -3_600, -90, -2, 2, 90, 3_600, 86_400, 86_400 * 300)
JUMPS = 4
LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")
EVENT = b'{"name": "clock/set"}'
SEND = b"POST /e/k HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n" % len(EVENT) + EVENT


async def attack(given: Target, chance: Random) -> str:
    """A server whose clock it is goes on, and says that the clock was set."""
    jumps = [chance.choice(JUMPS_S) for _ in range(JUMPS)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "offset"
        library = _library()
        await asyncio.to_thread(file.write_text, "+0" if library else "0")
        if library:
            # A monotonic clock cannot be set.
            more = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(file)}
            more |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            made = target(Path(folder), environment=more)
        else:
            made = target(Path(folder), program=(shifted.__name__, str(file)))
        async with made as one:
            offset = 0
            for jump in jumps:
                offset += jump
                await asyncio.to_thread(file.write_text, f"{offset:+d}")
                await asyncio.sleep(1.2)
                if b" 200 " not in (await one.ask(SEND)).partition(b"\r\n")[0]:
                    raise AssertionError(f"no event was accepted after jumps {jumps}")
            told = one.logged()
        if "the clock was set" not in told or "Traceback" in told:
            raise AssertionError(f"jumps {jumps}: {told[-2_000:]}")
    how = "libfaketime" if library else "an offset"
    return f"the clock was set by {', '.join(f'{jump:+d} s' for jump in jumps)} ({how})"


def _library() -> str:
    found = [path for place in LIBRARIES for path in Path("/").glob(place.lstrip("/"))]
    return str(found[0]) if found else ""
