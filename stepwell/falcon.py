"""Serve functions in a Falcon application, WSGI or ASGI."""

from collections.abc import Iterable
from typing import Any, Unpack

import falcon
import falcon.asgi
import msgspec

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve import asgi, wsgi
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, routed_paths
from stepwell.sdk.serve.response import (
    ServeResponse,
    StreamingResponse,
    StreamingResponseSync,
)
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.FALCON


class _Resource:
    """The endpoint of a WSGI application."""

    def __init__(self, handler: ServeHandler) -> None:
        self._handler = handler

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer one request."""
        request = wsgi.request_from(req.env, wsgi.body_of(req.env, req.bounded_stream.read), req)
        _fill(resp, self._handler.handle_sync(request))

    on_get = on_head = on_put = on_post


class _AsyncResource:
    """The endpoint of an ASGI application."""

    def __init__(self, handler: ServeHandler) -> None:
        self._handler = handler

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer one request."""
        request = asgi.request_from(req.scope, await req.stream.read(), req)
        response = await self._handler.handle(request)
        if isinstance(response, StreamingResponse):
            # Falcon tells nobody else that a client went away.
            receive = req._receive  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            chunks = asgi.until_gone(response.chunks, receive)
            response = msgspec.structs.replace(response, chunks=chunks)
        _fill(resp, response)

    on_get = on_head = on_put = on_post


class _Look:
    """Tells of what refuses requests of an endpoint."""

    def __init__(self, client: Inngest) -> None:
        self._refusals = Refusals(client)

    def process_response(self, req: Any, resp: Any, resource: object, succeeded: bool) -> None:
        """An answer goes out."""
        status = falcon.http_status_to_code(resp.status)
        self._refusals.note(req.method, req.path, status, resp.headers)

    async def process_response_async(
        self, req: Any, resp: Any, resource: object, succeeded: bool
    ) -> None:
        """The same in an ASGI application."""
        self.process_response(req, resp, resource, succeeded)


def _fill(resp: Any, response: ServeResponse | StreamingResponse | StreamingResponseSync) -> None:
    resp.status = response.status
    resp.set_headers(response.headers)
    if isinstance(response, ServeResponse):
        resp.data = response.body
    else:
        resp.stream = response.chunks


def serve(
    app: falcon.App[Any, Any] | falcon.asgi.App[Any, Any],
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Falcon application.

    The arguments are those of `stepwell.asgi.serve`. In a WSGI application `async def` functions
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
    resource = _AsyncResource if isinstance(app, falcon.asgi.App) else _Resource
    for path in routed_paths(handler.serve_path or SERVE_PATH_DEFAULT):
        app.add_route(path, resource(handler))
    look: Any = _Look(client)
    app.add_middleware(look)
