"""The worker's WebSocket against one of the library: what arrives, in which order, and how full."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stepwell.sdk.connect.websocket import WebSocket

Handler = Callable[[ServerConnection], Awaitable[None]]


async def with_peer(peer: Handler, worker: Callable[[WebSocket], Awaitable[None]]) -> None:
    async with serve(peer, "127.0.0.1", 0, compression=None, close_timeout=0.1) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        async with connect(url, create_connection=WebSocket, compression=None) as socket:
            assert isinstance(socket, WebSocket)
            await worker(socket)


async def test_messages_come_whole_and_in_order_also_those_that_came_early() -> None:
    async def peer(socket: ServerConnection) -> None:
        await socket.send(b"first")
        await socket.send([b"in ", b"", b"three ", b"parts"])
        await socket.send(b"")
        await socket.recv()
        await socket.send("text")
        await socket.send(["te", "xt"])
        await socket.send(b"last")

    async def worker(socket: WebSocket) -> None:
        heard: list[bytes] = []
        await asyncio.sleep(0.05)
        socket.listen(heard.append)
        assert heard == [b"first", b"in three parts", b""]
        assert socket.send_now([b"go on"])
        assert [await socket.recv(), await socket.recv()] == ["text", "text"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert heard[3:] == [b"last"]
        assert not socket.send_now([b"too late"])

    await with_peer(peer, worker)


async def test_a_peer_that_does_not_read_is_not_written_to_without_end() -> None:
    reads = asyncio.Event()
    sizes: list[int] = []

    async def peer(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await reads.wait()
        socket.transport.resume_reading()
        async for message in socket:
            sizes.append(len(message))  # noqa: PERF401 - as they come

    async def worker(socket: WebSocket) -> None:
        written = 0
        while socket.send_now([b"x" * 100_000]):
            written += 1
            assert written < 1_000
        reads.set()
        async with socket.send_context():
            socket.protocol.send_binary(b"waited for")
        assert socket.send_now([b"again"])
        await socket.close()
        assert sizes == [100_000] * written + [10, 5]

    await with_peer(peer, worker)
