"""Adapters that are said as actions: rows F-3, F-4, F-59 and F-60."""

import inspect
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from stepwell import Context, Inngest, Streaming, TriggerEvent
from stepwell.sdk.errors import ConfigurationError
from stepwell.serve import (
    Adapter,
    CommHandler,
    ServeResponse,
    StreamingResponse,
    StreamingResponseSync,
)

EVENT = {"name": "e", "data": {"n": 2}, "id": "i", "ts": 1}
CALL = json.dumps({"ctx": {"run_id": "r"}, "event": EVENT, "steps": {}}).encode()
URL = "http://h.test/api/inngest?fnId=app-double&stepId=step"


class Request:
    """The request of a small framework, which counts how it is read."""

    def __init__(self, method: str = "POST", url: str = URL, body: bytes = CALL) -> None:
        self.method, self.url, self.body = method, url, body
        self.headers: dict[str, str] = {}
        self.read: list[str] = []


Answer: TypeAlias = tuple[int, dict[str, str], bytes]


class Small(Adapter[Answer]):
    """Its adapter."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def method(self) -> str:
        return self.request.method

    def url(self) -> str:
        return self.request.url

    def headers(self, key: str) -> str | None:
        self.request.read.append(key)
        return self.request.headers.get(key)

    def body(self) -> Any:
        return self.request.body

    def transform_response(self, response: ServeResponse) -> Answer:
        return (response.status, dict(response.headers), response.body)


class Waiting(Small):
    """The same with an action that takes time."""

    async def body(self) -> bytes:
        return self.request.body


class Piecewise(Small):
    """The same in pieces."""

    def transform_streaming_response(
        self, response: StreamingResponse | StreamingResponseSync
    ) -> Answer:
        assert isinstance(response, StreamingResponseSync)
        return (response.status, dict(response.headers), b"".join(response.chunks))


def handler(**options: Any) -> CommHandler:
    client = Inngest(app_id="app", is_dev=True)

    @client.create_function(fn_id="double", trigger=TriggerEvent(event="e"))
    async def double(ctx: Context) -> Any:
        data: dict[str, Any] = dict(ctx.event.data)
        return data["n"] * 2

    return CommHandler(client, [double], framework="small", **options)


async def test_f03_an_adapter_is_a_few_actions() -> None:
    for route in (handler().create(Small), handler().create(Waiting)):
        status, headers, body = await route(Request())
        assert (status, body, headers["x-inngest-framework"]) == (200, b"4", "small")
    assert handler().create_sync(Small)(Request())[2] == b"4"
    status, _, chunks = handler(streaming=Streaming.FORCE).create_sync(Piecewise)(Request())
    assert (status, chunks[:1], json.loads(chunks)["status"]) == (201, b" ", 200)
    with pytest.raises(ConfigurationError, match="Small has no transform_streaming_response"):
        handler(streaming=Streaming.FORCE).create(Small)


def test_f54_streaming_is_allowed_where_platform_and_adapter_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERCEL", "1")
    allowed = handler(streaming=Streaming.ALLOW).create_sync
    assert (allowed(Piecewise)(Request())[0], allowed(Small)(Request())[0]) == (201, 200)
    monkeypatch.delenv("VERCEL")
    assert handler(streaming=Streaming.ALLOW).create_sync(Piecewise)(Request())[0] == 200


def test_f04_the_route_has_the_adapters_parameters_and_reads_each_header_once() -> None:
    route = handler().create_sync(Small)
    assert route.__name__ == "inngest_handler"
    assert list(inspect.signature(route).parameters) == ["request"]
    request = Request()
    _, headers, _ = route(request)
    assert len(request.read) == len(set(request.read)) > 0
    timed = {part.partition(";")[0] for part in headers["server-timing"].split(", ")}
    assert {"comm_handler", "action.body", "action.headers", "action.url"} <= timed


class Broken(Small):
    def body(self) -> bytes:
        raise OSError("the pipe broke")


class Slowly(Small):
    async def body(self) -> bytes:
        raise OSError("the pipe broke")


async def test_f59_an_action_that_fails_is_named_with_its_reason() -> None:
    for name, answered in (
        ("Broken", handler().create_sync(Broken)(Request())),
        ("Slowly", await handler().create(Slowly)(Request())),
    ):
        assert (answered[0], answered[1]["x-inngest-framework"]) == (500, "small")
        message = json.loads(answered[2])["message"]
        assert f"{name}.body() failed, needed because signatures are made over it" in message
        assert "the pipe broke" in message


class InProduction(Broken):
    def is_production(self) -> bool:
        return True


def test_strangers_are_not_told_which_action_failed_in_production() -> None:
    cloud = Inngest(app_id="app", is_production=True, signing_key="signkey-test-12")
    for route in (
        CommHandler(cloud, [], framework="small").create_sync(Broken),
        handler().create_sync(InProduction),
    ):
        status, headers, body = route(Request())
        assert (status, json.loads(body)["code"]) == (500, "internal_server_error")
        assert b"pipe" not in body
        assert "x-inngest-framework" not in headers


class WithBindings(Small):
    bindings: Mapping[str, str] = {}
    production: bool | None = None

    def env(self) -> Mapping[str, str]:
        return self.bindings

    def is_production(self) -> bool | None:
        return self.production


def test_f28_f60_variables_may_come_with_the_request() -> None:
    client = Inngest(app_id="app")
    client.set_env_vars({"INNGEST_DEV": "1"})
    route = CommHandler(client, [], framework="small").create_sync(WithBindings)
    get = Request("GET", "http://h.test/api/inngest", b"")
    WithBindings.production = False
    assert json.loads(route(get)[2])["mode"] == "dev"
    WithBindings.bindings = {"INNGEST_SIGNING_KEY": "signkey-test-12"}
    WithBindings.production = True
    assert route(get)[0] == 401
    assert client.signing_key is None  # the request's key is nobody else's
