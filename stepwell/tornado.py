"""Serve functions in a Tornado application."""

import asyncio
import re
from collections.abc import Iterable
from contextlib import aclosing, suppress
from email.utils import formatdate
from http.client import responses
from typing import Any, Unpack, cast

import tornado.web
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError
from tornado.routing import Router

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, ServeRequest, read_headers, read_query
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.TORNADO


class _Endpoint(Router):
    """A route's target, past Tornado's handlers, their cookies and their log."""

    def __init__(self, handler: ServeHandler) -> None:
        self._handler = handler

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """What takes the rest of this request."""
        return _Incoming(self._handler, request)


class _Incoming(HTTPMessageDelegate):
    """One request to the endpoint."""

    def __init__(self, handler: ServeHandler, request: HTTPServerRequest) -> None:
        self._handler = handler
        self._request = request
        self._parts: list[bytes] = []
        self._answering: asyncio.Future[None] | None = None

    def data_received(self, chunk: bytes) -> None:
        """A part of the body."""
        self._parts.append(chunk)

    def finish(self) -> None:
        """The request is complete: answer it."""
        self._request.body = b"".join(self._parts)
        self._answering = asyncio.ensure_future(self._answer(self._request))

    async def _answer(self, request: HTTPServerRequest) -> None:
        response = await self._handler.handle(
            ServeRequest(
                method=request.method or "",
                url=f"{request.protocol}://{request.host}{request.path}",
                headers=read_headers(request.headers.get_all()),
                query=read_query(request.query),
                body=request.body,
                raw=request,
            )
        )
        with suppress(StreamClosedError):  # the client went away
            connection = cast(HTTPConnection, request.connection)
            await _send(response, connection, with_body=request.method != "HEAD")


async def _send(
    response: ServeResponse | StreamingResponse, connection: HTTPConnection, *, with_body: bool
) -> None:
    start = ResponseStartLine("", response.status, responses.get(response.status, "Unknown"))
    headers = HTTPHeaders(response.headers)
    headers["Date"] = formatdate(usegmt=True)
    if isinstance(response, ServeResponse):
        headers["Content-Length"] = str(len(response.body))
        connection.write_headers(start, headers, response.body if with_body else None)
    else:
        async with aclosing(response.chunks) as chunks:
            await connection.write_headers(start, headers)
            async for chunk in chunks:
                await connection.write(chunk)
    connection.finish()


def serve(
    app: tornado.web.Application,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Tornado application.

    The arguments are those of `stepwell.asgi.serve`. XSRF cookies are not asked for, and requests
    are not logged. Tornado hands on whole paths: an application behind a `RuleRouter` names its
    prefix in `serve_path`.
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
    path = re.escape((handler.serve_path or SERVE_PATH_DEFAULT).rstrip("/"))
    app.add_handlers(r".*", [(f"{path}/?", _Endpoint(handler))])
