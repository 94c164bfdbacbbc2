"""Serve functions on DigitalOcean Functions, in raw HTTP mode (`web: raw`).

main = stepwell.digital_ocean.serve(client, [function])
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias, TypedDict, Unpack, cast

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import BodyInvalidError, code_of
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve import invocation
from stepwell.sdk.serve.answer import error_answer
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import ServeRequest, read_headers, read_query
from stepwell.sdk.settings import Streaming

FRAMEWORK = Framework.DIGITAL_OCEAN
WEB_PREFIX = "/api/v1/web"
"""Where the platform serves functions; what it tells them of their path begins after their name."""


class FunctionContext(Protocol):
    """What the platform says of the function: "https://faas-….io" and "/fn-…/package/name"."""

    api_host: str
    function_name: str


class FunctionResponse(TypedDict):
    """What the platform takes for an answer."""

    body: str
    headers: dict[str, str]
    statusCode: int


Main: TypeAlias = Callable[[dict[str, object], FunctionContext], FunctionResponse]


def serve(
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    trust_proxy: bool | None = None,
    **more: Unpack[MoreOptions],
) -> Main:
    """The `main` of a function that serves these functions, of either colour.

    The arguments are those of `stepwell.asgi.serve`. An event that is not of raw HTTP mode is
    answered with 400 and what to set.
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

    def main(event: dict[str, object], context: FunctionContext) -> FunctionResponse:
        try:
            response = invocation.answer(handler, request_from(event, context))
        except BodyInvalidError as error:
            client.log.error("%s: %s", code_of(error).value, error)  # noqa: TRY400 - it says enough
            refused = error_answer(error, 400)
            return _told(refused.status, refused.headers, refused.body)
        return _told(response.status, response.headers, response.body)

    return main


def request_from(event: Mapping[str, object], context: FunctionContext) -> ServeRequest:
    """The request in an event of raw HTTP mode. Raises BodyInvalidError for any other."""
    http = event.get("http")
    if not isinstance(http, dict):
        raise BodyInvalidError('missing "http" in the event; is the function called by HTTP?')
    asked = cast(dict[str, Any], http)
    for name in ("headers", "queryString"):
        if asked.get(name) is None:
            raise BodyInvalidError(f'missing "{name}" in event.http; set "web: raw"')
    return ServeRequest(
        method=str(asked.get("method", "")).upper(),
        url=f"{context.api_host.rstrip('/')}{WEB_PREFIX}{context.function_name}",
        headers=read_headers(asked["headers"].items()),
        query=read_query(asked["queryString"]),
        body=invocation.body_of(asked.get("body"), is_base64=bool(asked.get("isBase64Encoded"))),
        raw={"event": event, "context": context},
    )


def _told(status: int, headers: Mapping[str, str], body: bytes) -> FunctionResponse:
    return {"statusCode": status, "headers": dict(headers), "body": body.decode()}
