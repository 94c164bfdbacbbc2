"""Requests the server makes for a step: fetches and inferences."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from stepwell.server.drivers.gateway_driver import GatewayDriver
from stepwell.server.drivers.http_pool import HttpPool
from stepwell.server.engine.message.input import Progressed
from stepwell.wire.operation import StepError, StepRun
from tests.unit.server.drivers.sample import job, listing, save, state
from tests.unit.server.drivers.test_http_pool import serving


@pytest.fixture
async def pool() -> AsyncIterator[HttpPool]:
    made = HttpPool(timeout_s=5)
    yield made
    await made.close()


async def perform(pool: HttpPool, op: str, **opts: Any) -> StepRun | StepError:
    operation = {"id": "h1", "op": op, "displayName": "f", "opts": {**opts, "parallelMode": "race"}}
    made = job("h1", secret=json.dumps([operation]).encode(), version=2)
    outcome = await GatewayDriver(pool).call(made, state(), listing(), save)
    assert isinstance(outcome, Progressed)
    assert outcome.version == 2
    (ended,) = outcome.operations
    assert isinstance(ended, StepRun | StepError)
    assert (ended.id, ended.display_name, ended.parallel_mode) == ("h1", "f", "race")
    return ended


def result(ended: StepRun | StepError) -> Any:
    assert isinstance(ended, StepRun)
    return json.loads(bytes(ended.data))


async def test_a_fetch_is_remembered_whatever_its_status(pool: HttpPool) -> None:
    async def site(request: web.Request) -> web.Response:
        said = f"{request.method} {request.headers['x-a']} {await request.text()}"
        return web.Response(text=said, status=404, headers={"x-b": "2"})

    async with serving(site) as url:
        ended = await perform(
            pool, "Gateway", url=url, method="put", headers={"x-a": "1"}, body="hi"
        )
    fetched = result(ended)
    assert (fetched["status_code"], fetched["body"], fetched["url"]) == (404, "PUT 1 hi", url)
    assert fetched["headers"]["x-b"] == "2"


async def test_a_fetch_that_reaches_nobody_failed(pool: HttpPool) -> None:
    ended = await perform(pool, "Gateway", url="http://127.0.0.1:9/", method="GET")
    assert isinstance(ended, StepError)
    assert ended.failure.name == "GatewayError"
    assert "Unable to reach http://127.0.0.1:9/" in ended.failure.message


async def test_an_answer_too_large_failed(pool: HttpPool) -> None:
    async def site(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5_000_000)

    async with serving(site) as url:
        ended = await perform(pool, "Gateway", url=url, method="GET")
    assert isinstance(ended, StepError)
    assert "more than 4194304 bytes" in ended.failure.message


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("openai-chat", "authorization=Bearer sk-1"),
        ("anything", "authorization=Bearer sk-1"),
        ("anthropic", "x-api-key=sk-1"),
        ("bedrock", "authorization=sk-1"),
        ("gemini", "query=sk-1"),
    ],
)
async def test_each_provider_finds_its_key(pool: HttpPool, kind: str, seen: str) -> None:
    found: list[str] = []

    async def provider(request: web.Request) -> web.Response:
        assert request.method == "POST"
        assert (await request.json()) == {"model": "m"}
        keys = {name: request.headers.get(name) for name in ("authorization", "x-api-key")}
        keys["query"] = request.query.get("key")
        found.extend(f"{name}={key}" for name, key in keys.items() if key is not None)
        return web.json_response({"choices": []})

    async with serving(provider) as url:
        opts = {"url": f"{url}/v1", "format": kind, "auth_key": "sk-1", "body": {"model": "m"}}
        ended = await perform(pool, "AIGateway", **opts)
    assert result(ended) == {"choices": []}
    assert found == [seen]


async def test_what_a_model_tells_of_its_answer_goes_with_the_step(pool: HttpPool) -> None:
    async def provider(request: web.Request) -> web.Response:
        return web.json_response({"model": "m-1", "usage": {"prompt_tokens": 3}})

    async with serving(provider) as url:
        ended = await perform(pool, "AIGateway", url=url, body={"model": "m", "messages": []})
        plain = await perform(pool, "Gateway", url=url, method="POST")
    assert plain.metadata is None
    (update,) = json.loads(bytes(ended.metadata or b""))
    assert (update["kind"], update["op"], update["scope"]) == ("inngest.ai", "set", "step")
    assert update["values"].pop("latency_ms") >= 0
    told = {"request_model": "m", "response_model": "m-1", "input_tokens": 3}
    assert update["values"] == told


async def test_a_provider_that_refuses_failed_and_its_words_are_kept(pool: HttpPool) -> None:
    async def provider(request: web.Request) -> web.Response:
        return web.json_response({"error": "slow down"}, status=429)

    async with serving(provider) as url:
        ended = await perform(pool, "AIGateway", url=url, auth_key="sk-1")
    assert isinstance(ended, StepError)
    assert ended.failure.name == "AIGatewayError"
    assert ended.failure.message == "Error making AI request: unsuccessful status code: 429"
    assert ended.failure.data is not None
    assert json.loads(bytes(ended.failure.data)) == {"error": "slow down"}
    assert "slow down" in ended.failure.stack


async def test_a_provider_that_answers_no_json_failed(pool: HttpPool) -> None:
    async def provider(request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    async with serving(provider) as url:
        ended = await perform(pool, "AIGateway", url=url)
    assert isinstance(ended, StepError)
    assert "no JSON" in ended.failure.message


async def test_a_key_in_the_address_is_not_told(pool: HttpPool) -> None:
    opts = {"url": "http://127.0.0.1:9/", "format": "gemini", "auth_key": "sk-secret"}
    ended = await perform(pool, "AIGateway", **opts)
    assert isinstance(ended, StepError)
    assert "sk-secret" not in f"{ended.failure.message}{ended.failure.stack}"
