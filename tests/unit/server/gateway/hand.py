"""A worker made by hand: says exactly what a test wants, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.run import Run
from stepwell.server.serving import Server
from stepwell.wire.connect_decode import decode_frame, decode_start_response
from stepwell.wire.connect_encode import encode_frame, encode_reply
from stepwell.wire.connect_limit import SUBPROTOCOL
from stepwell.wire.connect_word import (
    AppConfig,
    ConnectionReady,
    ExecutorRequest,
    ExtendLease,
    GatewayHello,
    Message,
    Reply,
    ReplyStatus,
    RequestAck,
    StartResponse,
    WorkerConnect,
    WorkerMessage,
)

FREE = ServerConfig(port=0, connect_gateway_port=0)
CAPABILITIES = b'{"connect":"v1","checkpoint":"v1"}'


def functions(*slugs: str, event: str = "go", retries: int = 0) -> bytes:
    """What a worker registers: functions that listen to one event."""
    return msgspec.json.encode(
        [
            {
                "id": slug,
                "name": slug,
                "triggers": [{"event": event}],
                "steps": {
                    "step": {
                        "id": "step",
                        "name": "step",
                        "retries": {"attempts": retries},
                        "runtime": {
                            "type": "ws",
                            "url": f"wss://connect?fnId={slug}&stepId=step",
                        },
                    }
                },
            }
            for slug in slugs
        ]
    )


class Hand:
    """One worker: its HTTP, and the socket it has open."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http
        self.ws: ClientConnection | None = None
        self.started: StartResponse | None = None

    async def start(self) -> StartResponse:
        """The start call."""
        async with self.http.post(f"{self.server.url}/v0/connect/start", data=b"") as answer:
            assert answer.status == 200, await answer.text()
            self.started = decode_start_response(await answer.read())
        return self.started

    async def dial(self, url: str | None = None, **options: Any) -> None:
        """Open the socket; the hello is taken."""
        started = await self.start()
        self.ws = await connect(
            url or started.gateway_endpoint,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=None,
            **options,
        )
        assert await self.hear() == GatewayHello()

    def introduction(self, **changes: Any) -> WorkerConnect:
        assert self.started is not None
        values: dict[str, Any] = {
            "connection_id": self.started.connection_id,
            "instance_id": "hand",
            "session_token": self.started.session_token,
            "sync_token": self.started.sync_token,
            "capabilities": CAPABILITIES,
            "apps": (AppConfig("app", functions("app-fn")),),
            "sdk_version": "v1",
            "sdk_language": "py",
        }
        return WorkerConnect(**(values | changes))

    async def join(self, *, settled: bool = True, **changes: Any) -> ConnectionReady:
        """Dial and introduce; the worker is ready afterwards, unless it means to say so itself."""
        await self.dial()
        await self.say(self.introduction(**changes))
        ready = await self.hear()
        assert isinstance(ready, ConnectionReady), ready
        while settled and not changes.get("manual_readiness") and not self._is_ready():
            await asyncio.sleep(0.005)
        return ready

    def _is_ready(self) -> bool:
        assert self.started is not None
        mine = self.started.connection_id
        sessions = self.server.gateway.sessions
        return any(s.worker.connection_id == mine and s.connection.routable() for s in sessions)

    async def say(self, message: WorkerMessage | bytes | str) -> None:
        assert self.ws is not None
        plain = message if isinstance(message, bytes | str) else encode_frame(message)
        await self.ws.send(plain)

    async def hear(self) -> Message:
        assert self.ws is not None
        frame = await self.ws.recv()
        assert isinstance(frame, bytes)
        return decode_frame(frame, bytes_max=1 << 30)

    async def closed(self) -> tuple[int, str]:
        """How the gateway ended the socket; what it said before is ignored."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed as ended:
            received = ended.rcvd
            return (1006, "") if received is None else (received.code, received.reason)

    async def take(self) -> ExecutorRequest:
        """The next request, claimed."""
        while not isinstance(request := await self.hear(), ExecutorRequest):
            pass
        await self.say(acknowledgement(request))
        return request

    async def flush(self, reply: Reply | bytes) -> tuple[int, str]:
        body = reply if isinstance(reply, bytes) else encode_reply(reply)
        async with self.http.post(f"{self.server.url}/v0/connect/flush", data=body) as answer:
            return answer.status, await answer.text(errors="replace")

    async def send(self, name: str = "go", data: object = None) -> str:
        body = {"name": name, "data": data or {}}
        async with self.http.post(f"{self.server.url}/e/k", json=body) as answer:
            return str((await answer.json(content_type=None))["ids"][0])

    def run(self, event: str) -> Run:
        (run,) = self.server.node.reader.runs_of_event(event)
        return run

    async def close(self) -> None:
        if self.ws is not None:
            with suppress(AttributeError):  # of a transport that is gone already
                await self.ws.close(1000, "WORKER_SHUTDOWN")


Pair = tuple[Server, Hand]


async def until(condition: Callable[[], object], within_s: float = 5) -> None:
    """Wait for something to come true."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def ended(hand: Hand, event: str) -> Run:
    """The run an event caused, once it is over."""
    await until(lambda: hand.run(event).ended)
    return hand.run(event)


def acknowledgement(request: ExecutorRequest) -> RequestAck:
    return RequestAck(
        request.request_id,
        request.account_id,
        request.env_id,
        request.app_id,
        request.function_slug,
        request.step_id,
        request.system_trace,
        request.user_trace,
        request.run_id,
    )


def extension(request: ExecutorRequest, lease_id: str | None = None) -> ExtendLease:
    return ExtendLease(
        request.request_id,
        request.account_id,
        request.env_id,
        request.app_id,
        request.function_slug,
        request.step_id,
        request.system_trace,
        request.user_trace,
        request.run_id,
        lease_id or request.lease_id,
    )


def answer(
    request: ExecutorRequest,
    body: bytes = b'"done"',
    status: ReplyStatus = ReplyStatus.DONE,
    **changes: Any,
) -> Reply:
    values: dict[str, Any] = {
        "sdk_version": "inngest-py:v1",
        "request_version": 2,
        "system_trace": request.system_trace,
        "user_trace": request.user_trace,
        "run_id": request.run_id,
    }
    return Reply(
        request.request_id,
        request.account_id,
        request.env_id,
        request.app_id,
        status,
        body,
        **(values | changes),
    )


@asynccontextmanager
async def server_and_hand(config: ServerConfig = FREE) -> AsyncIterator[tuple[Server, Hand]]:
    """A server, and one worker by hand."""
    async with (
        aiohttp.ClientSession() as http,
        Server(config, grace_s=0.1) as server,
    ):
        hand = Hand(server, http)
        try:
            yield server, hand
        finally:
            await hand.close()
