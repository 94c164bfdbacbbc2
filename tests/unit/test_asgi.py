"""The ASGI adapter: requests as they come from odd servers, lifespans, and other kinds of scope."""

from typing import Any

import pytest

import stepwell
from stepwell.asgi import serve
from stepwell.sdk.serve.asgi import request_from

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "scheme": "https",
    "path": "/api/ü",
    "query_string": b"fnId=a%20b",
    "headers": [(b"Host", b"h.test"), (b"x-a", b"1"), (b"x-a", b"2")],
    "server": ("10.0.0.1", 81),
}


def url(**changes: Any) -> str:
    return request_from({**SCOPE, **changes}, b"", None).url


def test_requests_are_read() -> None:
    request = request_from(SCOPE, b"body", "raw")
    assert request.url == "https://h.test/api/%C3%BC"
    assert request.query == {"fnId": "a b"}
    assert request.headers == {"host": "h.test", "x-a": "1"}
    assert (request.method, request.body, request.raw) == ("GET", b"body", "raw")


def test_the_host_may_be_missing() -> None:
    assert url(headers=[]) == "https://10.0.0.1:81/api/%C3%BC"
    assert url(headers=[], server=None) == "https://localhost/api/%C3%BC"
    assert url(headers=[], server=("/run/x.sock", None)) == "https://localhost/api/%C3%BC"


def test_the_mount_point_counts_once() -> None:
    assert url(root_path="/sub", path="/sub/x") == "https://h.test/sub/x"
    assert url(root_path="/sub", path="/x") == "https://h.test/sub/x"


class Server:
    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)


async def run(scope: dict[str, Any], *messages: dict[str, Any]) -> list[Any]:
    app = serve(stepwell.Inngest(app_id="a", is_dev=True), [])
    server = Server(*messages)
    await app(scope, server.receive, server.send)
    return server.sent


async def test_a_body_in_pieces() -> None:
    piece = {"type": "http.request", "body": b"x", "more_body": True}
    start, body = await run(SCOPE, piece, {"type": "http.request"})
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()


async def test_a_client_that_never_finished() -> None:
    piece = {"type": "http.request", "body": b"x", "more_body": True}
    assert await run(SCOPE, piece, {"type": "http.disconnect"}) == []


async def test_lifespans_are_completed() -> None:
    sent = await run(
        {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    )
    assert [m["type"] for m in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_sockets_are_refused() -> None:
    assert await run({"type": "websocket"}) == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize("path", ["/", "/anything", "/.netlify/functions/inngest"])
async def test_every_path_is_answered(path: str) -> None:
    sent = await run({**SCOPE, "path": path}, {"type": "http.request"})
    assert sent[0]["status"] == 200
