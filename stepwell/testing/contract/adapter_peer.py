"""The other side of an endpoint, for the adapter contract: a server to register at, calls to make.

Nothing here knows a framework.
"""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import msgspec

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.wire.canonical import jcs_value
from stepwell.wire.signature import sign

APP = "contract"
PATIENCE_SECONDS = 10.0


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def send(
    method: str,
    url: str,
    body: bytes | Iterator[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One HTTP request over a connection of its own; parts of a body are sent in chunks."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS * 3)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, found, answer.read())
    finally:
        connection.close()


class InngestServer:
    """A server that registers apps and hands out the state of runs, and notes how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: dict[str, tuple[int, object]] = {
            "/fn/register": (200, {"ok": True, "modified": True})
        }
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                raw = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append(
                    (self.command, self.path, headers, json.loads(raw) if raw else None)
                )
                status, body = outer.answers.get(urlsplit(self.path).path, (404, {}))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            do_GET = do_POST = answer  # noqa: N815 - the names http.server looks for

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        poll = {"poll_interval": 0.02}
        threading.Thread(target=self._server.serve_forever, kwargs=poll, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class Event(Protocol):
    """What happens once, between threads or between processes."""

    def set(self) -> None:
        """It happens."""
        ...

    def clear(self) -> None:
        """It may happen once more."""
        ...

    def is_set(self) -> bool:
        """Has it happened?"""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Has it happened within so many seconds?"""
        ...


class Endpoint:
    """A served app, the server it registers at, and what its functions do to be observed."""

    def __init__(
        self, server: InngestServer, client: Inngest, event: Callable[[], Event] = threading.Event
    ) -> None:
        self.server = server
        self.client = client
        self.url = ""
        self.released = event()
        self.waiting = event()
        self.left = event()
        self.functions = _functions(self)

    def call(
        self,
        function: str,
        data: object = None,
        *,
        steps: Mapping[str, object] | None = None,
        key: str | None = None,
        **changes: object,
    ) -> Reply:
        """What a server does to run a function; with `key` the call is signed."""
        body = call_body(data, steps or {}, **changes)
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["x-inngest-signature"] = sign(body, key, now_ms())
        return send("POST", self.call_url(function), body, headers)

    def release_soon(self) -> None:
        """Let what waits go on, a moment after it has begun to wait."""
        self.waiting.wait(PATIENCE_SECONDS)
        time.sleep(0.15)
        self.released.set()

    def call_url(self, function: str) -> str:
        """Where a function is called."""
        return f"{self.url}?fnId={quote(f'{APP}-{function}')}&stepId=step"


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def call_body(data: object, steps: Mapping[str, object], **changes: object) -> bytes:
    """The body of a call, in canonical form."""
    event: dict[str, Any] = {"name": "contract/event", "data": data or {}, "id": "e", "ts": 1}
    ctx = {
        "attempt": 0,
        "disable_immediate_execution": False,
        "max_attempts": 1,
        "run_id": "01M82BFDSEAXH732SHZM7R2J1X",
        "stack": {"current": len(steps), "stack": list(steps)},
        "use_api": False,
    }
    body: dict[str, Any] = {
        "ctx": ctx,
        "event": event,
        "events": [event],
        "steps": dict(steps),
        "version": 2,
        **changes,
    }
    return jcs_value(body)


def _functions(endpoint: Endpoint) -> list[Function[Any]]:
    client, trigger = endpoint.client, TriggerEvent(event="contract/event")

    @client.create_function(fn_id="async", trigger=trigger)
    async def asynchronous(ctx: Context) -> object:
        async def one() -> str:
            return "ü"

        return [await ctx.step.run("one", one), ctx.event.data.get("said")]

    @client.create_function(fn_id="sync", trigger=trigger)
    def synchronous(ctx: ContextSync) -> object:
        return [ctx.step.run("one", lambda: "ü"), ctx.event.data.get("said")]

    @client.create_function(fn_id="grüße", trigger=trigger)
    def greet(ctx: ContextSync) -> str:
        return f"日本 {ctx.event.data['to']}"

    @client.create_function(fn_id="size", trigger=trigger)
    async def measure(ctx: Context) -> int:
        return len(str(ctx.event.data["text"]))

    @client.create_function(fn_id="fails", trigger=trigger)
    def fail(ctx: ContextSync) -> None:
        raise ValueError("on purpose")

    @client.create_function(fn_id="waits", trigger=trigger)
    def wait(ctx: ContextSync) -> str:
        endpoint.waiting.set()
        return "released" if endpoint.released.wait(PATIENCE_SECONDS) else "forgotten"

    @client.create_function(fn_id="lingers", trigger=trigger)
    async def linger(ctx: Context) -> str:
        endpoint.waiting.set()
        try:
            for _ in range(int(PATIENCE_SECONDS / 0.02)):
                if endpoint.released.is_set():
                    return "released"
                await asyncio.sleep(0.02)
        finally:
            endpoint.left.set()
        return "forgotten"

    return [asynchronous, synchronous, greet, measure, fail, wait, linger]
