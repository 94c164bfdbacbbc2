"""An HTTP client that users bring along, as a port: a function, or one of httpx.

httpx is not imported: its `Client` and `AsyncClient` are known by their methods. A blocking one
works in a thread; one of asyncio belongs to the loop on which it was first used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Protocol, TypeAlias, runtime_checkable

from stepwell.sdk import background
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.port import HttpPort, HttpReply, NetworkError, in_words, trouble_of

HttpCallable: TypeAlias = Callable[
    [str, str, Mapping[str, str], bytes | None, float],
    tuple[int, Mapping[str, str], bytes] | Awaitable[tuple[int, Mapping[str, str], bytes]],
]
"""`(method, url, headers, body, timeout_seconds)` gives `(status, headers, body)`, or awaits it."""


class CallableHttp:
    """An HttpPort made of one function: for other HTTP libraries, platforms, tests."""

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


@runtime_checkable
class HttpxClient(Protocol):
    """`httpx.Client` or `httpx.AsyncClient`."""

    @property
    def build_request(self) -> Any:
        """What tells it from others."""
        ...

    @property
    def request(self) -> Any:
        """Make one request."""
        ...


def port_of(given: HttpPort | HttpCallable | HttpxClient) -> HttpPort:
    """A port made of what a user gave. Raises ConfigurationError for what is none of these."""
    if isinstance(given, HttpPort):
        return given
    if isinstance(given, HttpxClient):
        return CallableHttp(_asking(given.request))
    if not callable(given):
        raise ConfigurationError(
            f"http_client = {given!r}: give a client of httpx, an HttpPort, or a function of"
            " method, url, headers, body and timeout_seconds"
        )
    return http_port(given)


def _asking(request: Any) -> HttpCallable:
    waits = iscoroutinefunction(request)

    async def ask(
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> tuple[int, Mapping[str, str], bytes]:
        made = partial(request, method, url, headers=headers, content=body, timeout=timeout_seconds)
        answer = await made() if waits else await asyncio.to_thread(made)
        return answer.status_code, answer.headers, answer.content

    return ask
