"""Serve functions as a WSGI application: mount it anywhere, or run it by itself.

    app = stepwell.wsgi.serve(client, [function])

`async def` functions run on the process's background loop. Sources: features F-31, E.1, E.3.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias, cast
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from stepwell.sdk.client import Inngest
from stepwell.sdk.function import Function
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest, read_headers, read_query
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.settings import Streaming

FRAMEWORK = "wsgi"

WsgiApp: TypeAlias = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def serve(
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: Streaming | None = None,
    trust_proxy: bool | None = None,
) -> WsgiApp:
    """A WSGI application that serves these functions on every path.

    The arguments are those of `stepwell.asgi.serve`.
    """
    handler = ServeHandler(
        client,
        functions,
        framework=FRAMEWORK,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        streaming=streaming,
        trust_proxy=trust_proxy,
    )

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = handler.handle_sync(request_from(environ))
        headers = list(response.headers.items())
        phrase = _PHRASES.get(response.status, "Unknown")
        if isinstance(response, ServeResponse):
            headers.append(("content-length", str(len(response.body))))
            start_response(f"{response.status} {phrase}", headers)
            return [response.body]
        start_response(f"{response.status} {phrase}", headers)
        return response.chunks

    return app


def request_from(environ: WSGIEnvironment) -> ServeRequest:
    """A WSGI request as the serve handler takes it."""
    headers = read_headers(
        (name[5:].replace("_", "-"), value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    )
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.lower().replace("_", "-")] = environ[name]
    host = headers.get("host") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    # WSGI hands over the bytes of the path as Latin-1.
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1")
    return ServeRequest(
        method=environ["REQUEST_METHOD"],
        url=f"{environ['wsgi.url_scheme']}://{host}{quote(path)}",
        headers=headers,
        query=read_query(environ.get("QUERY_STRING", "")),
        body=_body(environ),
        raw=environ,
    )


def _body(environ: WSGIEnvironment) -> bytes:
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdecimal():
        return cast(bytes, stream.read(int(length)))
    # Without a length only a server that ends the stream by itself may be read to its end.
    return cast(bytes, stream.read()) if environ.get("wsgi.input_terminated") else b""
