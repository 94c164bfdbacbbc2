"""Every message a worker may send, as it should be, cut, mixed up and in any order."""

import asyncio
import contextlib
from random import Random

import aiohttp
import msgspec

from stepwell.wire.connect_decode import decode_start_response
from stepwell.wire.connect_encode import encode_frame
from stepwell.wire.connect_limit import SUBPROTOCOL
from stepwell.wire.connect_pb2 import ConnectMessage
from stepwell.wire.connect_word import AppConfig, Kind, StartResponse, WorkerConnect
from tools.attack.attackers.http_fuzz import any_body
from tools.attack.target import Target

SOCKETS = 12
MESSAGES = 40
ULID = "01JQDAE4RQ0000000000000001"
FAULT = "has a fault"
RUNTIME = {"type": "ws", "url": "wss://connect?fnId=attacked-fn&stepId=step"}


async def attack(target: Target, chance: Random) -> str:
    """Connections may be closed for what they say, none has a fault, and the server goes on."""
    faults = target.logged().count(FAULT)
    sent = 0
    async with aiohttp.ClientSession() as http:
        for _ in range(SOCKETS):
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                sent += await _one(target, http, chance)
        for _ in range(SOCKETS):
            body = _payload(chance)
            async with http.post(f"{target.url}/v0/connect/flush", data=body) as answer:
                if answer.status >= 500 and answer.status != 503:
                    raise AssertionError(f"{answer.status} for a flush of {body[:2000]!r}")
    if target.logged().count(FAULT) != faults:
        raise AssertionError("a connection had a fault: see the server's log")
    return f"{sent} messages on {SOCKETS} sockets, {SOCKETS} flushes"


async def _one(target: Target, http: aiohttp.ClientSession, chance: Random) -> int:
    async with http.post(f"{target.url}/v0/connect/start", data=b"") as answer:
        started = decode_start_response(await answer.read())
    port = chance.choice((target.port, target.gateway_port))
    url = f"ws://127.0.0.1:{port}/v0/connect?{started.gateway_endpoint.partition('?')[2]}"
    async with http.ws_connect(url, protocols=(SUBPROTOCOL,)) as socket:
        await socket.receive(timeout=10)
        if chance.random() < 0.8:
            await socket.send_bytes(encode_frame(_introduction(started, chance)))
            await socket.receive(timeout=10)
        for number in range(MESSAGES):
            if chance.random() < 0.05:
                await socket.send_str("text")
            else:
                await socket.send_bytes(_frame(chance))
            if socket.closed:
                return number
        await asyncio.sleep(0.05)
    return MESSAGES


def _introduction(started: StartResponse, chance: Random) -> WorkerConnect:
    function = {
        "id": "attacked-fn",
        "name": "fn",
        "triggers": [{"event": "attacked"}],
        "steps": {"step": {"id": "step", "name": "step", "runtime": RUNTIME}},
    }
    functions = msgspec.json.encode([function]) if chance.random() < 0.7 else any_body(chance)
    return WorkerConnect(
        connection_id=started.connection_id,
        instance_id="attacker",
        session_token=started.session_token,
        sync_token=started.sync_token,
        capabilities=b"{}" if chance.random() < 0.8 else any_body(chance),
        apps=(AppConfig("attacked", functions),),
        sdk_version="v1",
        sdk_language="py",
    )


def _frame(chance: Random) -> bytes:
    kind = chance.choice([int(kind) for kind in Kind])
    frame = ConnectMessage(kind=kind, payload=_payload(chance)).SerializeToString()
    if chance.random() < 0.2:
        at = chance.randrange(len(frame) + 1)
        frame = frame[:at] + bytes([chance.randrange(256)]) * chance.randrange(3)
    return frame


def _payload(chance: Random) -> bytes:
    """Fields of protobuf: numbers and texts at every place, trace contexts of ours among them."""
    if chance.random() < 0.2:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(60)))
    place = b'{"stepwell":["%s","a"]}' % ULID.encode()
    deep = b'{"stepwell":' + b"[" * 100_000
    texts = (b"", ULID.encode(), ULID.encode(), place, deep, b"\xff", any_body(chance))
    payload = b""
    for field in sorted(chance.sample(range(1, 20), chance.randrange(1, 15))):
        if chance.random() < 0.15:
            payload += _varint(field << 3) + _varint(chance.choice((0, 1, 2**31, 2**63)))
        else:
            text = chance.choice(texts)[: 1 << 18]
            payload += _varint(field << 3 | 2) + _varint(len(text)) + text
    return payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
