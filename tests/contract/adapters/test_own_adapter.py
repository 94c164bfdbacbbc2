"""A adapter of one's own, said as actions, keeps the contract of adapters."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stepwell.http_server import read_body
from stepwell.serve import (
    SERVE_PATH_DEFAULT,
    Adapter,
    CommHandler,
    ServeResponse,
    StreamingResponse,
    StreamingResponseSync,
)
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import in_a_thread


class Small(Adapter[None]):
    """The adapter of a framework that writes its answers by itself."""

    def __init__(self, request: BaseHTTPRequestHandler) -> None:
        self.request = request

    def method(self) -> str:
        return self.request.command

    def url(self) -> str:
        return f"http://{self.request.headers['host']}{self.request.path}"

    def headers(self, key: str) -> str | None:
        return self.request.headers.get(key)

    def body(self) -> bytes:
        return read_body(self.request.headers, self.request.rfile)

    def transform_response(self, response: ServeResponse) -> None:
        self.begin(response)
        if self.request.command != "HEAD":
            self.request.wfile.write(response.body)

    def transform_streaming_response(
        self, response: StreamingResponse | StreamingResponseSync
    ) -> None:
        assert isinstance(response, StreamingResponseSync)
        self.begin(response)
        try:
            for chunk in response.chunks:
                self.request.wfile.write(chunk)
        except ConnectionError:
            pass
        finally:
            response.chunks.close()

    def begin(self, response: ServeResponse | StreamingResponseSync) -> None:
        self.request.send_response(response.status)
        for name, value in response.headers.items():
            self.request.send_header(name, value)
        self.request.end_headers()


class TestOwnDoor(AdapterContract):
    framework = "small"

    @contextmanager
    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> Iterator[str]:
        route = CommHandler(client, functions, framework="small", **options).create_sync(Small)
        path = mount + SERVE_PATH_DEFAULT

        class Framework(BaseHTTPRequestHandler):
            def answer(self) -> None:
                if self.path.partition("?")[0].rstrip("/") == path:
                    route(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Framework)
        with in_a_thread(server):
            yield f"http://127.0.0.1:{server.server_port}"
