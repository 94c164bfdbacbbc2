"""A small server for workers, on real sockets and a thread of its own: our gateway shell over a
pretend desk. It can refuse, forget to acknowledge, drain, cut and die, all on request."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Self, TypeVar

from aiohttp import web
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from stepwell.server.gateway.frame_port import JoinedConnection, LibrarySocket
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.server.gateway.socket_endpoint import Accepted, GatewayConnection, Rejected
from stepwell.testing.simulation.desk import Call, Desk
from stepwell.wire.connect_decode import decode_reply, decode_start_request
from stepwell.wire.connect_encode import encode_flush_response, encode_start_response
from stepwell.wire.connect_limit import (
    EXTENSION_CHECKPOINT,
    GATEWAY_READ_BYTES_MAX,
    SUBPROTOCOL,
)
from stepwell.wire.connect_word import (
    Checkpoint,
    ExtendLease,
    Reply,
    StartRequest,
    StartResponse,
    WorkerConnect,
    WorkerStatus,
)
from stepwell.wire.identifier import ulid_at

T = TypeVar("T")
FAST = GatewayConfig(heartbeat_s=1, extend_lease_s=1)


def payload(*, steps: dict[str, Any] | None = None, data: Any = None, **ctx: Any) -> bytes:
    """The body of a call, as a server makes it."""
    event = {"name": "test/event", "data": data or {}, "id": "e1", "ts": 1}
    body = {
        "ctx": {
            "run_id": "run-1",
            "fn_id": "fn",
            "attempt": 0,
            "max_attempts": 4,
            "disable_immediate_execution": False,
            "stack": {"stack": list(steps or {}), "current": len(steps or {})},
            **ctx,
        },
        "event": event,
        "events": [event],
        "steps": steps or {},
        "version": -1,
    }
    return json.dumps(body).encode()


class FakeServer:
    """Use as a context manager; every method may be called from the test's thread."""

    def __init__(self, config: GatewayConfig = FAST, *, lease_s: float = 30.0) -> None:
        self.config = config
        self.desk = Desk(Random(1), lease_s=lease_s)
        self.checkpoints = True
        self.api_status = 200
        self.tokens: set[str] | None = None
        """The bearer tokens that are accepted; None: all."""
        self.silent = False
        """Acknowledge no answers over the socket."""
        self.draining = False
        self.starts: list[StartRequest] = []
        self.headers: list[dict[str, str]] = []
        self.flushed: list[str] = []
        self.workers: list[WorkerConnect] = []
        self.statuses: list[WorkerStatus] = []
        self.ends: list[str] = []
        self.extensions: list[float] = []
        self.connections: list[GatewayConnection] = []
        self.api_port = 0
        self.gateway_port = 0
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._gateway: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    # --- for the test's thread ---------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def call(self, function: str, body: bytes | None = None, *, app: str = "app") -> Call:
        """Want one call of a function."""
        return self.within(lambda: self._want(app, function, body or payload()))

    def within(self, action: Callable[[], T]) -> T:
        """Do something on the server's loop."""

        async def run() -> T:
            return action()

        return self._wait(run())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def until(self, condition: Callable[[], object], *, within_s: float = 10.0) -> None:
        """Wait for something to come true, from a test without a loop of its own."""
        limit = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < limit, "did not come true in time"
            time.sleep(0.005)

    def cut(self) -> None:
        """End every socket without a word."""
        self.within(lambda: [c.port.abort() for c in list(self.connections)])

    def drain(self) -> None:
        """Ask every worker to leave; new connections are taken."""
        self.within(lambda: [c.drain() for c in list(self.connections)])

    def stop_gateway(self) -> None:
        """Take no sockets any more and end those there are."""
        gateway = self._gateway
        assert gateway is not None

        async def stop() -> None:
            gateway.close(close_connections=False)
            for connection in list(self.connections):
                connection.port.abort()
            await gateway.wait_closed()

        self._wait(stop())

    def start_gateway(self) -> None:
        """Take sockets again, on the same port."""
        self._wait(self._open_gateway(self.gateway_port))

    # --- on the server's loop ----------------------------------------------------------------

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application(client_max_size=GATEWAY_READ_BYTES_MAX)
        app.router.add_post("/v0/connect/start", self._start)
        app.router.add_post("/v0/connect/flush", self._flush)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.api_port = runner.addresses[0][1]
        await self._open_gateway(0)
        pulse = self._loop.create_task(self._pulse())
        self._ready.set()
        await self._stop.wait()
        pulse.cancel()
        for connection in list(self.connections):
            connection.port.abort()
        if self._gateway is not None:
            self._gateway.close()
            await self._gateway.wait_closed()
        await runner.cleanup()

    async def _open_gateway(self, port: int) -> None:
        self._gateway = await serve(
            self._socket,
            "127.0.0.1",
            port,
            create_connection=JoinedConnection,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=GATEWAY_READ_BYTES_MAX,
            close_timeout=1,
        )
        self.gateway_port = next(iter(self._gateway.sockets)).getsockname()[1]

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self._dispatch()

    def _want(self, app: str, function: str, body: bytes) -> Call:
        call = self.desk.want(app, function, payload=body)
        self._dispatch()
        return call

    def _dispatch(self) -> None:
        now = self._loop.time()
        for call in self.desk.waiting(now):
            able = [c for c in self.connections if c.routable()]
            if able:
                able[0].forward(self.desk.dispatch(call, (0, id(able[0])), now))

    def _refusal(self, request: web.Request) -> web.Response | None:
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        token = request.headers.get("authorization", "")
        if self.tokens is not None and token not in self.tokens:
            return web.Response(status=401, text="Authentication failed")
        if self.api_status != 200:
            return web.json_response({"error": "not now"}, status=self.api_status)
        return None

    async def _start(self, request: web.Request) -> web.Response:
        self.starts.append(decode_start_request(await request.read()))
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        response = StartResponse(
            connection_id=ulid_at(int(time.time() * 1000), Random().randbytes(10)),
            gateway_endpoint=f"ws://127.0.0.1:{self.gateway_port}/v0/connect",
            gateway_group="fake",
            session_token="session",
            sync_token="sync",
        )
        return web.Response(body=encode_start_response(response))

    async def _flush(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        reply = decode_reply(await request.read())
        self.flushed.append(reply.request_id)
        self.desk.answered(reply)
        return web.Response(body=encode_flush_response(reply.request_id))

    async def _socket(self, socket: ServerConnection) -> None:
        assert isinstance(socket, JoinedConnection)
        connection = GatewayConnection(LibrarySocket(socket), self, self.config)
        self.connections.append(connection)
        try:
            await connection.run(draining=self.draining)
        finally:
            self.connections.remove(connection)

    # --- the desk of the connections -----------------------------------------------------------

    async def introduced(
        self, connection: GatewayConnection, worker: WorkerConnect
    ) -> Accepted | Rejected:
        self.workers.append(worker)
        return Accepted((EXTENSION_CHECKPOINT,) if self.checkpoints else ())

    def became(self, connection: GatewayConnection, *, routable: bool) -> None:
        if routable:
            self._loop.call_soon(self._dispatch)

    def taken(self, connection: GatewayConnection, request_id: str) -> None:
        self.desk.taken(request_id)

    def not_taken(self, connection: GatewayConnection, request_id: str, why: str) -> None:
        self.desk.not_taken(request_id, (0, id(connection)))

    def lease_asked(self, connection: GatewayConnection, asked: ExtendLease) -> None:
        self.extensions.append(time.monotonic())
        lease = self.desk.extend(asked.request_id, asked.lease_id, self._loop.time())
        connection.answer_lease(asked, lease)

    def reply_came(self, connection: GatewayConnection, reply: Reply) -> None:
        if not self.silent:
            self.desk.answered(reply)
            connection.acknowledge(reply.request_id)

    def checkpoint_came(self, connection: GatewayConnection, steps: Checkpoint) -> None:
        outcome = self.desk.save(steps.request_id, steps.sequence, steps.steps)
        connection.answer_checkpoint(steps, outcome)

    def status_came(self, connection: GatewayConnection, status: WorkerStatus) -> None:
        self.statuses.append(status)

    def ended(self, connection: GatewayConnection, reason: str) -> None:
        self.ends.append(reason)
