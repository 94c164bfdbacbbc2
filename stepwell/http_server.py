"""Serve functions with the standard library alone, for scripts, tests and notebooks.

handler = stepwell.http_server.serve(client, [function])
ThreadingHTTPServer(("127.0.0.1", 8000), handler).serve_forever()
"""

import re
from collections.abc import Iterable
from email.message import Message
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any, Unpack, cast
from urllib.parse import urlsplit

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import ServeRequest, read_headers, read_query
from stepwell.sdk.serve.response import ServeResponse, StreamingResponseSync
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.HTTP_SERVER

_LINE_BYTES = 65_537
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,8}")


class InngestRequestHandler(BaseHTTPRequestHandler):
    """Answers every path. `serve` makes a subclass with functions; yours may call `answer`."""

    protocol_version = "HTTP/1.1"
    # A head and a body are two writes; a kept connection would hold the second back for 40 ms.
    disable_nagle_algorithm = True
    handler: ServeHandler

    def answer(self) -> None:
        """Answer one request to the endpoint."""
        try:
            body = read_body(self.headers, self.rfile)
        except ValueError as error:
            self.close_connection = True
            return self.send_error(400, str(error))
        parts = urlsplit(self.path)
        address = cast("tuple[str, int]", self.server.server_address)
        host = self.headers.get("host") or f"{address[0]}:{address[1]}"
        request = ServeRequest(
            method=self.command,
            url=f"http://{host}{parts.path}",
            headers=read_headers(self.headers.items()),
            query=read_query(parts.query),
            body=body,
            raw=self,
        )
        response = self.handler.handle_sync(request)
        if isinstance(response, StreamingResponseSync):
            return self._stream(response)
        self._begin(response, ("content-length", str(len(response.body))))
        self.wfile.write(b"" if self.command == "HEAD" else response.body)
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - its names

    def _begin(
        self, response: ServeResponse | StreamingResponseSync, *more: tuple[str, str]
    ) -> None:
        self.send_response(response.status)
        for name, value in (*response.headers.items(), *more):
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, response: StreamingResponseSync) -> None:
        chunked = self.request_version != "HTTP/1.0"
        self._begin(response, *([("transfer-encoding", "chunked")] if chunked else []))
        self.close_connection = not chunked
        try:
            for chunk in response.chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            self.wfile.write(b"0\r\n\r\n" if chunked else b"")
        except ConnectionError:
            self.close_connection = True  # the client went away
        finally:
            response.chunks.close()


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """A request's body, by its length or in chunks. Raises ValueError for what is neither."""
    coding = headers.get("transfer-encoding")
    if coding is None:
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise ValueError(f"content-length {length!r}: expected a number of bytes")
        return stream.read(int(length))
    if coding.strip().lower() != "chunked":
        raise ValueError(f"transfer-encoding {coding!r}: expected chunked")
    parts: list[bytes] = []
    while size := _chunk_size(stream.readline(_LINE_BYTES)):
        parts.append(stream.read(size))
        stream.readline(_LINE_BYTES)  # the end of the chunk
    while stream.readline(_LINE_BYTES).strip():
        pass  # what may be said after the body
    return b"".join(parts)


def _chunk_size(line: bytes) -> int:
    told = line.partition(b";")[0].strip()
    if not _HEXADECIMAL.fullmatch(told):
        raise ValueError(f"a chunk begins with {told!r}: expected its size in hexadecimal digits")
    return int(told, 16)


def serve(
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: StreamingChoice | None = None,
    trust_proxy: bool | None = None,
    **more: Unpack[MoreOptions],
) -> type[InngestRequestHandler]:
    """A request handler for `http.server` that serves these functions on every path.

    The arguments are those of `stepwell.asgi.serve`. Use `ThreadingHTTPServer`: calls may last.
    """
    serving = ServeHandler(
        client,
        functions,
        framework=FRAMEWORK,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        streaming=streaming,
        trust_proxy=trust_proxy,
        **more,
    )
    return type("InngestHandler", (InngestRequestHandler,), {"handler": serving})
