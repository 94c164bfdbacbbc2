"""The gateway's own port: WebSockets, and the few plain questions a load balancer asks."""

import http
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from stepwell.server.gateway.frame_port import JoinedConnection, LibrarySocket
from stepwell.server.gateway.gateway import Gateway
from stepwell.server.gateway.socket_endpoint import GatewayConnection
from stepwell.server.hosts import Hosts, is_foreign_page
from stepwell.wire.connect_limit import GATEWAY_READ_BYTES_MAX, SUBPROTOCOL

PATH = "/v0/connect"
CLOSE_TIMEOUT_S = 2.0
log = logging.getLogger("stepwell.gateway")
# The library tells of every connection at a level that is meant for more.
library_log = logging.getLogger("stepwell.gateway.socket")
library_log.setLevel(logging.WARNING)


def _is_news(record: logging.LogRecord) -> bool:
    """A stranger that speaks no WebSocket, or leaves in the middle of the handshake, is no fault
    and must not fill the log."""
    if record.msg == "opening handshake failed":
        return False
    # What the library stumbles over when it refuses somebody who is gone already.
    return not (record.exc_info and isinstance(record.exc_info[1], AssertionError))


library_log.addFilter(_is_news)


class Listener:
    """Takes worker connections on sockets that already listen."""

    def __init__(
        self,
        gateway: Gateway,
        sockets: Sequence[socket.socket],
        hosts: Hosts | None,
        took_the_last: Callable[[], bool],
    ) -> None:
        """`hosts` are the names it may be asked by; None where any will do. `took_the_last` says of
        a connection that just came whether it has the last file descriptor there is."""
        self._gateway = gateway
        self._hosts = hosts
        self._took_the_last = took_the_last
        self._sockets = tuple(sockets)
        self._servers: list[Server] = []

    async def start(self) -> None:
        """Begin to take connections."""
        for one in self._sockets:
            self._servers.append(
                await serve(
                    self._serve,
                    sock=one,
                    subprotocols=[Subprotocol(SUBPROTOCOL)],
                    select_subprotocol=_chosen,
                    process_request=self._asked,
                    create_connection=cast("type[ServerConnection]", self._joined),
                    compression=None,
                    max_size=GATEWAY_READ_BYTES_MAX,
                    ping_interval=None,  # heartbeats tell who lives; pings of workers are answered
                    close_timeout=CLOSE_TIMEOUT_S,
                    server_header=None,
                    logger=library_log,
                )
            )

    async def stop(self) -> None:
        """Take no more connections."""
        for server in self._servers:
            server.close(close_connections=False)
        for server in self._servers:
            await server.wait_closed()

    def _joined(self, *args: Any, **options: Any) -> JoinedConnection:
        connection = JoinedConnection(*args, **options)
        connection.took_the_last = self._took_the_last
        return connection

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, JoinedConnection)
        port = LibrarySocket(connection)
        settings = self._gateway.settings.connection
        await self._gateway.serve(GatewayConnection(port, self._gateway, settings))

    def _asked(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._hosts is not None:
            if problem := self._hosts.refusal(request.headers.get_all("Host")):
                return connection.respond(http.HTTPStatus.MISDIRECTED_REQUEST, problem + "\n")
            if is_foreign_page({name.lower(): text for name, text in request.headers.raw_items()}):
                return connection.respond(http.HTTPStatus.FORBIDDEN, "a page may not be a worker\n")
        path, _, query = request.path.partition("?")
        if path == PATH:
            if self._gateway.is_expected(query):
                assert isinstance(connection, JoinedConnection)
                connection.welcome()
            return None  # without an upgrade the library answers 426 by itself
        if path in {"/ready", "/v0/ready"}:
            status = http.HTTPStatus.SERVICE_UNAVAILABLE if self._gateway.draining else _OK
            return connection.respond(status, "")
        if path == "/v0/":
            return connection.respond(_OK, ".")
        return connection.respond(http.HTTPStatus.NOT_FOUND, "there is nothing here\n")


_OK = http.HTTPStatus.OK


def _chosen(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The protocol's name if it is offered; a worker that offers none, or others, is taken too."""
    wanted = Subprotocol(SUBPROTOCOL)
    return wanted if wanted in offered else None
