"""The WebSocket protocol of the main port, with a bound on what a stranger may send or not read."""

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

from stepwell.server.front.watch import Watch
from stepwell.server.gateway.frame_port import WELCOME, set_bytes_max
from stepwell.wire.connect_limit import STRANGER_READ_BYTES_MAX

CLOSING_S = 10.0


class BoundedSocket(WebSocketsSansIOProtocol):
    """One socket of the main port."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        watch: Watch,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._watch = watch
        self._known_bytes_max = config.ws_max_size
        self._closing_since: float | None = None
        self._pongs_wait = False
        set_bytes_max(self.conn, STRANGER_READ_BYTES_MAX)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade was asked for."""
        super().connection_made(transport)
        self._watch.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is kept of it, and nothing of it forms a circle."""
        super().connection_lost(exc)
        self.__dict__.pop("scope", None)
        self._watch.connections.discard(self)

    def handle_connect(self, event: Request) -> None:
        """The application is told how it may let the peer say more."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            known = self.scope.get("extensions", {})
            self.scope["extensions"] = {**known, WELCOME: {"call": self._welcome}}

    def _welcome(self) -> None:
        set_bytes_max(self.conn, self._known_bytes_max)

    def handle_ping(self) -> None:
        """A peer that asks and does not read is not asked to go on."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > self._watch.bounds.pongs_bytes:
            self._pongs_wait = True
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._pongs_wait:
            self._pongs_wait = False
            if not self.read_paused:
                self.transport.resume_reading()

    def judge(self, now: float) -> None:
        """End a socket that was closed and whose peer does not read on."""
        if not self.transport.is_closing():
            return
        if self._closing_since is None:
            self._closing_since = now
        elif now - self._closing_since > CLOSING_S:
            self.transport.abort()
