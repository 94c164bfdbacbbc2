"""Serve functions in a Tornado application. Sources: features C.9, E.3."""

import re
from collections.abc import Awaitable, Iterable
from contextlib import aclosing
from typing import Any, Unpack

import tornado.web
from tornado.iostream import StreamClosedError

from stepwell.sdk.client import Inngest
from stepwell.sdk.function import Function
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, ServeRequest, read_headers, read_query
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse
from stepwell.sdk.settings import Streaming

FRAMEWORK = "tornado"


class _Endpoint(tornado.web.RequestHandler):
    """One request to the endpoint."""

    def initialize(self, handler: ServeHandler) -> None:
        """Take what answers."""
        self._handler = handler

    def check_xsrf_cookie(self) -> None:
        """The server has no cookie; it signs."""

    def compute_etag(self) -> str | None:
        """Answers are never asked for twice."""
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Bodies come whole."""

    async def get(self) -> None:
        """Introspection."""
        await self._answer()

    async def post(self) -> None:
        """A call."""
        await self._answer()

    async def put(self) -> None:
        """A sync."""
        await self._answer()

    async def _answer(self) -> None:
        request = self.request
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
        self.set_status(response.status)
        for name, value in response.headers.items():
            self.set_header(name, value)
        if isinstance(response, ServeResponse):
            await self.finish(response.body)  # pyright: ignore[reportUnknownMemberType]
        else:
            await self._stream(response)

    async def _stream(self, response: StreamingResponse) -> None:
        async with aclosing(response.chunks) as chunks:
            async for chunk in chunks:
                self.write(chunk)  # pyright: ignore[reportUnknownMemberType]
                try:
                    await self.flush()
                except StreamClosedError:
                    return  # the client went away


def serve(
    app: tornado.web.Application,
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: Streaming | None = None,
    trust_proxy: bool | None = None,
    **more: Unpack[MoreOptions],
) -> None:
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Tornado application.

    The arguments are those of `stepwell.asgi.serve`. XSRF cookies are not asked for. Tornado hands
    on whole paths: an application behind a `RuleRouter` names its prefix in `serve_path`.
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
    path = re.escape(handler.serve_path or SERVE_PATH_DEFAULT)
    app.add_handlers(r".*", [(path, _Endpoint, {"handler": handler})])
