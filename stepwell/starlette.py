"""Serve functions in a Starlette application."""

from collections.abc import Iterable
from typing import Any, Unpack

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route, Router

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint, LookAtAnswers
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, routed_paths
from stepwell.sdk.settings import StreamingChoice

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
