"""The HTTP port of the SDK: what is asked of a client, and the one everybody shares.

The shared client is in `pooled.py`, that of blocking code in `blocking.py`, the one worker
connections begin with in `plain.py`; no other module of the SDK opens an HTTP connection.

Law: a request that got no HTTP answer raises NetworkError; every answer, whatever its status, is
an HttpReply.
"""

import errno
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from inspect import isawaitable
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from stepwell.sdk import background

TIMEOUT_SECONDS_DEFAULT = 30.0

Trouble = Literal["refused", "timeout", "lost", "other"]


class HttpReply(msgspec.Struct, frozen=True):
    """An HTTP answer as it came, the body read to its end. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NetworkError(Exception):
    """No HTTP answer came. `trouble` says how far the request got; the cause is chained."""

    def __init__(self, message: str, trouble: Trouble = "other") -> None:
        super().__init__(message)
        self.trouble: Trouble = trouble


@runtime_checkable
class HttpPort(Protocol):
    """What the SDK needs of an HTTP client: one request at a time, from both colours of code."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request and read the whole answer. Raises NetworkError if none came."""
        ...

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """The same for blocking code."""
        ...


class SyncPort(Protocol):
    """The half of an HttpPort that blocking code needs."""

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request and wait for the answer. Raises NetworkError if none came."""
        ...


class _Shared:
    """The process's clients, each loaded with its library when it is first asked for."""

    def __init__(self) -> None:
        self._port: HttpPort | None = None
        self._blocking: SyncPort | None = None

    def _loaded(self) -> HttpPort:
        port = self._port
        if port is None:
            port = self._port = import_module("stepwell.sdk.net.pooled").AiohttpPort()
        return port

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See `AiohttpPort.request`."""
        return await self._loaded().request(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See `BlockingPort.request_sync`."""
        port = self._blocking
        if port is None:
            made = import_module("stepwell.sdk.net.blocking").BlockingPort(self._loaded)
            port = self._blocking = made
        return port.request_sync(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )


def in_words(error: Exception) -> str:
    """The kind of a trouble and what it says."""
    text = str(error) or "the connection was closed before an answer came"
    return f"{type(error).__name__}: {text}"


def trouble_of(error: Exception) -> Trouble:
    """How far a request got that ended with this."""
    if isinstance(error, TimeoutError):
        return "timeout"
    refused = getattr(error, "errno", None) == errno.ECONNREFUSED
    if refused or isinstance(error, ConnectionRefusedError):
        return "refused"
    return "lost" if isinstance(error, ConnectionError) else "other"


HttpCallable: TypeAlias = Callable[
    [str, str, Mapping[str, str], bytes | None, float],
    tuple[int, Mapping[str, str], bytes] | Awaitable[tuple[int, Mapping[str, str], bytes]],
]
"""`(method, url, headers, body, timeout_seconds)` gives `(status, headers, body)`, or awaits it."""


class CallableHttp:
    """An HttpPort made of one function: for other HTTP libraries, platforms, tests (E-80)."""

    def __init__(self, function: HttpCallable) -> None:
        self._function = function

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Call the function. What it raises, other than NetworkError, becomes one."""
        try:
            found = self._function(method, url, headers, body, timeout_seconds)
            status, answered, read = await found if isawaitable(found) else found
        except NetworkError:
            raise
        except Exception as error:
            raise NetworkError(
                f"{method} {url}: http_client raised {in_words(error)}", trouble_of(error)
            ) from error
        return HttpReply(status, {k.lower(): v for k, v in answered.items()}, read)

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """The same for blocking code, by way of the process's background loop."""
        return background.run(
            self.request(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)
        )


def http_port(given: HttpPort | HttpCallable) -> HttpPort:
    """A port as it is, or one made of a function."""
    if isinstance(given, HttpPort):
        return given
    return CallableHttp(given)


_shared = _Shared()


def shared_port() -> HttpPort:
    """The process's HTTP port, which every client uses unless it was given another."""
    return _shared
