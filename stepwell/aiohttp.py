"""Serve functions in an aiohttp application, and make durable endpoints of its handlers.

The module bears the library's name, as `stepwell.flask` and the others do; `import aiohttp` beside
`import stepwell.aiohttp` means the library, as ever.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeAlias, Unpack

from aiohttp import web

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.durable import DurableEndpoint, EndpointOptions, told_response
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import (
    SERVE_PATH_DEFAULT,
    ServeRequest,
    read_headers,
    read_query,
    routed_paths,
)
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse
from stepwell.sdk.settings import StreamingChoice
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.wire.endpoint import HttpAnswer

FRAMEWORK = Framework.AIOHTTP


def serve(
    app: web.Application,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of an aiohttp application.

    The arguments are those of `stepwell.asgi.serve`. The application's `client_max_size` does not
    apply.
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

    async def inngest_api(request: web.Request) -> web.StreamResponse:
        response = await handler.handle(
            ServeRequest(
                method=request.method,
                url=str(request.url.with_query(None)),
                headers=read_headers(request.headers.items()),
                query=read_query(request.rel_url.raw_query_string),
                body=await _body(request),
                raw=request,
            )
        )
        if isinstance(response, ServeResponse):
            return web.Response(
                body=response.body, status=response.status, headers=response.headers
            )
        return await _streamed(request, response)

    path = handler.serve_path or SERVE_PATH_DEFAULT
    for routed in routed_paths(path):
        for method in ("GET", "HEAD", "POST", "PUT"):
            app.router.add_route(method, routed, inngest_api)
    refusals = Refusals(client)

    async def look(request: web.Request, answer: web.StreamResponse) -> None:
        refusals.note(request.method, request.path, answer.status, answer.headers)

    app.on_response_prepare.append(look)


async def _body(request: web.Request) -> bytes:
    """Past the limit of `read`, unless something has called that before."""
    return await (request.content.read() if request.can_read_body else request.read())


async def _streamed(request: web.Request, response: StreamingResponse) -> web.StreamResponse:
    answer = web.StreamResponse(status=response.status, headers=response.headers)
    async with aclosing(response.chunks) as chunks:
        await answer.prepare(request)
        async for chunk in chunks:
            await answer.write(chunk)
        await answer.write_eof()
    return answer


Handler: TypeAlias = (
    Callable[[Context[Any], web.Request], Awaitable[Any]]
    | Callable[[ContextSync[Any], web.Request], Any]
)
View: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def endpoint(client: Inngest, **options: Unpack[EndpointOptions]) -> Callable[[Handler], View]:
    """Make a durable endpoint of a handler `(ctx, request)`, to be a route's: its steps are saved
    while the caller waits.

    The arguments are those of `stepwell.starlette.endpoint`. What it returns is a `web.Response`,
    or anything that JSON can hold.
    """

    def decorate(handler: Handler) -> View:
        durable = DurableEndpoint(
            client,
            handler,
            FRAMEWORK,
            _read,
            options,
        )

        async def view(request: web.Request) -> web.StreamResponse:
            given = ServeRequest(
                method=request.method,
                url=str(request.url.with_query(None)),
                headers=read_headers(request.headers.items()),
                query=read_query(request.rel_url.raw_query_string),
                body=await request.read(),
                raw=request,
            )
            query = request.rel_url.raw_query_string
            if durable.is_streamed(given):
                return await _streamed(request, durable.streamed(given, query))
            found = await durable.answer(given, query)
            return web.Response(body=found.body, status=found.status, headers=found.headers)

        return durable.named(view)

    return decorate


def _read(value: Any) -> HttpAnswer | None:
    if not isinstance(value, web.StreamResponse):
        return None
    if not isinstance(value, web.Response) or not isinstance(value.body, bytes | None):
        raise NonRetriableError("a durable endpoint answers with a whole response, no stream")
    return told_response(value.status, value.headers, value.body or b"")
