"""Tells of middleware of the project that answers the server in place of the functions.

Django gives an adapter no application to look at, so this is a middleware, the first of them all.
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.serve.refused import Refusals

_served: dict[Inngest, Refusals] = {}


def watched(client: Inngest) -> None:
    """Functions of this client are served by a URL of the project."""
    _served.setdefault(client, Refusals(client))


class RefusalsMiddleware:
    """Put it first into `MIDDLEWARE`: the log says once when another one refuses the server.

    It looks at answers alone, for plain and for asynchronous requests, and changes none.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """What answers the request; a coroutine function behind ASGI."""
        self._get_response = get_response
        # Django marks what it hands over in the way of asgiref, as of Python 3.11 none other works.
        self._is_async = iscoroutinefunction(get_response)  # pyright: ignore[reportDeprecated]
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Pass a request on."""
        if self._is_async:
            return self._answered(request)
        response = cast(HttpResponseBase, self._get_response(request))
        _note(request, response)
        return response

    async def _answered(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self._get_response(request)
        _note(request, response)
        return response


def _note(request: HttpRequest, response: HttpResponseBase) -> None:
    if response.status_code < 300:
        return
    names = {name.lower() for name in response.headers}
    for refusals in _served.values():
        refusals.note(request.method or "", request.path, response.status_code, names)
