"""Serve functions in a Quart application."""

from collections.abc import Iterable
from typing import Any, Unpack, cast

import quart
from quart.blueprints import BlueprintSetupState
from werkzeug.local import LocalProxy

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import request_from
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, route_name
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.QUART


def serve(
    app: quart.Quart | quart.Blueprint,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Quart app or blueprint.

    The arguments are those of `stepwell.asgi.serve`. The limits of the application for the size of
    a body and the time of an answer do not apply.
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
    path = handler.serve_path or SERVE_PATH_DEFAULT

    async def inngest_api() -> quart.Response:
        # The request behind the proxy, which outlasts this view.
        proxy = cast("LocalProxy[quart.Request]", quart.request)
        request = proxy._get_current_object()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        scope = cast(dict[str, Any], request.scope)
        body = cast(bytes, await request.get_data(parse_form_data=False))
        response = await handler.handle(request_from(scope, body, request))
        answer = quart.Response(
            response.body if isinstance(response, ServeResponse) else response.chunks,
            status=response.status,
            headers=dict(response.headers),
        )
        answer.timeout = None
        return answer

    app.add_url_rule(
        path,
        endpoint=route_name(client.app_id, path),
        view_func=inngest_api,
        methods=["GET", "POST", "PUT"],
        strict_slashes=False,
    )
    if isinstance(app, quart.Quart):
        _prepare(app, client, path)
    else:
        app.record(lambda state: _prepare_below(state, client, path))


def _prepare_below(state: BlueprintSetupState, client: Inngest, path: str) -> None:
    whole = f"{state.url_prefix or ''}{path}"
    client.add_endpoint(whole)
    _prepare(cast(quart.Quart, state.app), client, whole)


def _prepare(app: quart.Quart, client: Inngest, path: str) -> None:
    """Lift the application's limit, and tell of what refuses requests of the endpoint."""
    _lift_limit(app, path)
    refusals = Refusals(client)

    async def look(answer: Any) -> Any:
        asked = quart.request
        refusals.note(asked.method, asked.path, answer.status_code, answer.headers)
        return answer

    app.after_request(look)


def _lift_limit(app: quart.Quart, path: str) -> None:
    """Let bodies at this path be of any size: the limit counts when a request is made, no later."""

    class Request(app.request_class):  # type: ignore[name-defined,misc]
        def __init__(self, method: str, scheme: str, asked: str, *rest: Any, **named: Any) -> None:
            if asked.rstrip("/") == path.rstrip("/"):
                named["max_content_length"] = None
            super().__init__(method, scheme, asked, *rest, **named)

    app.request_class = cast("type[quart.Request]", Request)
