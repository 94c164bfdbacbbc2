"""Serve functions in a Sanic application."""

from collections.abc import ItemsView, Iterable
from contextlib import aclosing
from typing import Any, Unpack, cast

import sanic

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import (
    SERVE_PATH_DEFAULT,
    ServeRequest,
    read_headers,
    read_query,
    route_name,
)
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.SANIC


def serve(
    app: sanic.Sanic[Any, Any] | sanic.Blueprint,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Sanic app or blueprint.

    The arguments are those of `stepwell.asgi.serve`. Sanic's own limits apply: bodies of at most
    100 MB (`REQUEST_MAX_SIZE`), answers within 60 s (`RESPONSE_TIMEOUT`) unless they are streamed.
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

    async def inngest_api(request: sanic.Request) -> sanic.HTTPResponse | None:
        response = await handler.handle(
            ServeRequest(
                method=request.method,
                url=f"{request.scheme}://{request.host}{request.path}",
                headers=read_headers(cast("ItemsView[str, str]", request.headers.items())),
                query=read_query(request.query_string),
                body=request.body,
                raw=request,
            )
        )
        headers = dict(response.headers)
        if isinstance(response, ServeResponse):
            return sanic.HTTPResponse(response.body, response.status, headers)
        answer = cast(Any, await request.respond(status=response.status, headers=headers))
        async with aclosing(response.chunks) as chunks:
            async for chunk in chunks:
                await answer.send(chunk)
        await answer.eof()
        return None

    path = handler.serve_path or SERVE_PATH_DEFAULT
    app.add_route(
        inngest_api,
        path,
        methods=["GET", "HEAD", "POST", "PUT"],
        name=route_name(client.app_id, path),
    )
    refusals = Refusals(client)

    async def look(request: sanic.Request, answer: sanic.HTTPResponse) -> None:
        refusals.note(request.method, request.path, answer.status, answer.headers)

    cast(Any, app).on_response(look)
