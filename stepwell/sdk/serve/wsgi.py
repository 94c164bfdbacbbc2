"""Between WSGI and the serve handler: the request in, the answer out, whole or in pieces.

What every WSGI framework's adapter shares.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest, read_query
from stepwell.sdk.serve.response import ServeResponse

_UNPREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class WsgiEndpoint:
    """A WSGI application that answers on every path."""

    def __init__(self, handler: ServeHandler) -> None:
        self._handler = handler

    @property
    def methods(self) -> tuple["WsgiEndpoint", "WsgiEndpoint", "WsgiEndpoint"]:
        """For endpoint files: `GET, POST, PUT = serve(...).methods`."""
        return (self, self, self)

    def __iter__(self) -> Iterator["WsgiEndpoint"]:
        """The same without a name: `GET, POST, PUT = serve(...)`."""
        return iter(self.methods)

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
    headers = WsgiHeaders(environ)
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
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


class WsgiHeaders(Mapping[str, str]):
    """The request's headers, names in lower case; only those that are asked for are looked at."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return cast(str, self._environ[_key(name)])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _key(name) in self._environ

    def get(self, name: str, default: Any = None) -> Any:
        """The header's value, or the default."""
        return self._environ.get(_key(name), default)

    def __iter__(self) -> Iterator[str]:
        for key in self._environ:
            if key.startswith("HTTP_"):
                yield key[5:].replace("_", "-").lower()
            elif key in _UNPREFIXED and self._environ[key]:
                yield key.replace("_", "-").lower()

    def __len__(self) -> int:
        return sum(1 for _ in self)


@lru_cache(256)
def _key(name: str) -> str:
    """What a header is called in the environment of WSGI."""
    key = name.upper().replace("-", "_")
    return key if key in _UNPREFIXED else f"HTTP_{key}"


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
