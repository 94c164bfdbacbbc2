"""Every route and method of the HTTP API, with bodies, paths and headers nobody would send."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from random import Random

from stepwell.server.api.app import ROUTES
from stepwell.server.api.v2.routes import ROUTES_V2
from tools.attack.target import Target

REQUESTS = 600
DEEP = 100_000
DEEP_IN = (b"{", b"{", b"[{", b'{"steps":[{"id":"a","op":"StepRun",')
EVENTS = (("POST", "/e/k"), ("POST", "/e/"), ("GET", "/health"), ("POST", "/v0/connect/start"))
PATHS = (
    *EVENTS,
    *((route.method, route.path) for route in ROUTES),
    *((route.method, root + route.path) for route in ROUTES_V2 for root in ("/v2", "/api/v2")),
    *(("POST", "/v0/connect/flush"), ("GET", "/v0/connect"), ("GET", "/v0/connect/envs/e/conns")),
    ("GET", "/v0/connect/envs/e/groups/{group}"),
    # A token in the address opens these.
    *(("GET", "/v1/realtime/sse"), ("GET", "/v1/realtime/connect")),
    *(("GET", "/v1/checkpoint/{run_id}/output"), ("GET", "/v1/http/runs/{run_id}/output")),
    *((method, "/session") for method in ("POST", "GET", "DELETE")),
    *(("POST", "/v0/telemetry"), ("GET", "/")),
)
DEEP_CURSOR = urlsafe_b64encode(b'{"x":' + b"[" * 9_000).decode()
QUERIES = (
    *("", "", "?limit=1", "?limit=-1", "?cursor=%00", "?since=x&until=9", "?a" * 99),
    *(f"?cursor={DEEP_CURSOR}", "?query=" + "(" * 4_000, "?query=" + "%5B" * 4_000),
)
KINDS = ("application/json", "text/plain", "application/x-www-form-urlencoded", "a/b")
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
IDS = (
    "01JQDAE4RQ0000000000000001",
    "0",
    "..",
    "%00",
    "%ff",
    "a" * 300,
    "%2e%2e%2f",
    "é",
    "{x}",
    "*",
)


async def attack(target: Target, chance: Random) -> str:
    """No answer is a 5xx, and the server goes on."""
    seen: dict[int, int] = {}
    for number in range(REQUESTS):
        request = made(chance, PATHS[number % len(PATHS)])
        status = await _answered(target, request)
        seen[status] = seen.get(status, 0) + 1
        if status >= 500 and status != 503:
            raise AssertionError(f"{status} for {request[:2000]!r}")
    told = ", ".join(f"{count} × {status or 'closed'}" for status, count in sorted(seen.items()))
    return f"{REQUESTS} requests: {told}"


def made(chance: Random, route: tuple[str, str]) -> bytes:
    """One request: mostly by the method of the route."""
    method, place = route
    if chance.random() < 0.2:
        method = chance.choice(METHODS)
    path = re.sub(r"\{[^}]*\}", lambda _: chance.choice(IDS), place)
    query = chance.choice(QUERIES)
    body = any_body(chance)
    kind = chance.choice(KINDS)
    head = (
        f"{method} {path}{query} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"content-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
        f"{chance.choice(HEADERS)}\r\n"
    )
    return head.encode() + body


HEADERS = (
    *("", "", "", "authorization: Bearer x\r\n", "x-inngest-event-id-seed: a,b\r\n"),
    *("expect: 100-continue\r\n", "origin: null\r\n", "x-inngest-expected-server-kind: cloud\r\n"),
    *("upgrade: h2c\r\nconnection: upgrade\r\n", "content-encoding: gzip\r\n"),
)


def any_body(chance: Random) -> bytes:
    """JSON that fits, nearly fits, or does not."""
    match chance.randrange(5):
        case 0:
            return chance.choice((b"", b"null", b"[]", b"{}", b"0", b'"', b"\xff\xfe", b"\x00" * 9))
        case 1:
            deep = chance.choice((b"[", b'{"a":', b"[[],")) * DEEP
            return chance.choice(DEEP_IN) + b'"%s":' % chance.choice(FIELDS).encode() + deep
        case 2:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
        case 3:
            text = json.dumps(any_value(chance, 4)).encode()
            at = chance.randrange(len(text) + 1)
            return text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
        case _:
            return json.dumps(any_object(chance)).encode()


FIELDS = (
    *("name", "data", "id", "ts", "user", "v", "meta", "signal", "steps", "run_id", "fn_id"),
    *("qi_id", "request_id", "generation_id", "url", "appName", "functions", "fromStep", "op"),
    *("opts", "error", "displayName", "sessions", "triggers", "concurrency", "capabilities"),
)


def any_object(chance: Random) -> object:
    """An object with fields the API knows and values it does not expect."""
    found = {name: any_value(chance, 3) for name in chance.sample(FIELDS, chance.randrange(1, 9))}
    if chance.random() < 0.2:
        deep: object = []
        for _ in range(chance.choice((50, 249, 250, 251, 900))):
            deep = [deep]
        found[chance.choice(FIELDS)] = deep
    return [found] * chance.randrange(3) if chance.random() < 0.2 else found


def any_value(chance: Random, depth: int) -> object:
    """Some JSON."""
    if depth and chance.random() < 0.5:
        if chance.random() < 0.5:
            return [any_value(chance, depth - 1) for _ in range(chance.randrange(4))]
        return {name: any_value(chance, depth - 1) for name in chance.sample(FIELDS, 2)}
    return chance.choice(
        (None, True, 0, -1, 2**53 + 1, 10**400, 1e308, -0.0, "", "x" * 5_000, "\ud800", "\0", *IDS)
    )


async def _answered(target: Target, request: bytes) -> int:
    """The status of the answer, 0 where the server closed instead."""
    reader, writer = await target.connect()
    try:
        writer.write(request)
        async with asyncio.timeout(30):
            line = await reader.readline()
        while line.startswith(b"HTTP/1.1 1"):
            while (await reader.readline()).strip():
                pass
            line = await reader.readline()
        return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0
    except ConnectionError:
        return 0
    finally:
        writer.transport.abort()
