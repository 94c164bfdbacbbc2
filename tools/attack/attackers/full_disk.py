"""A disk of a few megabytes that is full, and then is not: a tmpfs, which only root may mount."""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from random import Random

from tools.attack.target import EVENT_KEY, SIGNING_KEY, Target, target

BYTES = 6 << 20
EVENT_BYTES = 40_000
ASKED_MAX = 400


async def attack(given: Target, chance: Random) -> str:
    """A server on it refuses what it cannot store, and has everything it accepted."""
    if os.name != "posix" or os.geteuid():
        return "SKIPPED: only root may mount a small disk"
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "disk"
        disk.mkdir()
        wanted = ("mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(disk))
        if await _ran(*wanted):
            return "SKIPPED: a small disk cannot be mounted here"
        try:
            return await _filled(Path(folder), disk, chance)
        finally:
            await _ran("umount", "-l", str(disk))


async def _ran(*command: str) -> int:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    return await process.wait()


async def _filled(folder: Path, disk: Path, chance: Random) -> str:
    ballast = disk / "ballast"
    await asyncio.to_thread(ballast.write_bytes, b"x" * chance.randrange(1 << 20, BYTES // 3))
    accepted: list[str] = []
    async with target(folder, keys=True, data=disk / "data") as made:
        refused = 0
        for _ in range(ASKED_MAX):
            told = await _sent(made, accepted)
            refused += not told
            if refused > 3:
                break
        if not refused:
            raise AssertionError(f"{len(accepted)} events fitted on a disk of {BYTES >> 20} MB")
        await asyncio.to_thread(ballast.unlink)
        for _ in range(100):
            if await _sent(made, accepted):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("nothing is accepted after space was made")
        if made.logged().count("no space is left") > 5:
            raise AssertionError("the log is told of a full disk again and again")
    # The log may have to be copied into the database first.
    await _ran("mount", "-o", f"remount,size={4 * BYTES}", str(disk))
    async with target(folder, keys=True, data=disk / "data") as made:
        lost = [event for event in accepted if not await _is_there(made, event)]
    if lost:
        raise AssertionError(f"{len(lost)} of {len(accepted)} accepted events are gone")
    return f"{len(accepted)} events accepted on a small disk, {refused} refused, none lost"


async def _sent(made: Target, accepted: list[str]) -> bool:
    body = json.dumps({"name": "disk/filled", "data": {"x": "y" * EVENT_BYTES}}).encode()
    head = f"POST /e/{EVENT_KEY} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n"
    head_told, _, told = (await made.ask(head.encode() + body)).partition(b"\r\n\r\n")
    if b" 200 " not in head_told.partition(b"\r\n")[0]:
        return False
    accepted += json.loads(told)["ids"]
    return True


async def _is_there(made: Target, event: str) -> bool:
    head = f"GET /v1/events/{event} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    answer = await made.ask(f"{head}authorization: Bearer {SIGNING_KEY}\r\n\r\n".encode())
    return b" 200 " in answer.partition(b"\r\n")[0]
