"""A gateway made by hand after the page of the protocol, byte by byte: it shares no code with ours.

It behaves as the reference does where ours does not: it knows no extensions and refuses a flush
without a trace context. Everything it hears is kept; what it says out of turn, a test says.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any, Self

from aiohttp import web
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

HELLO, CONNECT, READY_SENT, REQUEST, READY = 0, 1, 2, 3, 4
ACK, REPLY, REPLY_ACK, PAUSE, BEAT, BEAT_BACK = 5, 6, 7, 8, 9, 10
CLOSING, EXTEND, EXTEND_ACK, SYNC_FAILED, STATUS = 11, 12, 13, 14, 15
ULID = "01M82GQD21KW6NBR2HCQQ7JA9S"
Fields = dict[int, list[bytes | int]]


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def packed(**fields: bytes | str | int) -> bytes:
    """A message; `f3="x"` is field 3."""
    out = b""
    for name, value in fields.items():
        number = int(name[1:])
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def parsed(data: bytes) -> Fields:
    """The fields of a message, whatever they mean."""
    found: Fields = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            found.setdefault(key >> 3, []).append(number())
            continue
        assert key & 7 == 2, f"wire type {key & 7}"
        size = number()
        found.setdefault(key >> 3, []).append(data[at : at + size])
        at += size
    return found


def frame(kind: int, payload: bytes = b"") -> bytes:
    """The envelope. A hello is nothing at all."""
    return (packed(f1=kind) if kind else b"") + (packed(f2=payload) if payload else b"")


def text(fields: Fields, number: int) -> str:
    value = fields.get(number, [b""])[0]
    assert isinstance(value, bytes)
    return value.decode()


class OfficialGateway:
    """Start call, flush and one WebSocket port, on the loop of the test."""

    def __init__(self, *, extend: str = "1s", heartbeat: str = "1s", ready: bool = True) -> None:
        self.extend, self.heartbeat, self.ready = extend, heartbeat, ready
        self.starts: list[Fields] = []
        self.flushed: list[Fields] = []
        self.heard: list[tuple[int, Fields]] = []
        self.closed: list[tuple[int | None, str]] = []
        self.sockets: list[ServerConnection] = []
        self.subprotocols: list[str | None] = []
        self.acknowledges = True
        self.grants = True
        self.requests = 0
        self._leases = 0
        self._gateway: Server | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 << 20)
        app.router.add_post("/v0/connect/start", self._start)
        app.router.add_post("/v0/connect/flush", self._flush)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._gateway = await serve(
            self._socket,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("v0.connect.inngest.com")],
            compression=None,
            max_size=8_388_608,
            ping_interval=None,
            close_timeout=0.2,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._gateway is not None
        assert self._runner is not None
        self._gateway.close()
        await self._gateway.wait_closed()
        await self._runner.cleanup()

    # --- what a test asks -----------------------------------------------------------------------

    def said(self, kind: int) -> list[Fields]:
        """What the worker said of one kind."""
        return [fields for heard, fields in self.heard if heard == kind]

    async def say(self, kind: int, payload: bytes = b"") -> None:
        """Say something over the newest socket."""
        await self.sockets[-1].send(frame(kind, payload))

    async def call(self, slug: str = "app-fn", **more: bytes | str) -> str:
        """Ask for a call, as the reference does; gives its request id."""
        self.requests += 1
        request_id = f"R{self.requests}"
        event = {"name": "test/event", "data": {}, "id": "e", "ts": 1}
        body = {
            "ctx": {
                "attempt": 0,
                "disable_immediate_execution": False,
                "fn_id": "fn",
                "run_id": "run-1",
                "stack": {"current": 0, "stack": []},
                "use_api": False,
            },
            "event": event,
            "events": [event],
            "steps": {},
            "use_api": False,
            "version": -1,
        }
        fields: dict[str, Any] = {
            "f1": request_id,
            "f2": "acct",
            "f3": "env",
            "f4": "app-id",
            "f5": "app",
            "f6": "fn-id",
            "f7": slug,
            "f8": "step",
            "f9": json.dumps(body),
            "f10": '{"traceparent":"00-s"}',
            "f11": '{"traceparent":"00-u"}',
            "f12": "run-1",
            "f13": ULID,
            "f14": "job-1",
            **more,
        }
        await self.say(REQUEST, packed(**fields))
        return request_id

    def answer_to(self, request_id: str) -> Fields | None:
        """The reply to a request, over the socket or by flush."""
        replies = [*self.said(REPLY), *self.flushed]
        return next((r for r in replies if text(r, 1) == request_id), None)

    # --- what it does by itself ---------------------------------------------------------------

    async def _start(self, request: web.Request) -> web.Response:
        self.starts.append(parsed(await request.read()))
        assert self._gateway is not None
        port = next(iter(self._gateway.sockets)).getsockname()[1]
        endpoint = f"ws://127.0.0.1:{port}/v0/connect"
        body = packed(f1=ULID, f2=endpoint, f3="gw-dev", f4="session", f5="sync")
        return web.Response(body=body, content_type="application/octet-stream")

    async def _flush(self, request: web.Request) -> web.Response:
        reply = parsed(await request.read())
        if not text(reply, 11):
            return web.Response(status=400, text="could not unmarshal system trace ctx")
        self.flushed.append(reply)
        return web.Response(body=packed(f1=text(reply, 1)))

    async def _socket(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        self.subprotocols.append(socket.subprotocol)
        await socket.send(b"")
        try:
            async for message in socket:
                assert isinstance(message, bytes)
                await self._hear(socket, parsed(message))
        except ConnectionClosed:
            pass
        self.closed.append((socket.close_code, socket.close_reason or ""))

    async def _hear(self, socket: ServerConnection, envelope: Fields) -> None:
        kind = envelope.get(1, [0])[0]
        payload = envelope.get(2, [b""])[0]
        assert isinstance(kind, int)
        assert isinstance(payload, bytes)
        fields = parsed(payload)
        self.heard.append((kind, fields))
        answers: dict[int, bytes] = {}
        if kind == CONNECT and self.ready:
            answers[READY_SENT] = packed(f1=self.heartbeat, f2=self.extend, f3="0s")
        elif kind == BEAT:
            answers[BEAT_BACK] = b""
        elif kind == REPLY and self.acknowledges:
            answers[REPLY_ACK] = packed(f1=text(fields, 1))
        elif kind == EXTEND:
            self._leases += 1
            lease: dict[str, Any] = {"f6": f"lease-{self._leases}"} if self.grants else {}
            answers[EXTEND_ACK] = packed(f1=text(fields, 1), f5=text(fields, 5), **lease)
        for answer, body in answers.items():
            with suppress(ConnectionClosed):
                await socket.send(frame(answer, body))


async def until(condition: Any, within_s: float = 15.0) -> None:
    """Wait for something to come true."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
