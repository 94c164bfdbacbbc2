"""The SDK's HTTP client for blocking code: a kept connection per thread and origin.

No event loop takes part, which is three times as cheap as asking one from another thread. What is
out of the ordinary (proxies, redirects, URLs of other schemes) is left to the shared client.
"""

import http.client
import os
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from stepwell.sdk.net.blocking_framing import Response
from stepwell.sdk.net.port import (
    REDIRECTS,
    HttpPort,
    HttpReply,
    NetworkError,
    in_words,
    trouble_of,
)

IDLE_SECONDS_MAX = 15.0
_CHUNK_BYTES = 64 * 1024
_PLAIN_URL = re.compile(r"[!-~]+")


class _Kept:
    """A connection, and when it was last used."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.used_at = time.monotonic()
        self.pid = os.getpid()

    def __del__(self) -> None:
        """Its thread has ended."""
        if self.connection.sock is not None and self.pid == os.getpid():
            self.connection.close()

    def is_stale(self) -> bool:
        """Was it idle for long, or has the other side closed it, or said what nobody asked?"""
        sock: socket.socket | None = self.connection.sock
        if sock is None or time.monotonic() - self.used_at > IDLE_SECONDS_MAX:
            return True
        try:
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return bool(poll.poll(0))
        except (AttributeError, OSError, ValueError):  # there is no poll on some systems
            return True


class _Threads(threading.local):
    """The connections of one thread, by origin."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.kept: dict[tuple[str, str], _Kept] = {}
        self.left_behind: list[object] = []


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


class BlockingPort:
    """Requests of blocking code; `other` is asked for what is out of the ordinary."""

    def __init__(self, other: Callable[[], HttpPort]) -> None:
        self._other = other
        self._threads = _Threads()
        self._proxied = bool(getproxies())

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request. Raises NetworkError if no answer came."""
        parts = None if self._proxied else _ordinary(url)
        if parts is not None:
            deadline = time.monotonic() + timeout_seconds
            try:
                reply = self._asked(parts, method, headers, body, deadline)
            except TimeoutError as error:
                raise NetworkError(
                    f"{method} {url}: no answer within {timeout_seconds:g} s", "timeout"
                ) from error
            except (http.client.HTTPException, OSError, ValueError) as error:
                trouble = trouble_of(error)
                raise NetworkError(f"{method} {url}: {in_words(error)}", trouble) from error
            if reply.status not in REDIRECTS:
                return reply
        return self._other().request_sync(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )

    def _asked(
        self,
        parts: SplitResult,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
    ) -> HttpReply:
        origin = (parts.scheme, parts.netloc)
        kept = self._taken(origin) or _Kept(_opened(parts))
        connection = kept.connection
        try:
            connection.timeout = _left(deadline)
            if connection.sock is None:
                connection.connect()
            sock: socket.socket = cast(Any, connection.sock)
            sock.settimeout(_left(deadline))
            sock.sendall(_written(parts, method, headers, body))
            reply, is_kept = _answer(sock, method, deadline)
        except BaseException:
            connection.close()
            raise
        if is_kept:
            kept.used_at = time.monotonic()
            self._threads.kept[origin] = kept
        else:
            connection.close()
        return reply

    def _taken(self, origin: tuple[str, str]) -> _Kept | None:
        """A connection that can be used again; nobody else has it meanwhile."""
        mine = self._threads
        if mine.pid != os.getpid():
            # The parent's sockets: kept, because collecting them would write to them.
            mine.left_behind.append(mine.kept)
            mine.kept, mine.pid = {}, os.getpid()
        kept = mine.kept.pop(origin, None)
        if kept is not None and kept.is_stale():
            kept.connection.close()
            return None
        return kept


def _ordinary(url: str) -> SplitResult | None:
    """The parts of an ordinary URL; None for any other."""
    try:
        parts = urlsplit(url)
        plain = parts.username is None and parts.port != 0 and _PLAIN_URL.fullmatch(url)
    except ValueError:
        return None
    return parts if plain and parts.scheme in ("http", "https") and parts.hostname else None


def _opened(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, context=_certificates())
    return http.client.HTTPConnection(host, parts.port)


def _written(
    parts: SplitResult, method: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """The request in one piece: one call of the system. Raises ValueError for a broken header."""
    query = f"?{parts.query}" if parts.query else ""
    lines = [
        f"{method} {parts.path or '/'}{query} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Length: {len(body or b'')}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a header holds a line break")
    return b"".join((text.encode("latin-1"), b"\r\n\r\n", body or b""))


def _left(deadline: float) -> float:
    """Seconds that are left. Raises TimeoutError if none are."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _answer(sock: socket.socket, method: str, deadline: float) -> tuple[HttpReply, bool]:
    """The answer, and whether the connection can be used again."""
    sock.settimeout(_left(deadline))
    answer = Response(sock, method=method)
    try:
        answer.begin()
        read: list[bytes] = []
        while not answer.isclosed():
            sock.settimeout(_left(deadline))
            read.append(answer.read(_CHUNK_BYTES))
    finally:
        answer.close()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return HttpReply(answer.status, headers, b"".join(read)), not answer.will_close
