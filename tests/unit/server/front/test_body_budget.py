"""All request bodies together are bounded: by an app that only reads, and on a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message, Receive, Scope, Send

from stepwell.server.config import ServerConfig
from stepwell.server.front.body_budget import SMALL_BYTES, BodyBudget
from stepwell.server.serving import Server

PIECE = 50_000


class Reader:
    """An app that reads the body, and answers how long it was when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                break
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        else:
            await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})


async def pieces(count: int, size: int = PIECE) -> AsyncIterator[Message]:
    for number in range(count):
        yield {"type": "http.request", "body": b"x" * size, "more_body": number < count - 1}


async def asked(budget: BodyBudget, count: int, header: tuple[bytes, bytes]) -> list[Message]:
    """What is answered to a request of so many pieces."""
    sent: list[Message] = []
    coming = pieces(count)

    async def receive() -> Message:
        await asyncio.sleep(0)
        return await anext(coming)

    async def send(message: Message) -> None:
        sent.append(message)

    await budget({"type": "http", "headers": [header]}, receive, send)
    return sent


CHUNKED = (b"transfer-encoding", b"chunked")


async def test_what_does_not_fit_is_refused_and_what_was_answered_counts_no_more() -> None:
    app = Reader()
    budget = BodyBudget(app, 10 * PIECE)
    first = asyncio.ensure_future(asked(budget, 6, CHUNKED))
    await asyncio.sleep(0.01)
    assert budget.held == 6 * PIECE
    refused = await asked(budget, 6, CHUNKED)
    assert [message.get("status") for message in refused] == [503, None]
    headers = dict(refused[0]["headers"])
    assert headers[b"retry-after"] == b"5" and headers[b"connection"] == b"close"
    assert app.left == 1 and budget.refused == 1
    assert budget.held == 6 * PIECE
    app.go.set()
    assert (await first)[1]["body"] == str(6 * PIECE).encode()
    assert budget.held == 0
    assert (await asked(budget, 10, CHUNKED))[1]["body"] == str(10 * PIECE).encode()


@pytest.mark.parametrize("size", [b"0", str(SMALL_BYTES).encode()])
async def test_small_bodies_are_not_counted(size: bytes) -> None:
    app = Reader()
    app.go.set()
    budget = BodyBudget(app, 0)
    assert (await asked(budget, 1, (b"content-length", size)))[0]["status"] == 200


async def test_a_server_refuses_and_goes_on() -> None:
    """Half a body that stays away holds what it takes; who has no key takes nothing."""
    config = ServerConfig(
        port=0, connect_gateway_port=0, body_memory_bytes=1_000_000, event_keys=("known",)
    )
    event = b'{"name": "a", "data": {"x": "' + b"y" * 600_000 + b'"}}'
    async with Server(config, grace_s=0.1) as made:
        strangers = [await _post(made, event, key="other") for _ in range(4)]
        assert [answer[:12] for answer in strangers] == [b"HTTP/1.1 401"] * 4
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(_head(len(event), "known") + event[:-1])
        while made._bodies.held < 500_000:
            await asyncio.sleep(0.01)
        assert (await _post(made, event)).startswith(b"HTTP/1.1 503")
        writer.write(event[-1:])
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        assert (await _post(made, event)).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
        assert made._bodies.held == 0


def _head(size: int, key: str) -> bytes:
    return f"POST /e/{key} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n".encode()


async def _post(made: Server, body: bytes, key: str = "known") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
    try:
        writer.write(_head(len(body), key) + body)
        return await reader.read(1_000)
    finally:
        writer.transport.abort()
