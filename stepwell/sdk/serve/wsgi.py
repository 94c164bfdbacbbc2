"""Between WSGI and the serve handler: the request in, the answer out, whole or in pieces.

What every WSGI framework's door shares. Sources: features E.1, E.3 (plain WSGI).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest, read_query
from stepwell.sdk.serve.response import ServeResponse

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class WsgiEndpoint:
    """A WSGI application that answers on every path."""

    def __init__(self, handler: ServeHandler) -> None:
        self._handler = handler

    def __iter__(self) -> Iterator["WsgiEndpoint"]:
        """For endpoint files: `GET, POST, PUT = serve(...)`."""
        return iter((self, self, self))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        response = self._handler.handle_sync(request_from(environ, body_of(environ), environ))
        headers = list(response.headers.items())
        if isinstance(response, ServeResponse):
            headers.append(("content-length", str(len(response.body))))
            start_response(status_line(response.status), headers)
            return [response.body]
        start_response(status_line(response.status), headers)
        return response.chunks


def status_line(status: int) -> str:
    """A status as WSGI wants it: with its phrase."""
    return f"{status} {_PHRASES.get(status, 'Unknown')}"


def request_from(environ: WSGIEnvironment, body: bytes, raw: object) -> ServeRequest:
    """A WSGI request as the serve handler takes it."""
    headers = headers_of(environ)
    host = headers.get("host") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    # WSGI hands over the bytes of the path as Latin-1.
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1")
    return ServeRequest(
        method=environ["REQUEST_METHOD"],
        url=f"{environ['wsgi.url_scheme']}://{host}{quote(path)}",
        headers=headers,
        query=read_query(environ.get("QUERY_STRING", "")),
        body=body,
        raw=raw,
    )


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers, names in lower case."""
    headers: dict[str, str] = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.lower().replace("_", "-")] = environ[name]
    return headers


def body_of(environ: WSGIEnvironment, read: Callable[[], bytes] | None = None) -> bytes:
    """The request's body, read from the server's stream.

    `read` is a framework's own way, which knows what was read before. Frameworks believe that a
    body of unknown length (one in chunks) is empty, or try to put together what the server has put
    together already: then the stream is read past them.
    """
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    # Without a length only a server that ends the stream by itself may be read to its end.
    if not length and environ.get("wsgi.input_terminated"):
        return cast(bytes, stream.read())
    if read is not None:
        return read()
    return cast(bytes, stream.read(int(length))) if length.isdecimal() else b""
