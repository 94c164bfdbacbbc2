"""Serve functions in an Azure function app (the Python model with decorators, version 2).

app = azure.functions.FunctionApp()
stepwell.azure.serve(app, client, [function])
"""

from collections.abc import Iterable, Mapping
from typing import Any, Unpack, cast
from urllib.parse import quote, urlsplit

from azure import functions as azure_functions

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import (
    SERVE_PATH_DEFAULT,
    ServeRequest,
    read_headers,
    route_name,
)
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.settings import Streaming

FRAMEWORK = Framework.AZURE
ROUTE_PREFIX = "/api/"
"""What Azure puts before every route, unless `host.json` says otherwise."""


def serve(
    app: azure_functions.FunctionApp | azure_functions.Blueprint,
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    trust_proxy: bool | None = None,
    **more: Unpack[MoreOptions],
) -> None:
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a function app.

    The arguments are those of `stepwell.asgi.serve`; Azure hands on an answer as a whole. Azure
    puts `/api` before every route: for a `serve_path` without it, set `routePrefix` to "" in
    `host.json`. Nobody needs a function key: calls are signed.
    """
    handler = ServeHandler(
        client,
        functions,
        framework=FRAMEWORK,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        streaming=Streaming.DISABLE,
        trust_proxy=trust_proxy,
        **more,
    )

    async def inngest_api(req: azure_functions.HttpRequest) -> azure_functions.HttpResponse:
        response = await handler.handle(request_from(req))
        assert isinstance(response, ServeResponse), "this adapter does not stream"
        return azure_functions.HttpResponse(
            response.body, status_code=response.status, headers=dict(response.headers)
        )

    path = handler.serve_path or SERVE_PATH_DEFAULT
    registered = app.route(
        route=path.removeprefix(ROUTE_PREFIX).lstrip("/"),
        methods=["GET", "HEAD", "POST", "PUT"],
        auth_level=azure_functions.AuthLevel.ANONYMOUS,
    )(inngest_api)
    app.function_name(route_name(client.app_id, path))(registered)


def request_from(req: azure_functions.HttpRequest) -> ServeRequest:
    """A request of an Azure function as the serve handler takes it."""
    parts = urlsplit(req.url)
    return ServeRequest(
        method=req.method,
        # Azure's path is meant for display: it has its letters decoded.
        url=f"{parts.scheme}://{parts.netloc}{quote(parts.path, safe='/%')}",
        headers=read_headers(cast(Mapping[str, str], req.headers).items()),
        query=dict(req.params),
        body=req.get_body(),
        raw=req,
    )
