"""Serve functions in a Bottle application."""

# The library has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportUnknownLambdaType=false

from collections.abc import Iterable
from typing import Any, Unpack

import bottle

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, routed_paths
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.serve.wsgi import body_of, request_from
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.BOTTLE


def serve(
    app: bottle.Bottle,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Bottle application.

    The arguments are those of `stepwell.asgi.serve`. Plugins do not apply; `async def` functions
    run on the process's background loop.
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

    def inngest_api() -> bottle.HTTPResponse:
        # `body` is not limited; `json` and `forms` would be.
        request = bottle.request.copy()
        # Looking at `body` reads it, and fails for chunks that the server has put together.
        body = body_of(request.environ, lambda: request.body.read())  # noqa: PLW0108
        response = handler.handle_sync(request_from(request.environ, body, request))
        return bottle.HTTPResponse(
            response.body if isinstance(response, ServeResponse) else response.chunks,
            response.status,
            dict(response.headers),
        )

    refusals = Refusals(client)

    def note() -> None:
        request: Any = bottle.request
        response: Any = bottle.response
        refusals.note(request.method, request.path, response.status_code, response.headers)

    app.hook("after_request")(note)
    path = handler.serve_path or SERVE_PATH_DEFAULT
    app.route([*routed_paths(path)], ["GET", "POST", "PUT"], inngest_api, skip=[True])
