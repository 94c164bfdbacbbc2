"""Routes of FastAPI, Flask and Django that start a run and wait for it, or go on at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, cast

import tests.django_project  # isort: skip - sets Django up
import fastapi
import flask
import httpx
import pytest
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

import stepwell.fast_api
import stepwell.flask
from stepwell import Context, ContextSync, Inngest, TriggerEvent
from stepwell.embedded import Engine

assert tests.django_project
# What a route was asked for, and what it answers: a status and a part of its body.
ROUTES = {
    "double": (200, {"result": 4}),
    "fails": (500, {"status": "failed", "error": "ValueError"}),
    "lingers": (202, {"status": "running"}),
}


class Shop:
    """An app whose functions succeed, fail and take long, on an engine in this process."""

    def __init__(self) -> None:
        self.client = client = Inngest(app_id="shop", is_dev=True)
        self.engine: Any = None

        @client.create_function(fn_id="double", trigger=TriggerEvent(event="never"))
        async def double(ctx: Context) -> int:
            n = cast(int, ctx.event.data["n"])
            return await ctx.step.run("twice", lambda: 2 * n)

        @client.create_function(fn_id="fails", trigger=TriggerEvent(event="never"), retries=0)
        def fails(ctx: ContextSync) -> None:
            raise ValueError("not for strangers")

        @client.create_function(fn_id="lingers", trigger=TriggerEvent(event="never"))
        async def lingers(ctx: Context) -> None:
            await ctx.step.sleep("long", "1h")

        self.functions = [double, fails, lingers]

    def timeout(self, name: str) -> int:
        return 1 if name == "lingers" else 10_000

    async def wait(self, name: str) -> Any:
        timeout = self.timeout(name)
        return await self.client.invoke(f"shop-{name}", data={"n": 2}, timeout=timeout)

    def wait_sync(self, name: str) -> Any:
        timeout = self.timeout(name)
        return self.client.invoke_sync(f"shop-{name}", data={"n": 2}, timeout=timeout)


@asynccontextmanager
async def running() -> AsyncGenerator[Shop, None]:
    shop = Shop()
    async with Engine(shop.client, shop.functions, database=":memory:") as engine:
        shop.engine = engine
        yield shop


async def judge(shop: Shop, ask: Any) -> None:
    """Ask every route; `ask` gives status, headers and the decoded body."""
    for name, (status, part) in ROUTES.items():
        told = await ask(f"/wait/{name}")
        assert (told[0], told[2] | part) == (status, told[2])
        assert "not for strangers" not in str(told[2])
        assert ("run_id" in told[2]) == (name != "double")
    status, _, body = await ask("/start/double")
    assert status == 200
    assert (await shop.engine.node.run_ended(body["run_id"], 10)).output == b"4"
    shop.client.run_port = None
    shop.client.set_env_vars({"INNGEST_DEV": "http://127.0.0.1:9"})
    status, headers, body = await ask("/wait/double")
    assert (status, headers["retry-after"], body) == (503, "1", {"status": "unreachable"})


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be reached is given up at once."""
    monkeypatch.setattr("stepwell.wire.limit.SEND_ATTEMPTS_MAX", 1)


async def test_fast_api_routes_wait_for_runs() -> None:
    app = fastapi.FastAPI()
    stepwell.fast_api.answer_run_errors(app)
    async with running() as shop:

        @app.get("/wait/{name}")
        async def wait(name: str) -> Any:
            return {"result": await shop.wait(name)}

        @app.get("/start/{name}")
        async def start(name: str) -> Any:
            return {"run_id": await shop.client.invoke(f"shop-{name}", data={"n": 2}, wait=False)}

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://h.test") as http:

            async def ask(url: str) -> Any:
                told = await http.get(url)
                return told.status_code, told.headers, told.json()

            await judge(shop, ask)


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_flask_views_wait_for_runs(colour: str) -> None:
    app = flask.Flask("routes")
    stepwell.flask.answer_run_errors(app)
    async with running() as shop:

        async def wait(name: str) -> Any:
            return {"result": await shop.wait(name)}

        async def start(name: str) -> Any:
            return {"run_id": await shop.client.invoke(f"shop-{name}", data={"n": 2}, wait=False)}

        def wait_sync(name: str) -> Any:
            return {"result": shop.wait_sync(name)}

        def start_sync(name: str) -> Any:
            return {"run_id": shop.client.invoke_sync(f"shop-{name}", data={"n": 2}, wait=False)}

        app.get("/wait/<name>")(wait if colour == "async" else wait_sync)
        app.get("/start/<name>")(start if colour == "async" else start_sync)

        async def ask(url: str) -> Any:
            told = await asyncio.to_thread(app.test_client().get, url)
            return told.status_code, told.headers, told.get_json()

        await judge(shop, ask)


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_django_views_wait_for_runs(colour: str) -> None:
    async with running() as shop:

        @transaction.non_atomic_requests
        async def wait(request: HttpRequest, name: str) -> JsonResponse:
            return JsonResponse({"result": await shop.wait(name)})

        @transaction.non_atomic_requests
        async def start(request: HttpRequest, name: str) -> JsonResponse:
            run_id = await shop.client.invoke(f"shop-{name}", data={"n": 2}, wait=False)
            return JsonResponse({"run_id": run_id})

        def wait_sync(request: HttpRequest, name: str) -> JsonResponse:
            return JsonResponse({"result": shop.wait_sync(name)})

        def start_sync(request: HttpRequest, name: str) -> JsonResponse:
            run_id = shop.client.invoke_sync(f"shop-{name}", data={"n": 2}, wait=False)
            return JsonResponse({"run_id": run_id})

        views: Any = (wait, start) if colour == "async" else (wait_sync, start_sync)
        urls: Any = ModuleType("urls")
        urls.urlpatterns = [path("wait/<name>", views[0]), path("start/<name>", views[1])]

        async def ask(url: str) -> Any:
            if colour == "async":
                told: Any = await AsyncClient().get(url)
            else:
                told = await asyncio.to_thread(Client().get, url)
            return told.status_code, told.headers, told.json()

        middleware = ["stepwell.django.RunErrorsMiddleware"]
        with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=middleware):
            await judge(shop, ask)
