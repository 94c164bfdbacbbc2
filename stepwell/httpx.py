"""httpx within durable functions: each request of a client is a step that the server does.

Needs the extra `httpx`. Give the transport to a client of your own, or to a library that takes one:
`httpx.AsyncClient(transport=DurableTransport())`.
"""

from stepwell.sdk.extra import Extra

with Extra("httpx", "durable requests"):
    import httpx

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step._async import Step
from stepwell.sdk.step._sync import StepSync
from stepwell.sdk.step.ambient import get_step_context
from stepwell.sdk.step.ask import Fetched

_OF_A_CONNECTION = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}
)
_OF_A_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class DurableTransport(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Has the server make each request that a function's handler makes, as a step.

    The step's id is the method, the host and the path, such as `GET api.example.com/users/1`. A
    request that was answered is not made again when the function is called again; one that gets no
    answer is tried again as a step is, and StepError is raised when that is in vain. Outside a
    function and inside a step, requests go the usual way.

    Bodies of requests and answers must be text. The time limits of the client are not the server's.
    """

    def __init__(
        self,
        *,
        fallback: httpx.AsyncBaseTransport | None = None,
        fallback_sync: httpx.BaseTransport | None = None,
    ) -> None:
        """The fallbacks make requests where there is no step: of an AsyncClient, of a Client. Left
        out, httpx's own transports do."""
        self._fallback = fallback
        self._fallback_sync = fallback_sync

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Have a request made.

        Raises ConfigurationError for a body that is no text, and in a plain handler.
        """
        tools = _tools()
        if tools is None:
            self._fallback = self._fallback or httpx.AsyncHTTPTransport()
            return await self._fallback.handle_async_request(request)
        if isinstance(tools, StepSync):
            raise ConfigurationError("httpx.AsyncClient in a plain handler: use httpx.Client there")
        await request.aread()
        return _response(
            request,
            await tools.fetch(
                _step_id(request),
                str(request.url),
                method=request.method,
                headers=_forwarded(request),
                body=_text(request),
            ),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Have a request made.

        Raises ConfigurationError for a body that is no text, and in a handler that is a coroutine.
        """
        tools = _tools()
        if tools is None:
            self._fallback_sync = self._fallback_sync or httpx.HTTPTransport()
            return self._fallback_sync.handle_request(request)
        if isinstance(tools, Step):
            raise ConfigurationError("httpx.Client in a coroutine: use httpx.AsyncClient there")
        request.read()
        return _response(
            request,
            tools.fetch(
                _step_id(request),
                str(request.url),
                method=request.method,
                headers=_forwarded(request),
                body=_text(request),
            ),
        )

    async def aclose(self) -> None:
        """Close the usual transport, if it was used."""
        if self._fallback is not None:
            await self._fallback.aclose()

    def close(self) -> None:
        """Close the usual transport, if it was used."""
        if self._fallback_sync is not None:
            self._fallback_sync.close()


def _tools() -> Step | StepSync | None:
    try:
        return get_step_context()
    except LookupError:
        return None


def _step_id(request: httpx.Request) -> str:
    return f"{request.method} {request.url.host}{request.url.path}"


def _forwarded(request: httpx.Request) -> dict[str, str]:
    return {
        name: value
        for name, value in request.headers.items()
        if name.lower() not in _OF_A_CONNECTION
    }


def _text(request: httpx.Request) -> str | None:
    try:
        return request.content.decode() or None
    except UnicodeDecodeError:
        raise ConfigurationError(
            f'request "{_step_id(request)}": its body is no text, and servers carry text alone:'
            " make it in a step of your own"
        ) from None


def _response(request: httpx.Request, fetched: Fetched) -> httpx.Response:
    kept = {
        name: str(value)
        for name, value in fetched.headers.items()
        if name.lower() not in _OF_A_BODY
    }
    headers = httpx.Headers(kept, encoding="utf-8")
    content = fetched.body.encode()
    return httpx.Response(fetched.status, headers=headers, content=content, request=request)
