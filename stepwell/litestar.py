"""Serve functions in a Litestar application."""

from collections.abc import Iterable
from typing import Any, Unpack

from litestar import Litestar, Request, Router
from litestar.handlers import ASGIRouteHandler
from litestar.middleware.rate_limit import RateLimitMiddleware
from litestar.types import Message, Receive, Scope, Send

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.LITESTAR


class _Endpoint(ASGIRouteHandler):
    """A route that is judged by signatures alone."""

    def resolve_guards(self) -> list[Any]:
        """None, not even those of the application: the server has no session to show them."""
        return []

    def resolve_middleware(self) -> list[Any]:
        """The application's, but for those that count requests: the server has its own pace."""
        return [
            middleware for middleware in super().resolve_middleware() if not _counts(middleware)
        ]


def _counts(middleware: Any) -> bool:
    kind = getattr(middleware, "middleware", middleware)
    return isinstance(kind, type) and issubclass(kind, RateLimitMiddleware)


def serve(
    app: Litestar | Router,
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
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Litestar app or router.

    The arguments are those of `stepwell.asgi.serve`. Guards, CSRF protection, authentication and
    limits for bodies and rates do not apply, and the route is not part of the documentation.
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
    # Litestar's types of scopes and messages are narrower than those of others.
    endpoint: Any = AsgiEndpoint(handler, _request)

    async def inngest_api(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope, receive, send)

    app.register(
        _Endpoint(
            handler.serve_path or SERVE_PATH_DEFAULT,
            copy_scope=False,
            opt={"exclude_from_auth": True, "exclude_from_csrf": True},
        )(inngest_api)
    )
    if isinstance(app, Litestar):
        app.before_send.append(_looking(Refusals(client)))


def _looking(refusals: Refusals) -> Any:
    """What tells of answers that refuse requests of an endpoint."""

    async def look(message: Message, scope: Any) -> None:
        if scope["type"] == "http" and message["type"] == "http.response.start":
            names = {name.decode("latin-1").lower() for name, _ in message["headers"]}
            refusals.note(scope["method"], scope["path"], message["status"], names)

    return look


def _request(scope: Any) -> Request[Any, Any, Any]:
    return Request(scope)
