"""Functions that end their process, whenever they are called: in an engine of one's own, which is
started again each time."""

import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random

from tools.attack.programs.poison import DONE, WAYS
from tools.attack.target import Target

STARTS_MAX = 8
START_S = 120.0


async def attack(target: Target, chance: Random) -> str:
    """The poison ends after its tries, and what is good is done."""
    way = chance.choice(sorted(WAYS))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, STARTS_MAX + 1):
            told = await _started(str(Path(folder) / "a.db"), way)
            if DONE in told:
                if "poison-good Completed" not in told or "poison-poison Failed" not in told:
                    raise AssertionError(f"{way}: {told}")
                return f"a function that ends its process ({way}) came to an end, start {number}"
    raise AssertionError(f"a function that ends its process ({way}) is begun again and again")


async def _started(database: str, way: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.attack.programs.poison", database, way),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(), START_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"the engine ({way}) did not end in {START_S:.0f} s") from None
    return told.decode()
