"""Serve functions as an ASGI application: mount it anywhere, or run it by itself.

    app = stepwell.asgi.serve(client, [function])

Sources: features F-22, F-30, F-31, E.1, E.2 (edge).
"""

from collections.abc import Iterable
from typing import Any

from stepwell.sdk.client import Inngest
from stepwell.sdk.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.settings import Streaming

FRAMEWORK = "asgi"


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
) -> AsgiEndpoint:
    """An ASGI application that serves these functions.

    Args:
        client: The app.
        functions: Its functions, of either colour.
        enable_unauthed_sync: Answer unsigned syncs in cloud mode, default true.
        public_path: Path the server calls, if a proxy changes it.
        serve_origin: Scheme and host the server calls.
        serve_path: The same as `public_path`, for an application mounted by hand.
        streaming: Answer calls at once and keep the connection alive while the function runs.
        trust_proxy: Believe `Forwarded` and `X-Forwarded-*` headers.
    """
    return AsgiEndpoint(
        ServeHandler(
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
    )
