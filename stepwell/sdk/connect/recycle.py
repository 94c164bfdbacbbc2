"""When a long-lived worker has done enough and should be followed by a fresh process.

Processes of user code grow: by leaks, by fragments, by caches. After so many requests, or above so
many bytes, the worker closes gracefully; whoever runs it starts another. Source: feature D-62.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

LOOK_EVERY_S = 0.5
_STATM = Path("/proc/self/statm")

if sys.platform != "win32":
    import resource


def resident_bytes() -> int:
    """Memory this process holds now, or at most held where only that is known; 0 if neither is."""
    if sys.platform == "win32":
        return 0
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def watch(
    *,
    requests_max: int | None,
    bytes_max: int | None,
    finished: Callable[[], int],
    enough: Callable[[str], None],
) -> None:
    """Call `enough`, once and with the reason, when a limit is reached. Ends then."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if requests_max is not None and finished() >= requests_max:
            enough(f"{finished()} requests are done, at most {requests_max} were asked for")
            return
        held = resident_bytes()
        if bytes_max is not None and held > bytes_max:
            enough(f"{held} bytes of memory are held, at most {bytes_max} were asked for")
            return
