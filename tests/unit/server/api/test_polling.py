"""Which apps are asked to register, when, and what is noted of those that do not."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiohttp import web

from stepwell.server.api.apps.discovery import Discovery
from stepwell.server.api.apps.polling import Poller
from stepwell.server.config import Command, ServerConfig
from stepwell.server.drivers.http_pool import HttpPool
from stepwell.server.drivers.port import LaneSeen
from stepwell.server.registration import app_registered
from stepwell.wire.registration import decode_registration
from stepwell.wire.signature import verify
from tests.unit.server.api.harness import NOW_MS, Api, function, registration, serving
from tests.unit.server.drivers.test_http_pool import serving as serving_app

DEV = ServerConfig(poll=True)


class App:
    """An app that registers when it is asked to, or answers as it is told."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.url = ""
        self.url_sent = ""
        self.hands_through = False
        self.pings: list[web.Request] = []
        self.status = 200
        self.message = "Successfully registered"
        self.registers = True
        self.is_sdk = True

    async def handle(self, request: web.Request) -> web.Response:
        headers = {"x-inngest-sdk": "py:v1"} if self.is_sdk else {}
        if request.method == "GET":
            return web.json_response({}, headers=headers)
        body = await request.read()
        assert json.loads(body) == {"url": self.url_sent or self.url}
        if "x-inngest-signature" in request.headers:
            verify(body, request.headers["x-inngest-signature"], ["12ab"], NOW_MS)
        self.pings.append(request)
        if self.registers and self.status == 200:
            told = {**registration(function("a", event="x")), "url": self.url}
            answer = await self.api.http.post(
                "/fn/register", json=told, headers={"authorization": "Bearer 12ab"}
            )
            assert answer.status_code == 200
            if self.hands_through:
                return web.json_response(answer.json(), headers=headers)
        return web.json_response({"message": self.message}, status=self.status, headers=headers)


@asynccontextmanager
async def world(config: ServerConfig, *, named: bool) -> AsyncIterator[tuple[App, Poller, Api]]:
    """An app, the server that is to know it, and who asks."""
    pool = HttpPool(timeout_s=5)
    async with serving(config) as api:
        app = App(api)
        async with serving_app(app.handle) as origin:
            app.url = f"{origin}/api/inngest".replace("127.0.0.1", "localhost")
            urls = (app.url,) if named else ()
            deps = msgspec_replaced(api, urls)
            yield app, Poller(deps, pool), api
    await pool.close()


def msgspec_replaced(api: Api, urls: tuple[str, ...]) -> Any:
    config = msgspec.structs.replace(api.deps.config, sdk_urls=urls)
    return type(api.deps)(api.ledger, api.deps.reader, api.clock, config, api.apps.append)


async def test_a_named_app_is_asked_and_asked_again_in_development() -> None:
    async with world(DEV, named=True) as (app, poller, api):
        await poller.run_once()
        assert list(api.ledger.catalog.listings) == ["shop-a"]
        await poller.run_once()
        assert [ping.headers["x-inngest-server-kind"] for ping in app.pings] == ["dev", "dev"]
        assert "x-inngest-signature" not in app.pings[0].headers


async def test_without_polling_an_app_that_answered_is_left_alone() -> None:
    async with world(ServerConfig(poll=False), named=True) as (app, poller, _):
        await poller.run_once()
        await poller.run_once()
        assert len(app.pings) == 1
        app.status = 500
        synced = await poller.sync(app.url)
        assert synced.problem == "internal_server_error: Successfully registered"


async def test_an_app_a_worker_took_over_and_left_is_asked_again() -> None:
    async with world(ServerConfig(poll=False), named=True) as (app, poller, api):
        await poller.run_once()
        assert poller.named_at("shop") == app.url
        given = app_registered(
            decode_registration(json.dumps(registration(function("a", event="x"))).encode()),
            "connect",
            api.ledger.catalog,
            NOW_MS,
        )
        await api.ledger.submit(given)
        await poller.run_once()
        assert len(app.pings) == 1
        poller._deps = replace(poller._deps, lane=lambda app: LaneSeen(0, 0, NOW_MS))
        await poller.run_once()
        assert len(app.pings) == 2
        assert api.ledger.catalog.apps["shop"].method == "serve"
        await poller.run_once()
        assert len(app.pings) == 2


async def test_a_production_server_signs_and_asks_those_that_are_away() -> None:
    config = ServerConfig(command=Command.START, signing_keys=("12ab",), event_keys=("k",))
    async with world(config, named=True) as (app, poller, api):
        app.status, app.message = 401, "Unauthorized"
        await poller.run_once()
        assert api.ledger.catalog.apps == {}
        app.status = 200
        await poller.run_once()
        assert api.ledger.catalog.apps["shop"].error == ""
        await poller.run_once()
        assert len(app.pings) == 2
        assert all("x-inngest-signature" in ping.headers for ping in app.pings)


async def test_a_registered_app_that_goes_away_is_noted_and_its_return_too() -> None:
    async with world(DEV, named=True) as (app, poller, api):
        await poller.run_once()
        for status, word in ((403, "forbidden"), (404, "url_not_found"), (400, "bad day")):
            app.status, app.message = status, "bad day"
            await poller.run_once()
            assert word in api.ledger.catalog.apps["shop"].error
        app.status = 200
        await poller.run_once()
        assert api.ledger.catalog.apps["shop"].error == ""


async def test_an_app_that_cannot_be_reached_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    pool = HttpPool(timeout_s=5)
    async with serving(ServerConfig(poll=True, sdk_urls=("http://127.0.0.1:9/x",))) as api:
        poller = Poller(api.deps, pool)
        with caplog.at_level(logging.WARNING, "stepwell.polling"):
            await poller.run_once()
            await poller.run_once()
        (record,) = caplog.records
        assert "app http://127.0.0.1:9/x: unreachable" in record.getMessage()
    await pool.close()


async def test_an_app_that_is_being_started_is_told_of_once_it_should_be_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world(DEV, named=False) as (_, _, api):
        pool, starting = HttpPool(timeout_s=5), [True]
        poller = Poller(api.deps, pool, awaited=lambda app: app.name == "shop" and starting[0])
        told = {**registration(function("a", event="x")), "url": "http://127.0.0.1:9/x"}
        assert (await api.http.post("/fn/register", json=told)).status_code == 200
        with caplog.at_level(logging.WARNING, "stepwell.polling"):
            await poller.run_once()
            assert not caplog.records
            starting[0] = False
            await poller.run_once()
        assert "app http://127.0.0.1:9/x: unreachable" in caplog.text
        await pool.close()


async def test_an_app_that_registers_elsewhere_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with world(DEV, named=True) as (app, poller, _):
        app.registers = False
        with caplog.at_level(logging.WARNING, "stepwell.polling"):
            await poller.run_once()
        assert "did not register here" in caplog.text
        assert "INNGEST_DEV=" in caplog.text


@pytest.mark.parametrize(
    ("asked", "registered", "hands_through"),
    [
        ("/", "", False),  # a slash at the end
        ("", "/", False),
        ("", "/other", False),  # a path of its own
        ("", "https://shop.test/api/inngest", True),  # an origin of its own
    ],
)
async def test_an_app_that_registers_with_another_url_has_registered(
    asked: str, registered: str, hands_through: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(DEV, named=True) as (app, _, api):
        url = f"{app.url}{asked}"
        app.url_sent = url
        app.url = registered if "://" in registered else f"{app.url}{registered}"
        app.hands_through = hands_through
        pool = HttpPool(timeout_s=5)
        poller = Poller(msgspec_replaced(api, (url,)), pool)
        with caplog.at_level(logging.INFO, "stepwell.polling"):
            await poller._ask(url)
            assert "did not register" not in caplog.text
            app.status = 500
            await poller._ask(url)
        assert "internal_server_error" in api.ledger.catalog.apps["shop"].error
        await pool.close()


async def test_something_that_is_no_app_is_called_so() -> None:
    async with world(DEV, named=True) as (app, poller, _):
        app.registers = app.is_sdk = False
        assert (await poller.sync(app.url)).problem.startswith("not_sdk: ")


async def test_an_app_on_a_common_port_is_found_and_others_are_left_alone() -> None:
    now = 0.0
    async with world(DEV, named=False) as (app, _, api):
        port = int(app.url.rsplit(":", 1)[1].split("/")[0])
        pool = HttpPool(timeout_s=5)
        discovery = Discovery(pool, 1, {}, [port, 9], clock_s=lambda: now)
        assert await discovery.run_once([]) == [app.url]
        assert await discovery.run_once([app.url]) == []
        app.is_sdk = False
        assert await discovery.run_once([]) == []
        app.is_sdk = True
        assert await discovery.run_once([]) == []
        now = 61.0
        assert await discovery.run_once([]) == [app.url]
        own = Discovery(pool, port, {"PORT": str(port)}, [])
        assert await own.run_once([]) == []
        asked = Discovery(pool, 1, {"PORT": str(port)}, [])
        assert await asked.run_once([]) == [app.url]
        found = Poller(api.deps, pool, Discovery(pool, 1, {}, [port]))
        await found.run_once()
        assert list(api.ledger.catalog.listings) == ["shop-a"]
        await pool.close()


async def test_a_poller_goes_on_after_a_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = asyncio.Queue[int]()

    async def stumble(self: Poller) -> None:
        looks.put_nowait(1)
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(Poller, "run_once", stumble)
    at_once = ServerConfig(poll=True, poll_interval_s=0)
    async with world(at_once, named=False) as (_, poller, _):
        poller.start()
        for _ in range(3):
            await asyncio.wait_for(looks.get(), 10)
        await poller.stop()
    assert "looking at apps has a fault" in caplog.text
