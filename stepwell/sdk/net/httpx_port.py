"""An HTTP client that users bring along (E-80): the only place that knows what httpx's are like.

httpx is not imported: its `Client` and `AsyncClient` are known by their methods. A blocking one
works in a thread; one of asyncio belongs to the loop on which it was first used.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Protocol, runtime_checkable

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.port import CallableHttp, HttpCallable, HttpPort, http_port


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
