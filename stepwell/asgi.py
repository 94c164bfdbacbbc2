"""Serve functions as an ASGI application: mount it anywhere, or run it by itself.

app = stepwell.asgi.serve(client, [function])
stepwell.asgi.serve_app(client, [function])  # blocks, at http://127.0.0.1:8000/api/inngest
"""

from collections.abc import Iterable
from typing import Any, Unpack

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.asgi import AsgiEndpoint, Message, Receive, Send
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.ASGI


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
) -> AsgiEndpoint:
    """An ASGI application that serves these functions.

    Args:
        client: The app.
        functions: Its functions, of either colour.
        enable_unauthed_sync: Answer unsigned syncs in cloud mode, default false.
        public_path: Path the server calls, if a proxy changes it.
        serve_origin: Scheme and host the server calls.
        serve_path: The same as `public_path`, for an application mounted by hand.
        streaming: Answer calls at once and keep the connection alive while the function runs.
        trust_proxy: Believe `Forwarded` and `X-Forwarded-*` headers.
        more: What few need: `serve_host`, `base_url`, `signing_key`, `signing_key_fallback`,
            `allow_in_band_sync` and `introspection`, as `MoreOptions` explains them.

    Raises FunctionConfigInvalidError for duplicate ids and for what is no function,
    SigningKeyMissingError in cloud mode without a signing key, ConfigurationError for settings
    that cannot be used.
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
            **more,
        )
    )


def serve_app(
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    host: str = "127.0.0.1",
    port: int = 8000,
    **options: Any,
) -> None:
    """Serve these functions at `/api/inngest`, or at `serve_path`, until the process is stopped.

    Args:
        client: The app.
        functions: Its functions, of either colour.
        host: The address to listen at; "0.0.0.0" for all of the machine's.
        port: The port to listen at.
        options: Those of `serve`.

    Needs uvicorn. Other paths are answered with 404.
    """
    import uvicorn  # noqa: PLC0415 - who only mounts the application needs no server

    endpoint = serve(client, functions, **options)
    uvicorn.run(_AtOnePath(endpoint, endpoint.path or SERVE_PATH_DEFAULT), host=host, port=port)


class _AtOnePath:
    """The endpoint at its path, and nothing elsewhere."""

    def __init__(self, endpoint: AsgiEndpoint, path: str) -> None:
        self._endpoint = endpoint
        self._path = path

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == self._path:
            return await self._endpoint(scope, receive, send)
        await send({"type": "http.response.start", "status": 404, "headers": []})
        return await send({"type": "http.response.body", "body": b"Not found"})
