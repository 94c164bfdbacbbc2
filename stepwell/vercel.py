"""Serve functions as a Vercel Function in Python, by itself or inside a Next.js project.

    app = stepwell.vercel.serve(client, [function])

What `serve` gives is an ASGI or WSGI application for a file's `app`, a class for its `handler`, and
a function for events of AWS Lambda; which one it is, the platform finds out by looking, and we by
what we are called with.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Unpack, cast

from stepwell import aws_lambda
from stepwell.http_server import InngestRequestHandler
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint, Message, Receive, Send
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.wsgi import WsgiEndpoint
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.VERCEL

_A_CONNECTION = ("request", "client_address", "server")
_A_WSGI_CALL = ("environ", "start_response")


def _called_oddly(args: tuple[object, ...]) -> str:
    kinds = ", ".join(type(arg).__name__ for arg in args)
    return (
        f"the endpoint was called with ({kinds}). It answers ASGI (scope, receive, send), WSGI"
        " (environ, start_response), AWS Lambda (event, context) and http.server (request,"
        " client_address, server); for a framework's own route, use the framework's adapter"
    )


class _TwoFaced(type):
    """Classes that, when called as applications are, answer; else they make instances."""

    asgi: AsgiEndpoint
    wsgi: WsgiEndpoint
    event: Callable[[Mapping[str, Any], object], Any]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(args[0] if args else kwargs.get("scope"), dict):
            if len(args) != len(_A_CONNECTION):
                raise TypeError(_called_oddly(args))
            return super().__call__(*args, **kwargs)
        if len(args) == len(_A_WSGI_CALL):
            return cls.wsgi(*args) if callable(args[1]) else cls.event(*args)
        return cls.asgi(*args, **kwargs)

    @property
    def methods(cls) -> "tuple[_TwoFaced, _TwoFaced, _TwoFaced]":
        """For endpoint files: `GET, POST, PUT = serve(...).methods`."""
        return (cls, cls, cls)

    def __iter__(cls) -> Iterator["_TwoFaced"]:
        """The same without a name: `GET, POST, PUT = serve(...)`."""
        return iter(cls.methods)


class VercelEndpoint(InngestRequestHandler, metaclass=_TwoFaced):
    """What `serve` makes a subclass of: an ASGI application and a request handler in one."""

    # ASGI servers take a class for an application of the standard's second version, unless…
    __await__ = None  # …uvicorn finds this name,
    _asgi_single_callable = True  # …and asgiref this one.

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Tells who looks at `app.__call__` that this is ASGI; the class is what gets called."""
        await type(self).asgi(scope, receive, send)


def serve(
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
) -> type[VercelEndpoint]:
    """An object to be called `app`, `handler` or `GET, POST, PUT` in a file such as api/inngest.py.

    The arguments are those of `stepwell.asgi.serve`. It answers on every path: the platform
    hands it what belongs to its file, and a rewritten request keeps the path the client used.
    """
    functions = list(functions)
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
    by_event = aws_lambda.serve(
        client,
        functions,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        trust_proxy=trust_proxy,
        **more,
    )
    faces: dict[str, Any] = {
        "handler": handler,
        "asgi": AsgiEndpoint(handler),
        "wsgi": WsgiEndpoint(handler),
        "event": staticmethod(by_event),
    }
    return cast("type[VercelEndpoint]", _TwoFaced("handler", (VercelEndpoint,), faces))
