"""Serve functions in a BlackSheep application."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Unpack, cast

from blacksheep import Application, Content, Request, Response, StreamedContent, allow_anonymous
from blacksheep.exceptions import HTTPException
from blacksheep.server.csrf import ignore_anti_forgery

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import request_from
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.settings import StreamingChoice
from stepwell.wire import header

FRAMEWORK = Framework.BLACKSHEEP


def serve(
    app: Application,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a BlackSheep application.

    The arguments are those of `stepwell.asgi.serve`. Authorization and the protection against
    forged forms do not apply.
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

    async def inngest_api(request: Request) -> Response:
        body = await request.read() or b""
        scope = cast(dict[str, Any], request.scope)
        response = await handler.handle(request_from(scope, body, request))
        kind = header.JSON.encode()
        content: Content
        if isinstance(response, ServeResponse):
            content = Content(kind, response.body)
        else:
            chunks = response.chunks

            async def stream() -> AsyncGenerator[bytes, None]:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        if await request.is_disconnected():
                            return
                        yield chunk

            content = StreamedContent(kind, stream)
        # The content says its type itself.
        headers = [
            (name.encode(), value.encode())
            for name, value in response.headers.items()
            if name != header.CONTENT_TYPE
        ]
        return Response(response.status, headers, content)

    endpoint = allow_anonymous()(ignore_anti_forgery()(inngest_api))
    path = handler.serve_path or SERVE_PATH_DEFAULT
    # Without a route of their own, other methods would be told there is nothing here.
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        app.router.add(method, path, endpoint)
    # Before every other, so that it sees what those answer.
    app.middlewares.insert(0, _looking(Refusals(client)))


def _looking(refusals: Refusals) -> Any:
    """A middleware that tells of what refuses requests of an endpoint."""

    async def look(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path.decode("latin-1")
        try:
            response = await handler(request)
        except HTTPException as refusal:
            refusals.note(request.method, path, refusal.status, ())
            raise
        names = {name.decode("latin-1").lower() for name, _ in response.headers}
        refusals.note(request.method, path, response.status, names)
        return response

    return look
