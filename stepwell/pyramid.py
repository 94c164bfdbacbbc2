"""Serve functions in a Pyramid application."""

# The library has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Iterable
from typing import Any, Unpack

from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, route_name, routed_paths
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.serve.wsgi import request_from
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.PYRAMID


def serve(
    config: Configurator,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of what is being configured.

    The arguments are those of `stepwell.asgi.serve`. Permissions and CSRF tokens are not asked for;
    `async def` functions run on the process's background loop.
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

    def inngest_api(request: Request) -> Response:
        response = handler.handle_sync(request_from(request.environ, request.body, request))
        headers = list(response.headers.items())
        if isinstance(response, ServeResponse):
            return Response(response.body, response.status, headers)
        return Response(status=response.status, headerlist=headers, app_iter=response.chunks)

    refusals = Refusals(client)

    def note(event: Any) -> None:
        request, response = event.request, event.response
        refusals.note(request.method, request.path_info, response.status_int, response.headers)

    config.add_subscriber(note, NewResponse)
    path = handler.serve_path or SERVE_PATH_DEFAULT
    name = route_name(client.app_id, path)
    for routed, route in zip(routed_paths(path), (name, f"{name}_slash"), strict=True):
        config.add_route(route, routed)
        config.add_view(
            inngest_api, route_name=route, require_csrf=False, permission=NO_PERMISSION_REQUIRED
        )
