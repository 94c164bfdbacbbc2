"""Posts JSON over kept connections with as little of the driver's time as can be: what is measured
is the server, and the driver shares its cores. For servers that answer with a length."""

import asyncio
from collections import deque
from typing import cast
from urllib.parse import urlsplit

CONNECTIONS_MAX = 32


class Poster:
    """Connections to one server: as many as there are requests at once, up to a limit."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._idle: deque[_Connection] = deque()
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)

    async def post(self, path: str, body: bytes, *, typed: bool = True) -> bytes:
        """The body of the answer. Raises RuntimeError if it is not a success."""
        kind = "content-type: application/json\r\n" if typed else ""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n{kind}"
            f"content-length: {len(body)}\r\n\r\n"
        )
        async with self._room:
            connection = self._idle.pop() if self._idle else await self._opened()
            status, answer = await connection.ask(head.encode() + body)
            self._idle.append(connection)
        if status >= 300:
            raise RuntimeError(f"{path}: {status} {answer.decode(errors='replace')}")
        return answer

    async def _opened(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            self._idle.pop().close()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, rest = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(rest) >= length and self._answer is not None and not self._answer.done():
            self._read = b""
            self._answer.set_result((int(lines[0].split()[1]), rest[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
