"""One connection with far more requests than it reads answers of."""

import asyncio
from random import Random

from tools.attack.target import HEALTH, Target

REQUESTS = 400_000
MEMORY = 24 << 20
KINDS = (HEALTH, HEALTH[:-2] + b"a: b\r\n\r\n", b"GET /" + b"x" * 500 + b" HTTP/1.1\r\n\r\n")


async def attack(target: Target, chance: Random) -> str:
    """The server stops reading, and grows by no more than a few reads."""
    before = target.memory
    _, writer = await target.connect()
    writer.transport.pause_reading()
    kind = chance.choice(KINDS)
    writer.write(kind * REQUESTS)
    await asyncio.sleep(2)
    unread = writer.transport.get_write_buffer_size()
    grown = target.memory - before
    writer.transport.abort()
    if grown > MEMORY:
        raise AssertionError(f"{REQUESTS} requests took {grown >> 20} MB")
    return f"{REQUESTS} requests on one connection, {unread >> 10} KB of them not taken"
