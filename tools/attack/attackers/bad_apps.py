"""An app that registers and then answers calls as no app should."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random

from tools.attack.target import Target

RUNS = 24
WAIT_S = 2.0
SDK = "x-inngest-sdk: py:v0.5.19"
Way = Callable[[Random], bytes]


def _answer(body: bytes, status: str = "206 Partial Content", *more: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *more)
    return "\r\n".join((*lines, "", "")).encode() + body


WAYS: Mapping[str, Way] = {
    "garbage": lambda chance: chance.randbytes(2_000),
    "nothing": lambda chance: b"",
    "no JSON": lambda chance: _answer(chance.randbytes(500)),
    "deep": lambda chance: _answer(b"[" * 100_000),
    "half": lambda chance: _answer(b"[]" * 500)[:200],
    "no operations": lambda chance: _answer(b"[]"),
    "unknown operation": lambda chance: _answer(b'[{"id":"a","op":"Fly","data":1}]'),
    "a step that was not asked for": lambda chance: _answer(
        json.dumps([{"id": f"{chance.random()}", "op": "StepPlanned", "name": "a"}]).encode()
    ),
    "the same step": lambda chance: _answer(b'[{"id":"a","op":"StepRun","name":"a","data":1}]'),
    "too long": lambda chance: _answer(b'"' + b"x" * (9 << 20) + b'"', "200 OK"),
    "a redirect": lambda chance: _answer(b"", "307 Go", "location: http://127.0.0.1:1/x"),
    "many headers": lambda chance: _answer(b"1", "200 OK", *(f"a{n}: b" for n in range(3_000))),
    "long lists": lambda chance: _answer(b"[" + b"[]," * 200_000 + b"0]", "200 OK", SDK),
    "a step of numbers": lambda chance: _answer(
        b'[{"id":"a","op":"StepRun","data":[' + b"1.5e17," * 80_000 + b"0]}]",
        "206 Partial Content",
        SDK,
    ),
    "odd status": lambda chance: _answer(b"1", f"{chance.randrange(100, 999)} Odd"),
}


async def attack(target: Target, chance: Random) -> str:
    """The server calls it in its own time, and goes on."""
    ways = chance.sample(sorted(WAYS), 4)
    calls: dict[str, int] = dict.fromkeys(ways, 0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            way = chance.choice(ways)
            calls[way] += 1
            writer.write(WAYS[way](chance))
            await writer.drain()
        writer.close()

    app = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    url = f"http://127.0.0.1:{app.sockets[0].getsockname()[1]}/api/inngest"
    name = f"bad-{chance.randrange(1 << 30)}"
    try:
        await _post(target, "/fn/register", _registration(name, url))
        events = [{"name": f"{name}/go", "data": {"n": n}} for n in range(RUNS)]
        await _post(target, "/e/k", events)
        await asyncio.sleep(WAIT_S)
    finally:
        app.close()
        await target.ask(
            f"DELETE /fn/remove?url={url} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        )
    made = sum(calls.values())
    if made > RUNS * 20:
        raise AssertionError(f"{made} calls in {WAIT_S:.0f} s: {calls}")
    return f"{made} calls of an app that answers {', '.join(ways)}"


def _registration(name: str, url: str) -> object:
    slug = f"{name}-work"
    step = {"id": "step", "name": "step", "runtime": {"type": "http", "url": url}}
    return {
        "url": url,
        "deployType": "ping",
        "framework": "none",
        "appName": name,
        "sdk": "py:v0.5.19",
        "v": "0.1",
        "functions": [
            {
                "id": slug,
                "name": "work",
                "triggers": [{"event": f"{name}/go"}],
                "steps": {"step": {**step, "retries": {"attempts": 1}}},
            }
        ],
    }


async def _post(target: Target, path: str, body: object) -> None:
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(text)}\r\n\r\n"
    answer = await target.ask(head.encode() + text)
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        raise AssertionError(f"{path}: {answer[:300]!r}")
