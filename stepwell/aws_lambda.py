"""Serve functions on AWS Lambda, behind API Gateway, a function URL or a load balancer.

handler = stepwell.aws_lambda.serve(client, [function])
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, Unpack
from urllib.parse import quote

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import BodyInvalidError
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve import invocation
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.request import ServeRequest, read_headers, read_query
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.settings import Streaming

FRAMEWORK = Framework.AWS_LAMBDA
# Fields with one value per name, after those with all of its values.
HEADERS = ("multiValueHeaders", "headers")
QUERY = ("multiValueQueryStringParameters", "queryStringParameters")

LambdaHandler: TypeAlias = Callable[[dict[str, Any], object], dict[str, Any]]


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
) -> LambdaHandler:
    """A Lambda handler that serves these functions, whatever path its trigger has.

    The arguments are those of `stepwell.asgi.serve`; Lambda does not stream what Python answers.
    Events of API Gateway (both payload formats), of function URLs and of load balancers are told
    apart by their shape; any other raises BodyInvalidError.
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

    def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        response = invocation.answer(handler, request_from(event, context))
        return _told(response, multiple="multiValueHeaders" in event)

    return lambda_handler


def request_from(event: Mapping[str, Any], context: object) -> ServeRequest:
    """The request in an event, as the client made it: with the stage in its path."""
    asked: Mapping[str, Any] = event.get("requestContext") or {}
    if "http" in asked:
        method, path = asked["http"]["method"], event["rawPath"]
        query = read_query(event.get("rawQueryString", ""))
    elif "elb" in asked:
        # A load balancer hands over the query as it came, still encoded.
        method, path = event["httpMethod"], event["path"]
        query = read_query("&".join(f"{k}={v}" for k, v in _pairs(event, QUERY)))
    elif "httpMethod" in event:
        # `path` lacks the stage; the context's has it, or the prefix of a domain of one's own.
        method, path = event["httpMethod"], asked.get("path") or event["path"]
        query = dict(reversed(list(_pairs(event, QUERY))))
    else:
        raise BodyInvalidError(
            "this event is no HTTP request: expected one of API Gateway, of a function URL or of a"
            f" load balancer, got one with {', '.join(sorted(event)) or 'nothing in it'}"
        )
    headers = read_headers(_pairs(event, HEADERS))
    scheme = headers.get("x-forwarded-proto") or "https"
    host = headers.get("host") or asked.get("domainName") or "localhost"
    return ServeRequest(
        method=method,
        url=f"{scheme}://{host}{quote(path, safe='/%')}",
        headers=headers,
        query=query,
        body=invocation.body_of(event.get("body"), is_base64=bool(event.get("isBase64Encoded"))),
        raw={"event": event, "context": context},
    )


def _pairs(event: Mapping[str, Any], fields: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Headers or parameters of an event; which names have several values depends on its origin."""
    several: dict[str, list[str]] = event.get(fields[0]) or {}
    single: dict[str, str] = event.get(fields[1]) or {}
    for name, values in several.items():
        yield from ((name, value) for value in values)
    yield from single.items()


def _told(response: ServeResponse, *, multiple: bool) -> dict[str, Any]:
    """The answer as Lambda takes it; whoever gave lists of values wants lists back."""
    told: dict[str, Any] = {
        "statusCode": response.status,
        "body": response.body.decode(),
        "isBase64Encoded": False,
    }
    if multiple:
        lists = {name: [value] for name, value in response.headers.items()}
        return {**told, "multiValueHeaders": lists}
    return {**told, "headers": dict(response.headers)}
