"""One WebSocket to a gateway, from its dial to its end; on the connection's own loop.

It tells the protocol what happens on the wire, and decides nothing. Frames to be written wait here,
so that writing never holds up the rest.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from stepwell.sdk.connect.endpoint import shown_endpoint
from stepwell.sdk.connect.runner import Input
from stepwell.sdk.connect.websocket import WebSocket
from stepwell.wire.connect_limit import (
    CLOSE_ABNORMAL,
    CLOSE_NO_STATUS,
    SUBPROTOCOL,
    WORKER_READ_BYTES_MAX,
)

CLOSE_TIMEOUT_S = 3.0
WRITE_TIMEOUT_S = 10.0
"""A gateway that takes nothing for so long is gone, whatever its socket says."""
PING_EVERY_S = 20.0

Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"


class GatewaySocket:
    """The socket of one attempt: `live` once."""

    def __init__(
        self,
        attempt: int,
        *,
        tell: Callable[[Input], None],
        ended: Callable[[asyncio.Task[None]], None],
        logger: Logger,
    ) -> None:
        """Made on the loop it lives on. `ended` hears of a task of it that is over."""
        self._attempt = attempt
        self._tell = tell
        self._ended = ended
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._ws: WebSocket | None = None
        self._flushing = False
        self._more = asyncio.Event()
        self._close: tuple[int, str] | None = None
        self._gone = False

    def transmit(self, frame: bytes) -> None:
        """Write a frame, in order, as soon as the wire takes it."""
        self._frames.append(frame)
        if not self._flushing:
            # Once for everything written in one turn of the loop.
            self._flushing = True
            self._loop.call_soon(self._flush)

    def close(self, code: int, reason: str) -> None:
        """End it, after what is to be written; nothing is heard of it any more."""
        self._close = (code, reason)
        self._more.set()

    async def live(self, endpoint: str) -> None:
        """From its dial to its end."""
        attempt = self._attempt
        try:
            ws = await self._dialled(endpoint)
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError, EOFError) as error:
            told = error.msg if isinstance(error, InvalidURI) else error
            words = f"{shown_endpoint(endpoint)}: {told}"
            self._tell(lambda protocol, now: protocol.open_failed(attempt, words, now))
            return
        if ws is None:
            return
        self._ws = ws
        self._tell(lambda protocol, now: protocol.opened(attempt, now))
        ws.listen(self._heard)
        reader = self._loop.create_task(self._read(ws))
        reader.add_done_callback(self._ended)
        try:
            await self._write(ws)
        except ConnectionClosed:
            await asyncio.wait({reader})
        except TimeoutError:
            self._logger.warning("the gateway has not read for %g s", WRITE_TIMEOUT_S)
            ws.transport.abort()
            await asyncio.wait({reader})
        finally:
            reader.cancel()

    async def _dialled(self, endpoint: str) -> WebSocket | None:
        """The open socket, or None if it is not wanted any more."""
        dialling = self._loop.create_task(_open(endpoint))
        unwanted = self._loop.create_task(self._more.wait())
        try:
            await asyncio.wait({dialling, unwanted}, return_when=asyncio.FIRST_COMPLETED)
            if self._close is None:
                return await dialling
            return None
        finally:
            unwanted.cancel()
            if not dialling.done():
                dialling.cancel()
            elif self._close is not None and dialling.exception() is None:
                await dialling.result().close(*self._close)

    async def _read(self, ws: WebSocket) -> None:
        """Hear the gateway until the socket ends, and say so, unless we ended it."""
        try:
            while True:
                self._heard(await ws.recv())
        except ConnectionClosed as ended:
            received = ended.rcvd
            code = ws.close_code or CLOSE_ABNORMAL
            reason = received.reason if received is not None else ws.close_reason or ""
            if code == CLOSE_NO_STATUS:
                reason = ""
        self._gone = True
        self._more.set()
        if self._close is None:
            attempt = self._attempt
            self._tell(lambda protocol, now: protocol.closed(attempt, code, reason, now))

    def _heard(self, frame: str | bytes) -> None:
        if self._close is None:
            attempt = self._attempt
            self._tell(lambda protocol, now: protocol.receive(attempt, frame, now))

    async def _write(self, ws: WebSocket) -> None:
        """Write, in order, what could not be written at once, until the socket is to be closed."""
        while not self._gone:
            while self._frames:
                frames, self._frames = self._frames, []
                async with asyncio.timeout(WRITE_TIMEOUT_S), ws.send_context():
                    for frame in frames:
                        ws.protocol.send_binary(frame)
            if self._close is not None:
                # An attribute error is how a transport of the loop says that it is gone already.
                with suppress(ConnectionClosed, OSError, AttributeError):
                    await ws.close(*self._close)
                return
            self._more.clear()
            await self._more.wait()

    def _flush(self) -> None:
        """Write at once; what cannot be written so, the writer waits for."""
        self._flushing = False
        if not self._frames:
            return
        if self._ws is not None and self._ws.send_now(self._frames):
            self._frames = []
        else:
            self._more.set()


async def _open(endpoint: str) -> WebSocket:
    ws = await connect(
        endpoint,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        max_size=WORKER_READ_BYTES_MAX,
        open_timeout=None,  # the protocol has a deadline of its own and can be interrupted
        ping_interval=PING_EVERY_S,  # for proxies; whether the gateway lives, heartbeats tell
        ping_timeout=None,
        close_timeout=CLOSE_TIMEOUT_S,
        create_connection=WebSocket,
    )
    assert isinstance(ws, WebSocket)
    return ws
