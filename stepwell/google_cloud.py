"""Serve functions on Google Cloud: Cloud Functions, Cloud Run functions, Firebase.

main = functions_framework.http(stepwell.google_cloud.serve(client, [function]))
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, Unpack

import flask
import msgspec

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.serve.wsgi import request_from
from stepwell.sdk.settings import StreamingChoice

FRAMEWORK = Framework.GOOGLE_CLOUD
SHARED_DOMAIN = ".cloudfunctions.net/"

HttpFunction: TypeAlias = Callable[[flask.Request], flask.Response]


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
) -> HttpFunction:
    """An HTTP function for `functions_framework.http` or Firebase's `https_fn.on_request`.

    The arguments are those of `stepwell.asgi.serve`. It answers on every path.
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

    def inngest_api(request: flask.Request) -> flask.Response:
        asked = request_from(request.environ, request.get_data(cache=True), request)
        response = handler.handle_sync(_named(asked, client.environ.get("K_SERVICE", "")))
        return flask.Response(
            response.body if isinstance(response, ServeResponse) else response.chunks,
            status=response.status,
            headers=dict(response.headers),
        )

    return inngest_api


def _named(request: ServeRequest, function: str) -> ServeRequest:
    """With the function's name in the path, which the domain of all functions takes out of it."""
    origin, domain, path = request.url.partition(SHARED_DOMAIN)
    if not domain or not function:
        return request
    return msgspec.structs.replace(request, url=f"{origin}{domain}{function}/{path}".rstrip("/"))
