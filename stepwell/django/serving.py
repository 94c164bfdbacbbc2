"""Serve functions at a URL of a Django project. Sources: features C.9, E.2 (nestjs), E.3."""

import asyncio
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, URLPattern
from django.urls.resolvers import RegexPattern

from stepwell.django.connections import freshen_shared_thread, keep_fresh
from stepwell.sdk.client import Inngest
from stepwell.sdk.function import Function
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, ServeRequest, read_query
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse, StreamingResponseSync
from stepwell.sdk.serve.wsgi import headers_of
from stepwell.sdk.settings import Streaming

FRAMEWORK = "django"


def serve(
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: Streaming | None = None,
    trust_proxy: bool | None = None,
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
    )
    keep_fresh()
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
        response = handler.handle_sync(_request(request, request.read()))
        if by_coroutine:
            freshen_shared_thread()
        return _response(response)

    async def inngest_api_async(request: HttpRequest) -> HttpResponseBase:
        return _response(await handler.handle(_request(request, await _body(request))))

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


async def _body(request: HttpRequest) -> bytes:
    """The body, which lies in a file if it is large."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
        return request.read()
    return await asyncio.to_thread(request.read)


def _request(request: Any, body: bytes) -> ServeRequest:
    # For middleware that wants it, too: `request.body` has a limit that is too small for calls.
    request._body = body  # noqa: SLF001
    return ServeRequest(
        method=request.method or "",
        url=f"{request.scheme}://{_host(request)}{quote(request.path)}",
        headers=headers_of(request.META),
        query=read_query(request.META.get("QUERY_STRING", "")),
        body=body,
        raw=request,
    )


def _host(request: HttpRequest) -> str:
    try:
        return request.get_host()
    except DisallowedHost:
        # The project's hosts are for browsers; a server may know the app by another name.
        return str(request.META.get("HTTP_HOST", "localhost"))


def _response(
    response: ServeResponse | StreamingResponse | StreamingResponseSync,
) -> HttpResponseBase:
    headers = dict(response.headers)
    if isinstance(response, ServeResponse):
        return HttpResponse(response.body, status=response.status, headers=headers)
    return StreamingHttpResponse(response.chunks, status=response.status, headers=headers)
