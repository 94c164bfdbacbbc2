"""Serve functions in a Starlette application, and make durable endpoints of its handlers."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, Unpack

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, Router

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint, LookAtAnswers, request_from
from stepwell.sdk.serve.durable import DurableEndpoint, EndpointOptions, told_response
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, routed_paths
from stepwell.sdk.settings import StreamingChoice
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.wire.endpoint import HttpAnswer

FRAMEWORK = Framework.STARLETTE


def serve(
    app: Starlette | Router,
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
) -> None:
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Starlette app or router.

    The arguments are those of `stepwell.asgi.serve`.
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
    router = app.router if isinstance(app, Starlette) else app
    endpoint = AsgiEndpoint(handler, Request)
    for path in routed_paths(handler.serve_path or SERVE_PATH_DEFAULT):
        router.routes.append(
            Route(path, endpoint, methods=["GET", "POST", "PUT"], include_in_schema=False)
        )
    if isinstance(app, Starlette) and app.middleware_stack is None:
        app.add_middleware(LookAtAnswers, client=client)


Handler: TypeAlias = (
    Callable[[Context[Any], Request], Awaitable[Any]] | Callable[[ContextSync[Any], Request], Any]
)
View: TypeAlias = Callable[[Request], Awaitable[Response]]


def endpoint(client: Inngest, **options: Unpack[EndpointOptions]) -> Callable[[Handler], View]:
    """Make a durable endpoint of a handler `(ctx, request)`: its steps are saved while the caller
    waits for the answer. What it returns is a Response, or anything that JSON can hold.

    Where it must wait or try again, the caller is redirected (303) to where the answer will be, and
    the server goes on with the run. A caller that accepts `text/event-stream` hears what
    `stepwell.stream` is told meanwhile.

    The options are those of `EndpointOptions`: `fn_id`, `retries`, `async_response`. Raises
    ConfigurationError and FunctionConfigInvalidError for what cannot be meant.
    """
    return endpoint_of(FRAMEWORK, client, options)


def endpoint_of(
    framework: Framework, client: Inngest, options: EndpointOptions
) -> Callable[[Handler], View]:
    """As `endpoint`, for a framework that is made of this one."""

    def decorate(handler: Handler) -> View:
        durable = DurableEndpoint(
            client,
            handler,
            framework,
            _read,
            options,
        )

        async def view(request: Request) -> Response:
            given = request_from(request.scope, await request.body(), request)
            query = bytes(request.scope.get("query_string", b"")).decode("latin-1")
            if durable.is_streamed(given):
                told = durable.streamed(given, query)
                return StreamingResponse(told.chunks, told.status, dict(told.headers))
            found = await durable.answer(given, query)
            return Response(found.body, found.status, dict(found.headers))

        return durable.named(view)

    return decorate


def _read(value: Any) -> HttpAnswer | None:
    if isinstance(value, HTTPException):
        return HttpAnswer(value.status_code, dict(value.headers or {}), str(value.detail))
    if not isinstance(value, Response):
        return None
    if isinstance(value, StreamingResponse):
        raise NonRetriableError("a durable endpoint answers with a whole response, no stream")
    return told_response(value.status_code, value.headers, bytes(value.body))
