"""Many who say little, slowly, or nothing at all, and never read."""

import asyncio
from random import Random

from tools.attack.target import HEALTH, Target

CLIENTS = 150
SECONDS = 3.0
MEMORY = 32 << 20
UPGRADE = (
    b"GET /v0/connect HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
BEGINNINGS = (
    *(b"", b"G", b"\r\n", HEALTH[:-2], HEALTH * 200, b"GET / HTTP/1.1\r\nx: " + b"y" * 60_000),
    b"POST /e/k HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9000000\r\n\r\n[",
    UPGRADE,
)


async def attack(target: Target, chance: Random) -> str:
    """Others are served meanwhile, and what was held is given back."""
    memory, descriptors = target.memory, target.descriptors
    writers = []
    for _ in range(CLIENTS):
        port = chance.choice((target.port, target.port, target.gateway_port))
        _, writer = await target.connect(port)
        writer.transport.pause_reading()
        writer.write(chance.choice(BEGINNINGS))
        writers.append(writer)
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while loop.time() < end:
        if not await target.is_well():
            raise AssertionError("nobody else is served")
        for writer in writers:
            if not writer.transport.is_closing():
                writer.write(chance.choice((b"", b"a", b"\r\n", b"a: b\r\n")))
        await asyncio.sleep(0.2)
    grown = target.memory - memory
    for writer in writers:
        writer.transport.abort()
    held = await target.settles(descriptors=descriptors + 2)
    if grown > MEMORY:
        raise AssertionError(f"{CLIENTS} clients took {grown >> 20} MB")
    if held > descriptors + 2:
        raise AssertionError(f"{held - descriptors} descriptors are still held")
    return f"{CLIENTS} clients took {grown >> 10} KB for {SECONDS:g} s"
