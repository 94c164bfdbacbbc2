"""Serve functions in a FastAPI application, and make durable endpoints of its handlers."""

from collections.abc import Callable, Iterable
from typing import Any, Unpack

import fastapi
from starlette.routing import Route

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint, LookAtAnswers
from stepwell.sdk.serve.durable import EndpointOptions
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, routed_paths
from stepwell.sdk.serve.route import RUN_ERRORS, route_answer
from stepwell.sdk.settings import StreamingChoice
from stepwell.starlette import Handler, View, endpoint_of

FRAMEWORK = Framework.FAST_API


def serve(
    app: fastapi.FastAPI | fastapi.APIRouter,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a FastAPI app or router.

    The arguments are those of `stepwell.asgi.serve`. Dependencies of the application do not apply,
    and the route is not part of its documentation. A router is included after this call.
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
    router = app.router if isinstance(app, fastapi.FastAPI) else app
    endpoint = AsgiEndpoint(handler, fastapi.Request)
    # Routes that are added in the usual way get a router's own prefix, too.
    for path in routed_paths(router.prefix + (handler.serve_path or SERVE_PATH_DEFAULT)):
        router.routes.append(
            Route(path, endpoint, methods=["GET", "POST", "PUT"], include_in_schema=False)
        )
        client.add_endpoint(path)
    if isinstance(app, fastapi.FastAPI) and app.middleware_stack is None:
        app.add_middleware(LookAtAnswers, client=client)


def endpoint(client: Inngest, **options: Unpack[EndpointOptions]) -> Callable[[Handler], View]:
    """As `stepwell.starlette.endpoint`, below a route of FastAPI's: `@app.post("/orders")` above
    `@endpoint(client)`. The handler takes the context and the request; FastAPI's own dependencies
    and parameters do not apply, as the server makes the request again without its headers."""
    return endpoint_of(FRAMEWORK, client, options)


def answer_run_errors(app: fastapi.FastAPI) -> None:
    """Make answers of the errors of `client.invoke` in routes: 202 with the run's id if it takes
    longer than the timeout, 500 if it failed, 503 if the server cannot be reached."""

    async def told(request: fastapi.Request, error: Exception) -> fastapi.Response:
        answer = route_answer(error)
        return fastapi.Response(answer.body, answer.status, dict(answer.headers))

    for kind in RUN_ERRORS:
        app.add_exception_handler(kind, told)
