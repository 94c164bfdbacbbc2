"""Row E-173, the other half: the code of a cancelled run hears of it while it runs, by every
transport. A coroutine gets `CancelledError`, what blocks asks `ctx.cancelled`."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import flask
import pytest
from aiohttp import web
from werkzeug.serving import make_server

import stepwell
import stepwell.aiohttp
import stepwell.flask
from stepwell.connect import connect
from stepwell.sdk.serve import watch
from stepwell.server.config import ServerConfig
from stepwell.server.engine.message.input import CancelAsked
from stepwell.server.serving import Server
from tests.events.shop import new_client, running, until

STOP = stepwell.Cancel(event="shop/stop", if_exp="event.data.n == async.data.n")


class Scene:
    """Functions that would go on for ever, and what they had to say when they ended."""

    def __init__(self) -> None:
        self.client = new_client()
        self.begun = threading.Event()
        self.said: list[str] = []
        self.functions = [self._coroutine(), self._plain(), self._plain_step()]

    def _waiting(self, cancelled: stepwell.Cancelled) -> None:
        self.begun.set()
        while not cancelled:
            cancelled.wait(0.02)
        self.said.append("told")

    def _coroutine(self) -> stepwell.Function[Any]:
        async def endless() -> None:
            self.begun.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.said.append("told")
                raise

        @self.client.on("shop/coroutine", cancel=[STOP])
        async def coroutine(ctx: stepwell.Context) -> None:
            await ctx.step.run("endless", endless)

        return coroutine

    def _plain(self) -> stepwell.Function[Any]:
        @self.client.on("shop/plain", cancel=[STOP])
        def plain(ctx: stepwell.ContextSync) -> None:
            ctx.step.run("endless", lambda: self._waiting(ctx.cancelled))

        return plain

    def _plain_step(self) -> stepwell.Function[Any]:
        """A step that blocks, of a coroutine."""

        @self.client.on("shop/plain-step", cancel=[STOP])
        async def plain_step(ctx: stepwell.Context) -> None:
            def endless() -> None:
                self._waiting(ctx.cancelled)

            await ctx.step.run("endless", endless)

        return plain_step


@asynccontextmanager
async def reached(scene: Scene, how: str) -> AsyncIterator[Any]:
    """The node that runs the scene's functions by one transport."""
    if how == "in process":
        async with running(scene.client, *scene.functions) as engine:
            yield engine.node
        return
    async with Server(ServerConfig(port=0, connect_gateway_port=0)) as server:
        scene.client.set_env_vars({"INNGEST_DEV": server.url})
        if how == "connect":
            async with connect([(scene.client, scene.functions)]):
                yield server.node
            return
        async with (served_blocking if how == "wsgi" else served)(scene) as url:
            reply = await scene.client.http.request(
                "PUT", url, headers={}, body=b"", timeout_seconds=10
            )
            assert reply.status == 200, reply.body
            yield server.node


@asynccontextmanager
async def served(scene: Scene) -> AsyncIterator[str]:
    app = web.Application()
    stepwell.aiohttp.serve(app, scene.client, scene.functions)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/inngest"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served_blocking(scene: Scene) -> AsyncIterator[str]:
    app = flask.Flask(__name__)
    stepwell.flask.serve(app, scene.client, scene.functions)
    http = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.port}/api/inngest"
    finally:
        await asyncio.to_thread(http.shutdown)
        thread.join()
        http.server_close()


async def begin(scene: Scene, node: Any, name: str) -> str:
    """Start a function and wait until its code runs; gives the run's id."""
    ids = await scene.client.send({"name": f"shop/{name}", "data": {"n": 1}})
    await until(scene.begun.is_set)
    return str(node.reader.runs_of_event(ids[0])[0].id)


@pytest.mark.parametrize("how", ["in process", "http", "wsgi", "connect"])
@pytest.mark.parametrize("name", ["coroutine", "plain", "plain-step"])
async def test_e_173_running_code_hears_of_the_end_of_its_run(
    how: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "AFTER_SECONDS", 0.05)
    scene = Scene()
    async with reached(scene, how) as node:
        run_id = await begin(scene, node, name)
        await scene.client.send({"name": "shop/stop", "data": {"n": 2}})  # of another run
        await asyncio.sleep(0.1)
        assert scene.said == []
        await scene.client.send({"name": "shop/stop", "data": {"n": 1}})
        await until(lambda: scene.said)
        assert node.reader.run(run_id).status.word == "Cancelled"
    assert scene.said == ["told"]


@pytest.mark.parametrize("how", ["http", "wsgi", "connect"])
async def test_e_173_cancelling_by_the_api_is_heard_as_well(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "AFTER_SECONDS", 0.05)
    scene = Scene()
    async with reached(scene, how) as node:
        run_id = await begin(scene, node, "coroutine")
        url = f"{scene.client.api_origin}/v1/runs/{run_id}"
        reply = await scene.client.http.request(
            "DELETE", url, headers={}, body=None, timeout_seconds=10
        )
        assert reply.status < 300
        await until(lambda: scene.said)
    assert scene.said == ["told"]


async def test_a_request_is_not_hung_up_on_when_its_run_is_cancelled() -> None:
    """Some frameworks end a handler whose caller is gone; that of an official SDK reaches its end
    (server.md 3.11)."""
    said: list[str] = []
    begun = asyncio.Event()

    async def call(request: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            said.append("cut off")
            raise
        said.append("the end")
        return web.json_response(None, headers={"x-inngest-sdk": "py:v0.5.19"})

    app = web.Application()
    app.router.add_post("/api/inngest", call)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Server(ServerConfig(port=0, connect_gateway_port=0)) as server:
        client = new_client(event_api_base_url=server.url, api_base_url=server.url)
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/inngest"
        registered = await client.http.request(
            "POST",
            f"{server.url}/fn/register",
            headers={"content-type": "application/json"},
            body=json.dumps(registration(function("long", event="shop/long"), url=url)).encode(),
            timeout_seconds=10,
        )
        assert registered.status == 200, registered.body
        ids = await client.send({"name": "shop/long"})
        await asyncio.wait_for(begun.wait(), 10)
        (run,) = server.node.reader.runs_of_event(ids[0])
        await server.node.ledger.submit(CancelAsked(run.id))
        await until(lambda: said)
        await runner.cleanup()
    assert said == ["the end"]


def function(name: str, *, event: str) -> dict[str, Any]:
    return {"id": f"shop-{name}", "name": name, "triggers": [{"event": event}]}


def registration(one: dict[str, Any], *, url: str) -> dict[str, Any]:
    """An app of an official SDK, as it registers."""
    where = {"type": "http", "url": f"{url}?fnId={one['id']}&stepId=step"}
    steps = {"step": {"id": "step", "name": "step", "runtime": where}}
    whole = {"url": url, "deployType": "ping", "framework": "flask", "appName": "shop"}
    return {**whole, "sdk": "py:v0.5.19", "v": "0.1", "functions": [{**one, "steps": steps}]}
