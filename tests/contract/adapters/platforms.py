"""Platforms that call functions instead of listening themselves, each with a listener before it.

What arrives by HTTP is turned into what the platform hands to a function, and what the function
gives back is answered as the platform answers it.
"""

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stepwell.http_server import read_body
from tests.contract.adapters.servers import in_a_thread

TEXTUAL = ("text/", "application/json", "application/javascript", "application/xml")


@dataclass(frozen=True)
class Asked:
    """A request as it came; `path` and `query` are encoded."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def origin(self) -> str:
        return f"http://{dict(self.headers)['host']}"

    @property
    def is_text(self) -> bool:
        return dict(self.headers).get("content-type", "").startswith(TEXTUAL)

    def lists(self, pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
        return {name: [v for n, v in pairs if n == name] for name, _ in pairs}


@dataclass(frozen=True)
class Told:
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def platform_serves(invoke: Callable[[Asked], Told]) -> Iterator[str]:
    """A listener that hands every request to a platform; gives its origin."""

    class Front(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = read_body(self.headers, self.rfile)
            headers = [(name.lower(), value) for name, value in self.headers.items()]
            told = invoke(Asked(self.command, parts.path, parts.query, headers, body))
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(told.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


# AWS


def as_http_api(asked: Asked, stage: str = "") -> dict[str, Any]:
    """What API Gateway hands over in its second format; so do function URLs, without a stage."""
    headers = {name: ",".join(values) for name, values in asked.lists(_proxied(asked)).items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(asked.path),
        "rawQueryString": asked.query,
        "headers": headers,
        "queryStringParameters": dict(parse_qsl(asked.query)),
        "requestContext": {
            "domainName": dict(asked.headers)["host"].split(":")[0],
            "http": {"method": asked.method, "path": asked.path, "protocol": "HTTP/1.1"},
            "stage": stage.strip("/") or "$default",
        },
        **_body(asked, text=asked.is_text),
    }


def as_rest_api(asked: Asked, stage: str = "") -> dict[str, Any]:
    """What API Gateway hands over in its first format: the stage is in the context's path alone."""
    query, headers = parse_qsl(asked.query), _proxied(asked)
    return {
        "resource": "/{proxy+}",
        "path": asked.path.removeprefix(stage),
        "httpMethod": asked.method,
        "headers": dict(headers),
        "multiValueHeaders": asked.lists(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": asked.lists(query) or None,
        "requestContext": {
            "httpMethod": asked.method,
            "path": asked.path,
            "stage": stage.strip("/") or "prod",
            "requestId": "c6af9ac6",
        },
        # Bodies are text unless their media type was declared binary.
        **_body(asked, text=True),
    }


def as_balanced(asked: Asked, *, multiple: bool) -> dict[str, Any]:
    """What a load balancer hands over: encoded parameters, and lists only where switched on."""
    query = [(k, v) for k, _, v in (pair.partition("=") for pair in asked.query.split("&")) if k]
    headers = _proxied(asked)
    several = {
        "multiValueHeaders": asked.lists(headers),
        "multiValueQueryStringParameters": asked.lists(query),
    }
    single = {"headers": dict(headers), "queryStringParameters": dict(query)}
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:…"}},
        "httpMethod": asked.method,
        "path": asked.path,
        **(several if multiple else single),
        **_body(asked, text=asked.is_text),
    }


def invoke_lambda(handler: Callable[[Any, Any], Any], event: dict[str, Any]) -> Told:
    """The event goes in and the answer comes out as JSON, as Lambda's runtime has it."""
    answer = json.loads(json.dumps(handler(json.loads(json.dumps(event)), object())))
    lists_wanted = "multiValueHeaders" in event and "headers" not in event
    assert not (lists_wanted and "headers" in answer), "a load balancer ignores these headers"
    headers = dict(answer.get("headers", {}))
    headers |= {name: ", ".join(v) for name, v in answer.get("multiValueHeaders", {}).items()}
    body = answer["body"]
    return Told(
        answer["statusCode"],
        headers,
        base64.b64decode(body) if answer["isBase64Encoded"] else body.encode(),
    )


def _proxied(asked: Asked) -> list[tuple[str, str]]:
    """With what every trigger adds, unless the test says something else."""
    names = {name for name, _ in asked.headers}
    more = [("x-forwarded-proto", "http"), ("x-forwarded-for", "127.0.0.1")]
    return asked.headers + [(name, value) for name, value in more if name not in names]


def _body(asked: Asked, *, text: bool) -> dict[str, Any]:
    if not asked.body:
        return {"body": None, "isBase64Encoded": False}
    body = asked.body.decode() if text else base64.b64encode(asked.body).decode()
    return {"body": body, "isBase64Encoded": not text}


# DigitalOcean


@dataclass(frozen=True)
class DigitalOceanContext:
    api_host: str
    function_name: str


def invoke_digital_ocean(main: Callable[[Any, Any], Any], asked: Asked) -> Told:
    """Raw HTTP mode: the function is told its own name, and of the path what follows it."""
    http = {
        "method": asked.method,
        "path": "",
        "queryString": asked.query,
        # The host it sees is an inner one.
        "headers": {**dict(asked.headers), "host": "ccontroller"},
        **_body(asked, text=asked.is_text),
    }
    gateway, _, name = unquote(asked.path).partition("/api/v1/web")
    answer = main({"http": http}, DigitalOceanContext(asked.origin + gateway, name))
    answer = json.loads(json.dumps(answer))
    return Told(answer["statusCode"], answer["headers"], answer["body"].encode())


# Azure


class AzureHost:
    """A host of a Python function app: its routes, and the event loop of its worker."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop, prefix: str) -> None:
        self.loop = loop
        self.routes: dict[str, tuple[list[str], Any]] = {}
        for function in app.get_functions():
            trigger = function.get_trigger().get_dict_repr()
            assert str(trigger["authLevel"]).endswith("ANONYMOUS")
            methods = [str(method).rpartition(".")[2] for method in trigger["methods"]]
            self.routes[f"{prefix}/{trigger['route']}"] = (methods, function.get_user_function())

    def invoke(self, asked: Asked) -> Told:
        """By way of the converters of the platform's own package."""
        from azure.functions import http

        methods, function = self.routes.get(unquote(asked.path).rstrip("/"), ([], None))
        if function is None or asked.method not in methods:
            return Told(404 if function is None else 405, {}, b"")
        request = http.HttpRequestConverter.decode(_datum(asked), trigger_metadata=None)
        answer = asyncio.run_coroutine_threadsafe(function(request), self.loop).result()
        told: Any = http.HttpResponseConverter.encode(answer, expected_type=None).value
        headers = {name: value.value for name, value in told["headers"].items()}
        return Told(int(told["status_code"].value), headers, told["body"].value)


def _datum(asked: Asked) -> Any:
    from azure.functions import meta

    def strings(pairs: list[tuple[str, str]]) -> dict[str, Any]:
        return {name: meta.Datum(value, "string") for name, value in pairs}

    url = f"{asked.origin}{unquote(asked.path)}?{asked.query}"
    return meta.Datum(
        {
            **strings([("method", asked.method), ("url", url)]),
            "headers": strings(asked.headers),
            "query": strings(parse_qsl(asked.query)),
            "params": {},
            "body": meta.Datum(asked.body, "bytes"),
        },
        "http",
    )


@contextmanager
def azure_serves(app: Any, prefix: str = "/api") -> Iterator[str]:
    """A function app in its host; `prefix` is what host.json says of routes."""
    loop = asyncio.new_event_loop()
    worker = threading.Thread(target=loop.run_forever, daemon=True)
    worker.start()
    try:
        with platform_serves(AzureHost(app, loop, prefix).invoke) as origin:
            yield origin
    finally:
        loop.call_soon_threadsafe(loop.stop)
        worker.join(10)
        loop.close()
