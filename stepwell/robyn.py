"""Serve functions in a Robyn application."""

import os
from collections.abc import Iterable
from typing import Any, Unpack, cast
from urllib.parse import quote

from robyn import Headers, Request, Response, Robyn, StreamingResponse
from robyn.robyn import FunctionInfo, MiddlewareType

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
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
    if isinstance(routes, Robyn):
        _look_at_guards(routes, Refusals(client))


def _look_at_guards(app: Robyn, refusals: Refusals) -> None:
    """Robyn runs nothing after a guard that answers, and guards may be added later: so each is
    looked at itself, from when the server starts and asks for all of them."""
    router: Any = app.middleware_router
    all_of_them = router.get_global_middlewares

    def looked_at() -> list[Any]:
        return [
            one._replace(function=_watched(one.function, refusals))
            if one.middleware_type == MiddlewareType.BEFORE_REQUEST
            else one
            for one in all_of_them()
        ]

    router.get_global_middlewares = looked_at


def _watched(guard: Any, refusals: Refusals) -> FunctionInfo:
    """The same guard, whose answers are noted."""

    def noted(result: Any, given: Iterable[Any]) -> Any:
        request = next((one for one in given if isinstance(one, Request)), None)
        if isinstance(result, Response) and request is not None:
            names = {name.lower() for name, _ in result.headers.items()}
            refusals.note(request.method, request.url.path, result.status_code, names)
        return result

    def plain(*args: Any, **named: Any) -> Any:
        return noted(guard.handler(*args, **named), (*args, *named.values()))

    async def coroutine(*args: Any, **named: Any) -> Any:
        return noted(await guard.handler(*args, **named), (*args, *named.values()))

    handler = coroutine if guard.is_async else plain
    return FunctionInfo(handler, guard.is_async, guard.number_of_params, guard.args, guard.kwargs)


def _query(request: Request) -> dict[str, str]:
    """Robyn takes a query apart but does not decode it."""
    items = request.query_params.multi_items()
    return read_query("&".join(f"{name}={value}" for name, value in items))
