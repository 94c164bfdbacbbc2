"""The gateway on the main port: start calls, flushes, who is connected, and sockets too.

One ASGI app for everything below `/v0/connect`; the server puts it in front of its API.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from secrets import token_bytes

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from stepwell.server.drivers.request import ACCOUNT_ID
from stepwell.server.gateway import session_token, ticket
from stepwell.server.gateway.call import ENV_ID
from stepwell.server.gateway.frame_port import AsgiSocket
from stepwell.server.gateway.gateway import Gateway
from stepwell.server.gateway.phase import GatewayPhase
from stepwell.server.gateway.sessions import ServedApp, Session
from stepwell.server.gateway.socket_endpoint import GatewayConnection
from stepwell.server.repeated import Repeated
from stepwell.wire.connect_decode import FrameError, decode_reply, decode_start_request
from stepwell.wire.connect_encode import encode_flush_response, encode_start_response
from stepwell.wire.connect_limit import (
    APPS_PER_CONNECTION_MAX,
    GATEWAY_READ_BYTES_MAX,
    START_BODY_BYTES_MAX,
    SUBPROTOCOL,
)
from stepwell.wire.connect_word import StartResponse
from stepwell.wire.identifier import ENTROPY_BYTES, app_uuid, ulid_at

PREFIX = "/v0/connect"
GROUP = "gw-stepwell"
PROTOBUF_ANSWER = "application/octet-stream"
_STATUS = {
    GatewayPhase.READY: 1,
    GatewayPhase.DRAINING: 2,
    GatewayPhase.CLOSED: 4,
}

log = logging.getLogger("stepwell.gateway")


class ConnectApi:
    """What workers ask over HTTP, and the socket of the main port."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        secret: bytes,
        now_ms: Callable[[], int],
        may_ask: Callable[[Mapping[str, str]], bool],
        gateway_port: Callable[[], int | None],
    ) -> None:
        """`gateway_port` is the gateway's own port, or None: then sockets come to the main one."""
        self._gateway = gateway
        self._secret = secret
        self._now_ms = now_ms
        self._may_ask = may_ask
        self._gateway_port = gateway_port
        self._refusals = Repeated(log)
        self._id = ulid_at(now_ms(), token_bytes(ENTROPY_BYTES))
        self.app = Starlette(
            routes=[
                Route(f"{PREFIX}/start", self._start, methods=["POST"]),
                Route(f"{PREFIX}/flush", self._flush, methods=["POST"]),
                Route(f"{PREFIX}/envs/{{env}}/conns", self._conns, methods=["GET"]),
                Route(f"{PREFIX}/envs/{{env}}/groups/{{group}}", self._group, methods=["GET"]),
                Route(PREFIX, _upgrade_required, methods=["GET"]),
                WebSocketRoute(PREFIX, self._socket),
            ]
        )

    # --- start ---------------------------------------------------------------------------------

    async def _start(self, request: Request) -> Response:
        if not self._may_ask(request.headers):
            self._tell_refused(request, "it does not show the signing key of this server")
            return _unauthorized()
        if self._gateway.is_full:
            most = self._gateway.settings.connections_max
            self._tell_refused(request, f"{most} are connected, the most --connections-max allows")
            return _problem(429, "too many connections: stop other workers, or raise the limit")
        if self._gateway.draining:
            return _problem(503, "the server is stopping; connect to another one, or try again")
        body = await _limited(request, START_BODY_BYTES_MAX)
        if body is None:
            return _problem(413, f"the body is over {START_BODY_BYTES_MAX} bytes")
        try:
            decode_start_request(body)
        except FrameError as error:
            return _problem(400, f"could not unmarshal request: {error}")
        return Response(self._started(request), media_type=PROTOBUF_ANSWER)

    def _tell_refused(self, request: Request, why: str) -> None:
        peer = request.client.host if request.client else "an unknown address"
        self._refusals.tell(logging.WARNING, why, f"a worker at {peer} is refused: {why}")

    def _started(self, request: Request) -> bytes:
        now_ms = self._now_ms()
        right = session_token.Entitlement(ACCOUNT_ID, ENV_ID, APPS_PER_CONNECTION_MAX)
        token = session_token.mint(right, self._secret, now_s=now_ms / 1000, token_id=_ulid(now_ms))
        admission = ticket.mint(self._secret, now_ms / 1000)
        return encode_start_response(
            StartResponse(
                connection_id=_ulid(now_ms),
                gateway_endpoint=f"{self._endpoint(request)}?{admission}",
                gateway_group=GROUP,
                session_token=token,
                sync_token=_bearer(request),
            )
        )

    def _endpoint(self, request: Request) -> str:
        """The gateway by the name the worker knows this server by, so that containers work."""
        secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        port = self._gateway_port()
        if port is None or secure:
            # Behind a proxy that ends TLS only the main port is known to be reachable.
            host = request.headers.get("x-forwarded-host") or request.url.netloc
            return f"{'wss' if secure else 'ws'}://{host}{PREFIX}"
        host = request.url.hostname or "127.0.0.1"
        return f"ws://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"

    # --- flush ---------------------------------------------------------------------------------

    async def _flush(self, request: Request) -> Response:
        if not self._may_ask(request.headers):
            return _unauthorized()
        body = await _limited(request, GATEWAY_READ_BYTES_MAX)
        if body is None:
            return _problem(413, f"the reply is over {GATEWAY_READ_BYTES_MAX} bytes")
        if not body:
            return _problem(400, "missing request body")
        try:
            reply = decode_reply(body)
        except FrameError as error:
            return _problem(400, f"could not unmarshal request: {error}")
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._gateway.counts["flushes"] += 1
        self._gateway.store(reply, partial(_tell, stored))
        if not await stored:
            return _problem(503, "the reply could not be stored; send it again")
        return Response(encode_flush_response(reply.request_id), media_type=PROTOBUF_ANSWER)

    # --- who is here ---------------------------------------------------------------------------

    async def _conns(self, request: Request) -> Response:
        if not self._may_ask(request.headers):
            return _unauthorized()
        wanted = request.query_params.get("app_id")
        if wanted is not None and not _is_uuid(wanted):
            return _problem(400, f"app_id={wanted!r} is no UUID; leave it out to see all")
        rows = [
            self._row(session)
            for session in self._gateway.sessions
            if wanted is None or wanted.lower() in {app_uuid(name) for name in session.apps}
        ]
        return JSONResponse({"data": rows})

    def _row(self, session: Session) -> dict[str, object]:
        worker, system = session.worker, session.worker.system
        heard_s = self._now_ms() / 1000 - session.connection.silence_s
        row: dict[str, object] = {
            "id": worker.connection_id,
            "gateway_id": self._id,
            "instance_id": session.instance_id,
            "all_worker_groups": {app.name: app.group for app in session.apps.values()},
            "synced_worker_groups": {
                app_uuid(app.name): app.group for app in session.apps.values()
            },
            "last_heartbeat_at": {
                "seconds": int(heard_s),
                "nanos": int(heard_s % 1 * 1_000_000_000),
            },
            "sdk_language": worker.sdk_language,
            "sdk_version": worker.sdk_version,
            "attributes": {
                "cpu_cores": system.cpu_cores,
                "mem_bytes": system.mem_bytes,
                "os": system.os,
            },
        }
        status = _STATUS.get(session.connection.protocol.phase, 0)
        return {**row, "status": status} if status else row

    async def _group(self, request: Request) -> Response:
        if not self._may_ask(request.headers):
            return _unauthorized()
        group = request.path_params["group"]
        found = [
            (session, app)
            for session in self._gateway.sessions
            for app in session.apps.values()
            if app.group == group
        ]
        if not found:
            return _problem(404, f"there is no worker group {group}")
        session, app = found[0]
        told = _group_row(session, app, [other.worker.connection_id for other, _ in found])
        return JSONResponse({"data": told})

    # --- sockets -------------------------------------------------------------------------------

    async def _socket(self, socket: WebSocket) -> None:
        offered: list[str] = socket.scope.get("subprotocols", [])
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        port = AsgiSocket(socket)
        if self._gateway.is_expected(socket.url.query):
            port.welcome()
        settings = self._gateway.settings.connection
        await self._gateway.serve(GatewayConnection(port, self._gateway, settings))


def _group_row(session: Session, app: ServedApp, connections: list[str]) -> dict[str, object]:
    worker = session.worker
    return {
        "acct_id": ACCOUNT_ID,
        "env_id": ENV_ID,
        "app_id": app_uuid(app.name),
        "app_name": app.name,
        "app_version": app.version,
        "sdk_lang": worker.sdk_language,
        "sdk_version": worker.sdk_version,
        "sdk_platform": worker.platform or "-",
        "fns": sorted(app.slugs),
        "hash": app.group,
        "synced": True,
        "conns": connections,
    }


def _tell(stored: "asyncio.Future[bool]", kept: bool) -> None:
    if not stored.done():
        stored.set_result(kept)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _ulid(now_ms: int) -> str:
    return ulid_at(now_ms, token_bytes(ENTROPY_BYTES))


def _bearer(request: Request) -> str:
    """The token as received: a worker gives it back with its introduction."""
    return request.headers.get("authorization", "")[len("Bearer ") :]


async def _limited(request: Request, bytes_max: int) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > bytes_max:
                return None
            chunks.append(chunk)
    except ClientDisconnect:
        return None  # nobody is there to be told
    return b"".join(chunks)


def _unauthorized() -> Response:
    return PlainTextResponse("Authentication failed\n", 401)


def _problem(status: int, message: str) -> Response:
    body = msgspec.json.encode({"error": message, "data": None, "status": status})
    return Response(body, status, media_type="application/json")


async def _upgrade_required(request: Request) -> Response:
    return PlainTextResponse("a WebSocket is expected here\n", 426, {"upgrade": "websocket"})
