"""The server's one way to make an HTTP request: pooled, redirected with its body, bounded, and
with words for whatever goes wrong.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, TypeAlias
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from stepwell.server.config.network import Networks
from stepwell.server.drivers.old_framing import reads_plainly
from stepwell.wire import limit

KEEP_ALIVE_S: Final = 4.0
"""Shorter than what common servers allow, so that they seldom close first."""
CONNECT_TIMEOUT_S: Final = 10.0
BODY_IN_PLACE_BYTES_MAX: Final = 1 << 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_URLS_REMEMBERED_MAX = 10_000
_LOOPBACK: Final = (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6))


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end (or to just beyond the limit). Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """No usable HTTP answer came. `message` is for people, `reason` the machine's own words."""

    def __init__(self, message: str, reason: str) -> None:
        """What to tell, and what was seen."""
        super().__init__(message)
        self.message = message
        self.reason = reason


class HttpPool:
    """Connections to apps, kept open between calls. Belongs to one event loop."""

    def __init__(
        self, timeout_s: float = limit.CALL_MS_MAX / 1000, networks: Networks | None = None
    ) -> None:
        """`timeout_s` bounds one whole request, its redirects included; `networks` says which
        addresses may be connected to, all of them without it."""
        self._networks = networks
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        bytes_max: int = limit.REPLY_BODY_BYTES_MAX,
        timeout_s: float | None = None,
        stays: bool = False,
    ) -> Answer:
        """Send a request and read its answer; redirects repeat method, headers and body.

        To another origin only headers go along that are nobody's secret; with `stays` none is
        followed there.
        An answer beyond `bytes_max` is cut off one byte after it. Raises `NoAnswer`.
        """
        timeout = self._timeout
        if timeout_s is not None:
            timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        target = self._parsed(url)
        for _ in range(limit.CALL_REDIRECTS_MAX + 1):
            found = await self._once(method, target, headers, body, bytes_max, timeout)
            if isinstance(found, Answer):
                return found
            if not _is_same_origin(target, found):
                if stays:
                    raise NoAnswer(_ELSEWHERE.format(url=url, place=found.origin()), "redirect")
                headers = _harmless(headers)
            target = found
        most = limit.CALL_REDIRECTS_MAX
        raise NoAnswer(f"{url} redirects more than {most} times: correct the app's URL", "redirect")

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()
        self._session = self._fresh = None

    async def _once(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes,
        bytes_max: int,
        timeout: aiohttp.ClientTimeout,
    ) -> Answer | URL:
        """One request; one more on a fresh connection if a kept one turned out to be closed: the
        others that are kept may be closed, too."""
        try:
            return await self._send(self._kept(), method, url, headers, body, bytes_max, timeout)
        except _Stale:
            return await self._send(self._unkept(), method, url, headers, body, bytes_max, timeout)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes,
        bytes_max: int,
        timeout: aiohttp.ClientTimeout,
    ) -> Answer | URL:
        _on_kept_connection.set(False)
        reading = False
        try:
            async with session.request(
                method,
                url,
                headers={_canonical(name): value for name, value in headers.items()},
                data=BytesIO(body) if len(body) > BODY_IN_PLACE_BYTES_MAX else body,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                if response.status in _REDIRECTS and (place := response.headers.get("location")):
                    return _redirected(url, place)
                reading = True
                content = await _read(response, bytes_max)
                named = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, named, content)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if _on_kept_connection.get() and not reading and _is_reset(error):
                raise _Stale from error
            raise self._explained(url, error, reading=reading) from error

    def _kept(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _session(
                _Connector(
                    keepalive_timeout=KEEP_ALIVE_S,
                    resolver=_Resolver(),
                    socket_factory=_guarded(self._networks),
                )
            )
        return self._session

    def _unkept(self) -> aiohttp.ClientSession:
        if self._fresh is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                force_close=True,
                resolver=_Resolver(),
                socket_factory=_guarded(self._networks),
            )
            self._fresh = _session(connector)
        return self._fresh

    def _parsed(self, url: str) -> URL:
        known = self._urls.get(url)
        if known is None:
            try:
                known = URL(url, encoded=True)
            except ValueError as error:
                raise NoAnswer(f"{url!r} is no URL: correct the app's URL", str(error)) from None
            if known.scheme not in ("http", "https") or not known.host:
                raise NoAnswer(f"{url!r} must begin with http:// or https://", "scheme")
            if len(self._urls) < _URLS_REMEMBERED_MAX:
                self._urls[url] = known
        return known

    def _explained(self, url: URL, error: Exception, *, reading: bool) -> NoAnswer:
        where = url.with_query(None)
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        if isinstance(error, NoAnswer):
            return error
        if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
            return NoAnswer(f"{where} has no certificate this server trusts: {error}", reason)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            wait = f"{CONNECT_TIMEOUT_S:.0f} s"
            return NoAnswer(f"Unable to reach {where}: no connection within {wait}", reason)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return NoAnswer(f"Unable to reach {where}: its host name is not known", reason)
        if isinstance(error, aiohttp.ClientConnectorError) and _FLAG in str(error.os_error):
            return NoAnswer(f"Unable to reach {where}: {error.os_error}", "denied")
        if isinstance(error, aiohttp.ClientConnectorError):
            return NoAnswer(f"Unable to reach {where}: connection refused; is it running?", reason)
        if isinstance(error, TimeoutError):
            return NoAnswer(f"{where} did not answer within {self._timeout_s:g} s", reason)
        if _is_reset(error) or isinstance(error, aiohttp.ClientPayloadError):
            doing = "reading the reply" if reading else "sending the request"
            return NoAnswer(f"Your server reset the connection while we were {doing}.", reason)
        return NoAnswer(f"{where} gave an answer that is no HTTP: {error}", reason)


class _Denied(OSError):
    """An address that may not be connected to."""


_AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
_MakeSocket: TypeAlias = Callable[[_AddressInfo], socket.socket]


def _guarded(networks: Networks | None) -> _MakeSocket | None:
    """Makes sockets for addresses that are allowed: names were looked up by then, once."""
    if networks is None:
        return None

    def made(info: _AddressInfo) -> socket.socket:
        family, kind, protocol, _, place = info
        address = str(place[0])
        if not networks.may_reach(address):
            raise _Denied(_DENIED.format(address=address))
        return socket.socket(family, kind, protocol)

    return made


_FLAG = "--fetch-deny"
_DENIED = (
    "{address} is an address that steps may not have the server ask: see "
    f"{_FLAG} and --fetch-allow"
)
_ELSEWHERE = (
    "{url} redirects to another origin, {place}, where its secrets are not sent: correct the URL"
)
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}


def _is_same_origin(here: URL, there: URL) -> bool:
    """The same, or the same made secure."""
    if (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port):
        return True
    secured = (here.scheme, there.scheme) == ("http", "https") and here.host == there.host
    return secured and here.is_default_port() and there.is_default_port()


@lru_cache(4096)
def _canonical(name: str) -> str:
    """A header's name as servers in Go write it: there are apps that look for no other spelling."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    reads_plainly(connector)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Content-Type"),
    )


class _Stale(Exception):
    """A kept connection had been closed by the other side before the request reached it."""


_on_kept_connection: ContextVar[bool] = ContextVar("_on_kept_connection", default=False)
"""Whether the request under way in this context was given a connection that had served before."""


class _Connector(aiohttp.TCPConnector):
    """Notes whether a connection was a kept one: an app may have closed it in the moment of the
    call, which is then made again. (A trace would tell too, and cost a third of a request.)"""

    def __init__(
        self,
        *,
        keepalive_timeout: float,
        resolver: AbstractResolver,
        socket_factory: _MakeSocket | None,
    ) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            limit=0,
            keepalive_timeout=keepalive_timeout,
            resolver=resolver,
            ttl_dns_cache=30,
            socket_factory=socket_factory,
        )
        self._used = WeakSet[asyncio.BaseProtocol]()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,
    ) -> Connection:
        """As ever; the caller's context learns what it was given."""
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        if protocol is not None:
            _on_kept_connection.set(protocol in self._used)
            self._used.add(protocol)
        return connection


class _Resolver(AbstractResolver):
    """`localhost` is both loopback addresses, always; other names are asked of the system."""

    def __init__(self) -> None:
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host, in the order in which they are tried."""
        if host != "localhost":
            return await self._system.resolve(host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address, kind in _LOOPBACK
        ]

    async def close(self) -> None:
        """Nothing is held."""
        await self._system.close()


def _is_reset(error: Exception) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError):
        return False
    return isinstance(
        error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError
    )


def _redirected(url: URL, place: str) -> URL:
    try:
        target = url.join(URL(place, encoded=True))
    except ValueError:
        raise NoAnswer(f"{url} redirects to {place!r}, which is no URL", "redirect") from None
    if target.scheme not in ("http", "https"):
        raise NoAnswer(f"{url} redirects to {place!r}: only http and https are followed", "scheme")
    return target


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    chunk = await response.content.readany()
    if response.content.at_eof():
        return chunk[: bytes_max + 1]
    chunks = bytearray(chunk)
    while chunk and len(chunks) <= bytes_max:
        chunk = await response.content.readany()
        chunks += chunk
    del chunks[bytes_max + 1 :]
    return bytes(chunks)
