"""Durable endpoints as views of a Django project."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, Unpack, cast

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.db.transaction import non_atomic_requests
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from stepwell.django.connections import keep_fresh, outside_request
from stepwell.django.serving import FRAMEWORK
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.serve.called import is_inngest_request
from stepwell.sdk.serve.durable import DurableEndpoint, EndpointOptions, told_response
from stepwell.sdk.serve.request import ServeRequest, read_query
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.serve.wsgi import WsgiHeaders
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.wire.endpoint import HttpAnswer

_GUARDS = (
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
)
_STATUSES = ((Http404, 404), (PermissionDenied, 403), (SuspiciousOperation, 400))
Handler: TypeAlias = (
    Callable[[Context[Any], HttpRequest], Awaitable[Any]]
    | Callable[[ContextSync[Any], HttpRequest], Any]
)


def endpoint(
    client: Inngest, **options: Unpack[EndpointOptions]
) -> Callable[[Handler], Callable[..., Any]]:
    """Make a durable endpoint of a handler `(ctx, request)`, to be a view: its steps are saved
    while the caller waits. What the URL captured is in `request.resolver_match`.

    The arguments are those of `stepwell.starlette.endpoint`. What it returns is an `HttpResponse`,
    or anything that JSON can hold. A CSRF token and a login are asked of callers as of any view,
    and not of the server, which signs.
    """

    keep_fresh()

    def decorate(handler: Handler) -> Callable[..., Any]:
        durable = DurableEndpoint(
            client,
            handler,
            FRAMEWORK,
            _read,
            options,
        )
        view = _view_async(durable) if durable.is_async else _view(durable)
        # The server has no token and no session: whoever else asks is judged in the view.
        cast(Any, view).csrf_exempt, cast(Any, view).login_required = True, False
        for alias in connections:
            # Steps are not undone with a transaction around the request.
            view = non_atomic_requests(using=alias)(view)
        return durable.named(view)

    return decorate


def _view(durable: DurableEndpoint) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, *_: object, **__: object) -> HttpResponseBase:
        given = _given(request)
        refused = _guarded(request, given.headers)
        if refused is not None:
            return refused
        if durable.is_streamed(given):
            if isinstance(request, ASGIRequest):
                return async_to_sync(_streamed)(durable, given, _query(request))
            return _streamed_sync(durable, given, _query(request))
        return _answered(durable.answer_sync(given, _query(request)))

    return view


def _view_async(durable: DurableEndpoint) -> Callable[..., Awaitable[HttpResponseBase]]:
    async def view(request: HttpRequest, *_: object, **__: object) -> HttpResponseBase:
        given = _given(request)
        refused = _guarded(request, given.headers)
        if refused is not None:
            return refused
        if durable.is_streamed(given):
            if isinstance(request, ASGIRequest):
                return await _streamed(durable, given, _query(request))
            # Behind WSGI this loop ends with the view.
            return _streamed_sync(durable, given, _query(request))
        return _answered(await durable.answer(given, _query(request)))

    return view


def _given(request: HttpRequest) -> ServeRequest:
    return ServeRequest(
        method=request.method or "",
        url=request.build_absolute_uri(request.path),
        headers=WsgiHeaders(request.META),
        query=read_query(_query(request)),
        body=request.body,
        raw=request,
    )


def _query(request: HttpRequest) -> str:
    return str(request.META.get("QUERY_STRING", ""))


def _guarded(request: HttpRequest, headers: Mapping[str, str]) -> HttpResponseBase | None:
    """What the project's own guards say to a caller, where they do not let it pass."""
    if is_inngest_request(headers):
        return None
    for name in settings.MIDDLEWARE:
        if name in _GUARDS:
            guard = import_string(name)(_nothing)
            refused: HttpResponseBase | None = guard.process_view(request, _nothing, (), {})
            if refused is not None:
                return refused
    return None


def _nothing(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse()


def _answered(found: ServeResponse) -> HttpResponse:
    return HttpResponse(found.body, status=found.status, headers=dict(found.headers))


async def _streamed(durable: DurableEndpoint, given: ServeRequest, query: str) -> HttpResponseBase:
    """What the handler says, to a caller behind ASGI."""
    told = outside_request().run(durable.streamed, given, query)
    return StreamingHttpResponse(told.chunks, status=told.status, headers=dict(told.headers))


def _streamed_sync(durable: DurableEndpoint, given: ServeRequest, query: str) -> HttpResponseBase:
    told = outside_request().run(durable.streamed_sync, given, query)
    return StreamingHttpResponse(told.chunks, status=told.status, headers=dict(told.headers))


def _read(value: Any) -> HttpAnswer | None:
    for kind, status in _STATUSES:
        if isinstance(value, kind):
            return HttpAnswer(status, {}, str(value))
    if not isinstance(value, HttpResponseBase):
        return None
    if not isinstance(value, HttpResponse):
        raise NonRetriableError("a durable endpoint answers with a whole response, no stream")
    return told_response(value.status_code, value.headers, value.content)
