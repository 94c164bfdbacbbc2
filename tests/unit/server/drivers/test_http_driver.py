"""A call over HTTP, from the leased item to the outcome."""

import json
from typing import Any

import pytest
from aiohttp import web

from stepwell.server.drivers.http_driver import HttpDriver, target_url
from stepwell.server.drivers.http_pool import HttpPool
from stepwell.server.drivers.port import Lost
from stepwell.server.engine.message.input import Broke, Progressed, Returned
from stepwell.wire.signature import verify
from tests.unit.server.drivers.sample import job, listing, save, state
from tests.unit.server.drivers.test_http_pool import serving

NOW = 1_700_000_000_000
SDK = {"x-inngest-sdk": "inngest-py:v1", "x-inngest-req-version": "2"}


async def test_a_call_is_signed_over_the_very_bytes_it_carries() -> None:
    seen: list[Any] = []

    async def app(request: web.Request) -> web.Response:
        body = await request.read()
        key = verify(body, request.headers["x-inngest-signature"], ["signkey-test-12ab"], NOW)
        seen.append((request.path_qs, key, json.loads(body)["ctx"]["run_id"]))
        return web.Response(text='"ok"', headers=SDK)

    pool = HttpPool(timeout_s=5)
    async with serving(app) as url:
        driver = HttpDriver(pool, lambda: NOW, "signkey-test-12ab")
        made = listing(f"{url}/api?fnId=shop-a&stepId=step")
        outcome = await driver.call(job(), state(), made, save)
        targeted = await driver.call(job("h1"), state(), made, save)
    await pool.close()
    assert (outcome, targeted) == (Returned(b'"ok"', 2), Returned(b'"ok"', 2))
    assert [path for path, _, _ in seen] == [
        "/api?fnId=shop-a&stepId=step",
        "/api?fnId=shop-a&stepId=h1",
    ]


async def test_without_a_key_nothing_is_signed() -> None:
    async def app(request: web.Request) -> web.Response:
        assert "x-inngest-signature" not in request.headers
        assert "x-inngest-server-kind" not in request.headers
        return web.Response(text="[]", status=206, headers=SDK)

    pool = HttpPool(timeout_s=5)
    async with serving(app) as url:
        driver = HttpDriver(pool, lambda: NOW)
        outcome = await driver.call(job(), state(), listing(f"{url}/?stepId=step"), save)
    await pool.close()
    assert outcome == Progressed((), 2)


async def test_an_app_that_is_away_is_an_outcome() -> None:
    pool = HttpPool(timeout_s=5)
    driver = HttpDriver(pool, lambda: NOW)
    outcome = await driver.call(job(), state(), listing("http://127.0.0.1:9/x"), save)
    await pool.close()
    assert isinstance(outcome, Broke)
    assert outcome.failure.message.startswith("Unable to reach http://127.0.0.1:9/x")
    assert outcome.no_retry is False


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_an_app_that_connected_meanwhile_is_called_nowhere(scheme: str) -> None:
    driver = HttpDriver(HttpPool(timeout_s=5), lambda: NOW)
    outcome = await driver.call(job(), state(), listing(f"{scheme}://connect?fnId=a"), save)
    assert outcome == Lost(begun=False, elsewhere=True)


def test_only_the_step_of_the_registered_address_is_replaced() -> None:
    url = "http://x/a?fnId=s%2Da&stepId=step&v=1"
    assert target_url(url, "step") == url
    assert target_url(url, "h1") == "http://x/a?fnId=s%2Da&v=1&stepId=h1"
    assert target_url("http://x/a", "h 1") == "http://x/a?stepId=h%201"
    assert target_url("http://x/a?", "step") == "http://x/a?stepId=step"
