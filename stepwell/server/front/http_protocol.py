"""The HTTP protocol of the main port, with a bound on everything a peer may send or leave lying.

uvicorn parses whatever arrived at once: one read of pipelined requests becomes thousands of waiting
ones, a header may be as long as memory, and a request that never ends is waited for. Here a read is
parsed in slices. While a request waits for its answer nothing behind it is parsed, and after one
read nothing more is taken from the socket.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn import Config
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from stepwell.server.front.watch import Watch

SLICE_BYTES = 2_048
"""Parsed at once: the shortest requests are a hundredth of it, and that many may wait."""
SPARE_CONNECTIONS = 64
"""So many refused ones are told why; the others are cut off."""
_BAD = (400, "this is no HTTP request")


class _Flow(FlowControl):
    """Reads no more while there is enough that waits."""

    full = False

    def resume_reading(self) -> None:
        if not self.full:
            super().resume_reading()


class BoundedHttp(HttpToolsProtocol):
    """One connection of the main port."""

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
        self._bounds = watch.bounds
        self._held = b""
        """What arrived behind a request that waits for its answer."""
        self._unspent = 0
        """Bytes the parser was given since the last that became a body."""
        self._problem: tuple[int, str] | None = None
        self._running: RequestResponseCycle | None = None
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._body_seen = 0
        self._body_size: int | None = None
        self._headers_max = watch.bounds.headers
        self._idle_since: float | None = None
        self._deaf_until: float | None = None
        """Nothing more is taken from a peer that was refused."""
        self._unsent = 0
        self._unsent_since = 0.0

    # --- the connection ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A peer is there: it has a while to say what it wants."""
        super().connection_made(transport)
        self.flow = self._reading = _Flow(transport)
        self._head_since = self.loop.time()
        self._watch.connections.add(self)
        if self._watch.took_the_last():
            # Nobody else can be told anything before this one is gone.
            self._deaf_until = float("inf")
            transport.write(_refusal(503, "no file descriptor is left: try again later"))
            transport.close()
            return
        if not self._watch.is_full:
            return
        self._watch.turned_away()
        if len(self._watch.connections) > self._bounds.connections + SPARE_CONNECTIONS:
            transport.abort()
        else:
            self._refuse(503, "too many connections are open: try again later")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is kept of it, and nothing of it forms a circle."""
        super().connection_lost(exc)
        running, self._running = self._running, None
        if running is not None and not running.response_complete:
            # The latest request is told by now, but it may be one that still waited.
            running.disconnected = True
            running.message_event.set()
        self._watch.connections.discard(self)
        self._unset_keepalive_if_required()
        self._held = b""
        self.pipeline.clear()
        self.cycle = None  # type: ignore[assignment]

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is the socket protocol's."""
        self._watch.connections.discard(self)
        self._deaf_until = float("inf")
        super().handle_websocket_upgrade()
        self.__dict__.pop("parser", None)

    # --- what arrives ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, or keep it until the request before it is answered."""
        self._unset_keepalive_if_required()
        if self._deaf_until is not None:
            return
        if self._held or self._is_busy:
            self._hold(data)
        elif len(data) <= SLICE_BYTES:
            self._parse(data)
        else:
            self._parse_slices(data)

    @property
    def _current(self) -> RequestResponseCycle | None:
        """The request that came last, until the connection ends."""
        return self.cycle

    @property
    def _is_busy(self) -> bool:
        """Is there a whole request that waits for its answer?"""
        cycle = self._current
        waits = cycle is not None and not cycle.response_complete and not cycle.more_body
        return waits or bool(self.pipeline)

    def _hold(self, data: bytes) -> None:
        self._held += data
        self.flow.pause_reading()
        self._reading.full = True

    def _parse_slices(self, data: bytes) -> None:
        at, size = 0, len(data)
        while at < size and self._deaf_until is None:
            if self._is_busy:
                self._hold(data[at:])
                return
            end = at + max(SLICE_BYTES, self._body_left())
            self._parse(data[at:end])
            at = end

    def _body_left(self) -> int:
        """How much is still to come of a body that told its size: parsed at once, it cannot hide
        another request."""
        if self._body_since is None:
            return 0
        if self._body_size is None:
            told = [value for name, value in self.headers if name == b"content-length"]
            self._body_size = int(told[0]) if told and told[0].isdigit() else 0
        return self._body_size - self._body_seen

    def _parse(self, data: bytes) -> None:
        self._unspent += len(data)
        try:
            self.parser.feed_data(data)  # pyright: ignore[reportOptionalMemberAccess]
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._unsupported_upgrade_warning()
        except httptools.HttpParserError:
            self._refuse(*(self._problem or _BAD))
        else:
            if self._unspent > self._bounds.head_bytes:
                self._refuse(431, f"the headers are over {self._bounds.head_bytes} bytes")
            elif self._head_since is None and self._body_since is None and not self._is_busy:
                # Line ends alone are no request, and must lead to one.
                self._head_since = self.loop.time()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._unspent = 1
        self._body_seen = 0
        self._body_size = None
        self._head_since = self.loop.time()
        self._idle_since = None
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the URL."""
        super().on_url(url)
        if len(self.url) > self._bounds.url_bytes:
            self._stop(414, f"the URL is over {self._bounds.url_bytes} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer."""
        # Called most often of all, so what is inherited is written out.
        name = name.lower()
        headers = self.headers
        headers.append((name, value))
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        if len(headers) > self._headers_max:
            self._stop(431, f"there are over {self._headers_max} headers")

    def on_headers_complete(self) -> None:
        """The head is there; a body may follow."""
        self._head_since = None
        self._body_since = self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._unspent = 0
        self._body_seen += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there."""
        self._body_since = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is given: what waited behind its request is looked at now."""
        super().on_response_complete()
        self._idle_since = self.loop.time()
        if not self._held or self.pipeline or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        held, self._held = self._held, b""
        self._reading.full = False
        self._parse_slices(held)
        if not self._held:
            self.flow.resume_reading()

    # --- what is refused ---------------------------------------------------------------------

    def _stop(self, status: int, message: str) -> None:
        """Ends parsing, from inside the parser."""
        self._problem = (status, message)
        raise ValueError(message)

    def _refuse(self, status: int, message: str) -> None:
        """Answer, unless another answer is on its way, and take nothing more."""
        cycle, self._held = self._current, b""
        self._deaf_until = float("inf")
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
            if cycle.response_started or self.pipeline:
                return
            self.transport.write(_refusal(status, message))
            self.transport.close()
            return
        self._deaf_until = self.loop.time() + self._bounds.linger_s
        self.transport.write(_refusal(status, message))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def judge(self, now: float) -> None:
        """End what took too long."""
        bounds = self._bounds
        is_over = self._deaf_until is not None and now > self._deaf_until
        if self._is_stuck(now) or is_over:
            self.transport.abort()
        elif self._deaf_until is not None:
            return
        elif self._head_since is not None and now - self._head_since > bounds.head_s:
            if self._unspent:
                self._refuse(408, f"the request was not there after {bounds.head_s:g} s")
            else:
                self.transport.close()
        elif self._body_since is not None and now - self._body_since > (
            bounds.body_s + self._body_seen / bounds.body_bytes_per_s
        ):
            self._refuse(408, "the body of the request came too slowly")
        elif (
            self._idle_since is not None
            and self._watch.is_crowded
            and now - self._idle_since > bounds.crowded_idle_s
            and not self._is_busy
        ):
            self.transport.close()

    def _is_stuck(self, now: float) -> bool:
        """Does the peer take nothing of what is written?"""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent or not self._unsent:
            self._unsent_since = now
        self._unsent = unsent
        return now - self._unsent_since > self._bounds.stuck_s


def _refusal(status: int, message: str) -> bytes:
    body = json.dumps({"error": message, "data": None, "status": status}).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
