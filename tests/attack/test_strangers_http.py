"""What a stranger may do to the main port: nothing that lasts, and nothing the others notice."""

import asyncio
import contextlib

import pytest

from tools.attack.target import HEALTH, Target

pytestmark = pytest.mark.asyncio(loop_scope="package")

MB = 1 << 20


async def sent(writer: asyncio.StreamWriter, data: bytes, patience_s: float = 3.0) -> bool:
    """Write as much as the server takes. Whether it took everything."""
    try:
        async with asyncio.timeout(patience_s):
            for at in range(0, len(data), 1 << 16):
                writer.write(data[at : at + (1 << 16)])
                await writer.drain()
    except (TimeoutError, OSError):
        return False
    return True


async def test_pipelined_requests_nobody_reads_the_answers_of(dev: Target) -> None:
    """18 MB of them made the process grow by 890 MB."""
    before = dev.memory
    _, writer = await dev.connect()
    took_all = await sent(writer, HEALTH * (18 * MB // len(HEALTH)))
    grown = dev.memory - before
    writer.transport.abort()
    assert not took_all
    assert grown < 24 * MB
    assert await dev.is_well()


async def test_pipelined_requests_are_answered_in_order(dev: Target) -> None:
    reader, writer = await dev.connect()
    paths = [f"/nothing/{number}" for number in range(3_000)]
    asked = "".join(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" for path in paths)
    task = asyncio.ensure_future(sent(writer, asked.encode(), 30))
    told = b""
    while told.count(b"there is nothing at") < len(paths):
        chunk = await asyncio.wait_for(reader.read(1 << 16), 30)
        assert chunk
        told += chunk
    assert await task
    places = [told.index(f'at {path}"'.encode()) for path in paths]
    assert places == sorted(places)
    writer.transport.abort()


async def refused(dev: Target, head: bytes) -> bytes:
    """What the server says to a head that is too much."""
    reader, writer = await dev.connect()
    sending = asyncio.ensure_future(sent(writer, head))
    try:
        return await asyncio.wait_for(reader.read(1 << 16), 10)
    except ConnectionError:
        return b""  # it did not listen to the end
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        writer.transport.abort()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health HTTP/1.1\r\nx: " + b"y" * (70 * MB), b"431"),
        (b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 3_000_000, b"431"),
        (b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 101 + b"\r\n", b"431"),
        (b"GET /health?" + b"q" * 20_000 + b" HTTP/1.1\r\n", b"414"),
        (
            b"POST /v1/signals HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\ntrailer: " + b"t" * MB,
            b"431",
        ),
    ],
)
async def test_too_much_of_a_head(dev: Target, head: bytes, status: bytes) -> None:
    before = dev.memory
    dev.calm()
    told = await refused(dev, head)
    assert told.split(b" ")[1:2] in ([status], []), told[:200]
    if len(head) < MB:
        assert told
    assert dev.memory - before < 16 * MB
    assert await dev.is_well()


@pytest.mark.parametrize("size", [1, 60_000])
async def test_a_head_that_is_large_but_allowed(dev: Target, size: int) -> None:
    head = HEALTH[:-2] + b"x: " + b"y" * size + b"\r\n" + b"z: 1\r\n" * 97 + b"\r\n"
    assert (await dev.ask(head)).startswith(b"HTTP/1.1 200")
