"""The SDK's shared HTTP client, on aiohttp, in both colours.

A coroutine uses a pool that belongs to its own loop and is closed with it; blocking code uses the
pool of the process's background loop. A fork leaves the child without pools; it opens its own.
Imported when the first request is made (`shared.py`), because the library takes memory and
time that many processes never need.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager, suppress
from urllib.request import getproxies

import aiohttp
from yarl import URL

from stepwell.sdk import background
from stepwell.sdk.net.pooled_framing import reads_plainly
from stepwell.sdk.net.port import HttpReply, NetworkError, Trouble, in_words, trouble_of
from stepwell.sdk.net.redirect import REDIRECTS_MAX, headers_for, place_of

CONNECTIONS_MAX = 100
KEEP_ALIVE_SECONDS = 15.0


class _Pool:
    """The connections of one event loop."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_SECONDS
        )
        reads_plainly(connector)
        self.session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Content-Type"),
            # Asking for proxies costs a walk over the environment per request: only if there are.
            trust_env=bool(getproxies()),
        )
        self._guard = _closed_with_its_loop(self.session)

    async def watch(self) -> None:
        """Tie the pool to the running loop: when the loop shuts down, the connections close."""
        await anext(self._guard)

    async def close(self) -> None:
        await self._guard.aclose()
        await self.session.close()

    def drop(self) -> None:
        """Let go of a pool whose loop was closed without being shut down: nobody can wait."""
        closing = self.session.close()
        with suppress(Exception):
            closing.send(None)  # as far as it gets without its loop
        closing.close()


async def _closed_with_its_loop(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    # A loop ends the generators that were begun on it before it closes (asyncio.Runner, uvicorn,
    # pytest-asyncio all do): the one moment at which a library may close what it opened there.
    try:
        yield
    finally:
        await session.close()


class AiohttpPort:
    """The implementation of HttpPort: keep-alive pools, one per event loop."""

    def __init__(self) -> None:
        self._pools: dict[asyncio.AbstractEventLoop, _Pool] = {}
        self._pid = os.getpid()
        self._left_behind: list[object] = []
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def _pool(self) -> _Pool:
        if self._pid != os.getpid():
            # The parent's sockets: kept, because collecting them would write to them.
            self._left_behind.append(self._pools)
            self._pools = {}
            self._pid = os.getpid()
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None or pool.session.closed:
            self._sweep()
            pool = self._pools[loop] = _Pool()
            await pool.watch()
        return pool

    def _sweep(self) -> None:
        """Forget the pools of loops that are no more."""
        for loop in [loop for loop in list(self._pools) if loop.is_closed()]:
            pool = self._pools.pop(loop, None)
            if pool is not None and not pool.session.closed:
                pool.drop()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request on the running loop's pool. Raises NetworkError if no answer came."""
        pool = await self._pool()
        timeout = self._timeouts.get(timeout_seconds)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=timeout_seconds)
            self._timeouts = {**self._timeouts, timeout_seconds: timeout}
        try:
            place = URL(url, encoded=True)
            for _ in range(REDIRECTS_MAX + 1):
                found = await _asked(pool.session, method, place, headers, body, timeout)
                if isinstance(found, HttpReply):
                    return found
                headers, place = headers_for(headers, place, found), found
            raise NetworkError(f"{method} {url}: redirected more than {REDIRECTS_MAX} times")
        except TimeoutError as error:
            raise NetworkError(
                f"{method} {url}: no answer within {timeout_seconds:g} s", "timeout"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NetworkError(f"{method} {url}: {in_words(error)}", _trouble(error)) from error

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

    async def listen(
        self, url: str, *, headers: Mapping[str, str], silence_seconds: float
    ) -> "Stream":
        """See `StreamPort`. A redirect is an answer like any other."""
        pool = await self._pool()
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=silence_seconds, sock_read=silence_seconds
        )
        with _in_words("GET", url):
            answer = await pool.session.get(
                URL(url, encoded=True), headers=headers, timeout=timeout, allow_redirects=False
            )
        return Stream(answer)

    async def close(self) -> None:
        """Close the running loop's pool now. The next request opens another."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()


async def _asked(
    session: aiohttp.ClientSession,
    method: str,
    place: URL,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: aiohttp.ClientTimeout,
) -> HttpReply | URL:
    """One answer, or where it redirects to."""
    async with session.request(
        method, place, headers=headers, data=body, timeout=timeout, allow_redirects=False
    ) as answer:
        found = place_of(place, answer.status, answer.headers.get("location"))
        if found is not None:
            return found
        read = await answer.read()
        return HttpReply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, read)


class Stream:
    """An answer that is read while it arrives; see `ByteStream`."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status

    async def read(self) -> bytes:
        """See `ByteStream`."""
        with _in_words("GET", str(self._answer.url.with_query(None))):
            return await self._answer.content.readany()

    async def close(self) -> None:
        """See `ByteStream`."""
        self._answer.close()


@contextmanager
def _in_words(method: str, url: str) -> Generator[None]:
    """What goes wrong is a NetworkError."""
    try:
        yield
    except TimeoutError as error:
        raise NetworkError(f"{method} {url}: nothing was heard in time", "timeout") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NetworkError(f"{method} {url}: {in_words(error)}", _trouble(error)) from error


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, aiohttp.ClientConnectorError):
        return "refused"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "lost"
    return trouble_of(error)
