"""Serve functions in a Robyn application."""

import os
from collections.abc import Iterable
from typing import Any, Unpack, cast
from urllib.parse import quote

from robyn import Headers, Request, Response, Robyn, StreamingResponse

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, ServeRequest, read_headers, read_query
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.settings import StreamingChoice
from stepwell.wire import header, limit

FRAMEWORK = Framework.ROBYN
BODY_BYTES_VARIABLE = "ROBYN_MAX_PAYLOAD_SIZE"

_BODY_BYTES = limit.RUN_STATE_BYTES_MAX + limit.CALL_BODY_BYTES_MAX


def serve(
    app: Robyn,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Robyn app or sub-router.

    The arguments are those of `stepwell.asgi.serve`. Robyn takes no body above 1 MB unless the
    variable ROBYN_MAX_PAYLOAD_SIZE (bytes) allows it: if it is unset, this sets it to what calls
    may need.
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
    os.environ.setdefault(BODY_BYTES_VARIABLE, str(_BODY_BYTES))

    async def inngest_api(request: Request) -> Response | StreamingResponse:
        body, url = request.body, request.url
        headers = read_headers(request.headers.items())
        # Robyn believes whoever says where it is; it speaks no TLS itself.
        host = headers.get("host") or url.host
        response = await handler.handle(
            ServeRequest(
                method=request.method,
                url=f"http://{host}{quote(url.path)}",
                headers=headers,
                query=_query(request),
                body=body.encode() if isinstance(body, str) else bytes(body),
                raw=request,
            )
        )
        told = Headers(dict(response.headers))
        if isinstance(response, ServeResponse):
            return Response(response.status, told, response.body)
        return StreamingResponse(response.chunks, response.status, told, header.JSON)

    path = handler.serve_path or SERVE_PATH_DEFAULT
    routes = cast(Any, app)
    # Without a route of their own, other methods would be told there is nothing here.
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        routes.add_route(method, path, inngest_api, include_in_schema=False)


def _query(request: Request) -> dict[str, str]:
    """Robyn takes a query apart but does not decode it."""
    items = request.query_params.multi_items()
    return read_query("&".join(f"{name}={value}" for name, value in items))
