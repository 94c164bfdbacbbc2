"""The HTTP port of the SDK: what is asked of a client, and what it answers.

Law: a request that got no HTTP answer raises NetworkError; every answer, whatever its status, is
an HttpReply.
"""

import errno
from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import msgspec

TIMEOUT_SECONDS_DEFAULT = 30.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})

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


class ByteStream(Protocol):
    """An answer that is read while it arrives."""

    status: int

    async def read(self) -> bytes:
        """The next piece; nothing once it has ended. Raises NetworkError. Loses nothing when it is
        cancelled."""
        ...

    async def close(self) -> None:
        """Read no more. Idempotent."""
        ...


class StreamPort(Protocol):
    """What gives answers that are read while they arrive."""

    async def listen(
        self, url: str, *, headers: Mapping[str, str], silence_seconds: float
    ) -> ByteStream:
        """Ask with GET. Raises NetworkError if no answer came, here and later where nothing is said
        for so long."""
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
