"""Serve functions as a Vercel Function in Python, by itself or inside a Next.js project.

    app = stepwell.vercel.serve(client, [function])

What `serve` gives is an ASGI application for a file's `app`, and a class for its `handler`; which
one it is, the platform finds out by looking. Sources: features F-20 to F-22, E.2 (Next.js), E.4.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from stepwell.http_server import InngestRequestHandler
from stepwell.sdk.client import Inngest
from stepwell.sdk.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint, Message, Receive, Send
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.settings import Streaming

FRAMEWORK = "vercel"


class _TwoFaced(type):
    """Classes that, when called as ASGI applications are, answer; else they make instances."""

    asgi: AsgiEndpoint

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if isinstance(args[0] if args else kwargs.get("scope"), dict):
            return cls.asgi(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __iter__(cls) -> Iterator["_TwoFaced"]:
        """For endpoint files: `GET, POST, PUT = serve(...)`."""
        return iter((cls, cls, cls))


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
    streaming: Streaming | None = None,
    trust_proxy: bool | None = None,
) -> type[VercelEndpoint]:
    """An object to be called `app`, `handler` or `GET, POST, PUT` in a file such as api/inngest.py.

    The arguments are those of `stepwell.asgi.serve`. It answers on every path: the platform
    hands it what belongs to its file, and a rewritten request keeps the path the client used.
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
    )
    faces = {"handler": handler, "asgi": AsgiEndpoint(handler)}
    return cast("type[VercelEndpoint]", _TwoFaced("handler", (VercelEndpoint,), faces))
