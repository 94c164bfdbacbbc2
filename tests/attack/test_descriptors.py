"""No file descriptor is left: whoever connects is told so, and all goes on when there is one."""

import asyncio
from pathlib import Path

import pytest

from tools.attack.target import HEALTH, Target, target

pytestmark = pytest.mark.asyncio(loop_scope="package")

DESCRIPTORS = 256
READY = HEALTH.replace(b"/health", b"/ready")


@pytest.mark.parametrize("port", ["main", "gateway"])
async def test_who_connects_is_told_that_no_descriptor_is_left(tmp_path: Path, port: str) -> None:
    async with target(tmp_path, descriptors=DESCRIPTORS) as made:
        strangers: list[asyncio.StreamWriter] = []
        answer = b""
        asked = made.gateway_port if port == "gateway" else made.port
        for number in range(100):
            if number % 20 == 0:
                # They are cut off after a few seconds, and others take their place.
                strangers += await _exhausted(made)
            answer = await _asked(made, asked)
            if answer.startswith(b"HTTP/1.1 503"):
                break
            await asyncio.sleep(0.2)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"no file descriptor is left" in answer
        for writer in strangers:
            writer.transport.abort()
        await made.settles(descriptors=DESCRIPTORS // 2)
        assert (await _asked(made, asked)).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(10):
            while "no file descriptor is left" not in made.logged():
                await asyncio.sleep(0.05)
        assert "Traceback" not in made.logged()


async def _exhausted(made: Target) -> list[asyncio.StreamWriter]:
    """Workers that say nothing take what the main port leaves."""
    strangers: list[asyncio.StreamWriter] = []
    while made.descriptors < DESCRIPTORS and len(strangers) < 2 * DESCRIPTORS:
        _, writer = await made.connect(made.gateway_port)
        strangers.append(writer)
        if len(strangers) % 16 == 0:
            await asyncio.sleep(0.01)
    return strangers


async def _asked(made: Target, port: int) -> bytes:
    """What is answered; nothing where the connection is cut."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await made.connect(port)
            try:
                writer.write(HEALTH if port == made.port else READY)
                return await reader.read(1 << 16)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return b""
