"""The two kinds of WebSocket a worker can come in by, as one `FramePort`.

`LibrarySocket` is a connection of the gateway's own port, `AsgiSocket` one of the main port, behind
whatever serves the API. Nothing else here knows where a frame comes from.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol as SocketProtocol
from websockets.protocol import State

from stepwell.wire.connect_limit import (
    CLOSE_ABNORMAL,
    CLOSE_NO_STATUS,
    GATEWAY_READ_BYTES_MAX,
    STRANGER_READ_BYTES_MAX,
)

WELCOME = "stepwell.welcome"
"""The ASGI extension by which a socket of the main port is let say more."""


def set_bytes_max(protocol: SocketProtocol, bytes_max: int) -> None:
    """How large a message of the peer may be from now on; a larger one closes the socket."""
    # The library has called it by both names.
    name = "max_message_size" if hasattr(protocol, "max_message_size") else "max_size"
    setattr(protocol, name, bytes_max)


class SocketEnded(Exception):
    """The socket is over, with what the peer's close frame said if it sent one."""

    def __init__(self, code: int = CLOSE_ABNORMAL, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class FramePort(Protocol):
    """One WebSocket, whatever library it comes from."""

    @property
    def peer(self) -> str:
        """The worker's address, as `ip:port` or as a proxy told it."""
        ...

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hand binary messages over the moment they arrive, if this kind of socket can."""
        ...

    def welcome(self) -> None:
        """The peer is known: from now on its messages may be as large as a worker's."""
        ...

    async def receive(self) -> bytes | str:
        """The next message that was not handed over. Raises SocketEnded."""
        ...

    def send_now(self, frames: Sequence[bytes]) -> bool:
        """Write binary messages without waiting; False, and nothing written, if that cannot be."""
        ...

    async def send(self, frames: Sequence[bytes]) -> None:
        """Write binary messages, in order. Raises SocketEnded."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close with a close frame. Never raises."""
        ...

    def abort(self) -> None:
        """End the connection at once, without a word."""
        ...


_NONE_LEFT = Response(
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.SERVICE_UNAVAILABLE.phrase,
    Headers({"Connection": "close", "Content-Type": "text/plain; charset=utf-8"}),
    b"no file descriptor is left: try again later\n",
)


class JoinedConnection(ServerConnection):
    """A connection that hands everything there is to write to the system at once, and binary
    messages on as they arrive.

    The library writes frame by frame, and wakes a task per message; under load most of its time
    goes into these calls.
    """

    full = False
    """The peer does not read as fast as we write."""
    _hear: Callable[[bytes], None] | None = None
    _early: tuple[bytes, ...] = ()
    _parts: list[bytes] | None = None
    _pongs_wait = False
    took_the_last: Callable[[], bool] = staticmethod(lambda: False)
    """Whether it has the last file descriptor there is, and must give it back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A stranger says little."""
        set_bytes_max(self.protocol, STRANGER_READ_BYTES_MAX)
        super().connection_made(transport)
        if self.took_the_last():
            self.transport.write(_NONE_LEFT.serialize())
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it forms a circle: it goes with the last who knows it."""
        super().connection_lost(exc)
        self._hear = None
        # The library keeps a function there that knows this connection.
        self.protocol.__dict__.pop("select_subprotocol", None)

    def welcome(self) -> None:
        """From now on its messages may be as large as a worker's."""
        set_bytes_max(self.protocol, GATEWAY_READ_BYTES_MAX)

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """From now on binary messages go there, those that came before first."""
        early, self._early = self._early, ()
        self._hear = hear
        for message in early:
            hear(message)

    def process_event(self, event: Frame | Request | Response) -> None:
        """Put binary messages together and hand them on; the rest is the library's."""
        if not isinstance(event, Frame) or not self._is_binary(event):
            super().process_event(event)
            if self.full and isinstance(event, Frame) and event.opcode is Opcode.PING:
                # It asks and does not read the answers: it is not asked to go on.
                self._pongs_wait = True
                self.transport.pause_reading()
            return
        message = bytes(event.data)
        if self._parts is not None:
            self._parts.append(message)
            message = b"".join(self._parts) if event.fin else b""
        elif not event.fin:
            self._parts = [message]
        if not event.fin:
            return
        self._parts = None
        if self._hear is None:
            self._early += (message,)
        else:
            self._hear(message)

    def _is_binary(self, frame: Frame) -> bool:
        continued = frame.opcode is Opcode.CONT and self._parts is not None
        return continued or frame.opcode is Opcode.BINARY

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        super().pause_writing()
        self.full = True

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self.full = False
        if self._pongs_wait:
            self._pongs_wait = False
            self.transport.resume_reading()

    def send_data(self) -> None:
        """Write what the protocol has to say, joined unless it ends with a half-close."""
        writes = self.protocol.data_to_send()
        self.protocol.writes = [b"".join(writes)] if len(writes) > 1 and all(writes) else writes
        super().send_data()


class LibrarySocket:
    """A connection of the websockets library."""

    def __init__(self, socket: JoinedConnection) -> None:
        self._socket = socket

    @property
    def peer(self) -> str:
        """The worker's address; behind a proxy the one the proxy tells."""
        request, address = self._socket.request, self._socket.remote_address
        direct = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else ""
        if request is None:
            return direct
        told = request.headers
        return told.get("X-Real-IP") or told.get("X-Forwarded-For") or direct

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hand binary messages over the moment they arrive."""
        self._socket.listen(hear)

    def welcome(self) -> None:
        """From now on its messages may be as large as a worker's."""
        self._socket.welcome()

    def send_now(self, frames: Sequence[bytes]) -> bool:
        """Write binary messages, unless the peer is behind or going."""
        socket = self._socket
        if socket.full or socket.protocol.state is not State.OPEN or socket.transport.is_closing():
            return False
        for frame in frames:
            socket.protocol.send_binary(frame)
        socket.send_data()
        return True

    async def receive(self) -> bytes | str:
        """The next message that is not binary. Raises SocketEnded."""
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            raise _ended(error) from None

    async def send(self, frames: Sequence[bytes]) -> None:
        """Write binary messages, in order. Raises SocketEnded."""
        try:
            async with self._socket.send_context():
                for frame in frames:
                    self._socket.protocol.send_binary(frame)
        except ConnectionClosed as error:
            raise _ended(error) from None

    async def close(self, code: int, reason: str) -> None:
        """Close with a close frame."""
        # An attribute error is how a transport of the loop says that it is gone already.
        with suppress(ConnectionClosed, OSError, AttributeError):
            await self._socket.close(code, reason)

    def abort(self) -> None:
        """End the connection at once."""
        self._socket.transport.abort()


def _ended(error: ConnectionClosed) -> SocketEnded:
    received, sent = error.rcvd, error.sent
    if received is not None:
        return SocketEnded(received.code, received.reason)
    # We closed it ourselves (a message too large, say), or nobody said anything.
    return SocketEnded(CLOSE_ABNORMAL if sent is None else sent.code, "")


class AsgiSocket:
    """A connection of the main port."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._ended = False

    @property
    def peer(self) -> str:
        """The worker's address; behind a proxy the one the proxy tells."""
        headers, client = self._socket.headers, self._socket.client
        direct = "" if client is None else f"{client.host}:{client.port}"
        return headers.get("x-real-ip") or headers.get("x-forwarded-for") or direct

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Messages have to be asked for here."""

    def welcome(self) -> None:
        """From now on its messages may be as large as a worker's."""
        extension = self._socket.scope.get("extensions", {}).get(WELCOME)
        if extension is not None:
            extension["call"]()

    def send_now(self, frames: Sequence[bytes]) -> bool:
        """What is behind makes everybody wait."""
        return False

    async def receive(self) -> bytes | str:
        """The next message. Raises SocketEnded."""
        message = await self._socket.receive()
        if message["type"] == "websocket.receive":
            data: bytes | None = message.get("bytes")
            return data if data is not None else str(message.get("text") or "")
        self._ended = True
        code = message.get("code") or CLOSE_NO_STATUS
        raise SocketEnded(int(code), str(message.get("reason") or ""))

    async def send(self, frames: Sequence[bytes]) -> None:
        """Write binary messages, in order. Raises SocketEnded."""
        if self._ended:
            raise SocketEnded
        try:
            for frame in frames:
                await self._socket.send_bytes(frame)
        except (WebSocketDisconnect, RuntimeError, OSError):
            self._ended = True
            raise SocketEnded from None

    async def close(self, code: int, reason: str) -> None:
        """Close with a close frame."""
        if self._ended:
            return
        self._ended = True
        with suppress(RuntimeError, OSError, WebSocketDisconnect):
            await self._socket.close(code, reason)

    def abort(self) -> None:
        """The server behind has no other way than to let its handler return."""
        self._ended = True
