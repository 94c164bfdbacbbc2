"""Serve functions as a WSGI application: mount it anywhere, or run it by itself.

    app = stepwell.wsgi.serve(client, [function])

`async def` functions run on the process's background loop.
"""

from collections.abc import Iterable
from typing import Any, Unpack

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.wsgi import WsgiEndpoint
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.WSGI


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
) -> WsgiEndpoint:
    """A WSGI application that serves these functions on every path.

    The arguments are those of `stepwell.asgi.serve`.
    """
    return WsgiEndpoint(
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
            **more,
        )
    )
