"""Serve functions at a URL of a Django project."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase, ResponseHeaders
from django.urls import ResolverMatch, URLPattern
from django.urls.resolvers import RegexPattern

from stepwell.django.connections import freshen_shared_thread, keep_fresh
from stepwell.django.refused import watched
from stepwell.django.request import body_behind_asgi, serve_request
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse, StreamingResponseSync
from stepwell.sdk.serve.wsgi import body_of
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.DJANGO


def serve(
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: StreamingChoice | None = None,
    trust_proxy: bool | None = None,
    **more: Unpack[MoreOptions],
) -> URLPattern:
    """A URL pattern for `api/inngest`, or for `serve_path`, that serves these functions.

    The arguments are those of `stepwell.asgi.serve`. CSRF tokens, logins and transactions around
    requests are not asked for, and no limit for bodies applies. Behind WSGI `async def` functions
    run on the process's background loop, behind ASGI plain ones in a pool of threads.
    """
    handler = ServeHandler(
        client,
        functions,
        framework=FRAMEWORK,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        streaming=streaming,
        trust_proxy=trust_proxy,
        **more,
    )
    keep_fresh()
    watched(client)
    return _pattern(handler, f"inngest_api_{client.app_id}")


class _Everything(frozenset[str]):
    """What every alias of a database is in."""

    def __contains__(self, item: object) -> bool:
        return True


class _Pattern(URLPattern):
    """A pattern with a view for each of Django's two worlds."""

    async_view: Any

    def resolve(self, path: str) -> ResolverMatch | None:
        """The coroutine where an event loop runs: Django's ASGI handler resolves on its loop."""
        match = super().resolve(path)
        if match is not None and _loop_runs():
            match.func = self.async_view
        return match


def _pattern(handler: ServeHandler, name: str) -> URLPattern:
    by_coroutine = any(function.is_handler_async for function in handler.table.by_id.values())

    def inngest_api(request: HttpRequest) -> HttpResponseBase:
        if by_coroutine:
            freshen_shared_thread()
        body = body_of(request.META, request.read)
        response = handler.handle_sync(serve_request(request, body))
        if by_coroutine:
            freshen_shared_thread()
        return _response(response)

    async def inngest_api_async(request: HttpRequest) -> HttpResponseBase:
        body = await body_behind_asgi(request)
        return _response(await handler.handle(serve_request(request, body)))

    views: tuple[Any, ...] = (inngest_api, inngest_api_async)
    for view in views:
        view.csrf_exempt = True
        view.login_required = False
        view._non_atomic_requests = _Everything()  # noqa: SLF001 - what Django's decorator sets
    path = (handler.serve_path or SERVE_PATH_DEFAULT).strip("/")
    # With or without a slash at the end: being redirected to it would make a GET of a POST.
    pattern = _Pattern(
        RegexPattern(f"^{re.escape(path)}/?$", is_endpoint=True), inngest_api, {}, name
    )
    pattern.async_view = inngest_api_async
    return pattern


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _response(
    response: ServeResponse | StreamingResponse | StreamingResponseSync,
) -> HttpResponseBase:
    made: HttpResponseBase
    if isinstance(response, ServeResponse):
        made = HttpResponse(response.body, status=response.status)
        made.headers = _Headers(response.headers)
        made.headers["content-length"] = str(len(response.body))
    else:
        made = StreamingHttpResponse(response.chunks, status=response.status)
        made.headers = _Headers(response.headers)
    return made


class _Headers(ResponseHeaders):
    """Headers whose names and values need no encoding, which Django would look for one by one."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._store = {name: (name, value) for name, value in headers.items()}
