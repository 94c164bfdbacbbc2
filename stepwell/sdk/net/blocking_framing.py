"""Answers as blocking code reads them, those that `wire/old_framing.py` is about among them."""

import io
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, Request

from stepwell.wire.old_framing import CHUNK_LINE_BYTES_MAX, begins_with_chunk

_HTTP_1_0 = 10


class Response(HTTPResponse):
    """An answer of `http.client` whose body counts as chunked only where it is."""

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        own: Any = self
        if self.version != _HTTP_1_0 or not own.chunked or own.fp is None:
            return
        line = own.fp.readline(CHUNK_LINE_BYTES_MAX)
        own.fp = io.BufferedReader(_Again(line, own.fp))
        if not begins_with_chunk(line):
            own.chunked, self.will_close = False, True


class _Again(io.RawIOBase):
    """A stream whose first bytes were looked at."""

    def __init__(self, first: bytes, rest: io.BufferedReader) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        if not self._first:
            return self._rest.readinto1(room)
        some, self._first = self._first[: len(room)], self._first[len(room) :]
        room[: len(some)] = some
        return len(some)

    def close(self) -> None:
        self._rest.close()
        super().close()


class _Connection(HTTPConnection):
    response_class = Response


class _SecureConnection(HTTPSConnection):
    response_class = Response


class PlainHandler(HTTPHandler):
    """`http:` for an opener of `urllib.request`."""

    def http_open(self, req: Request) -> HTTPResponse:
        """Open a URL."""
        return self.do_open(_Connection, req)


class SecureHandler(HTTPSHandler):
    """`https:` for an opener of `urllib.request`."""

    def https_open(self, req: Request) -> HTTPResponse:
        """Open a URL."""
        return self.do_open(_SecureConnection, req)
