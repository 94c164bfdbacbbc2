"""An app that is served over HTTP is deployed anew while its run waits, and back again."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import stepwell
from stepwell.sdk.function.option import OnCodeChange
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest, read_query
from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.serving import Server
from stepwell.server.store.port import RunFilter
from tests.unit.server.drivers.test_http_pool import serving

FREE = ServerConfig(port=0, connect_gateway_port=0)
TRIGGER = stepwell.TriggerEvent(event="order")


class App:
    """What answers at one address: whatever was deployed there last."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http
        self.url = ""
        self.handler: ServeHandler | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert self.handler is not None
        asked = ServeRequest(
            method=request.method,
            url=str(request.url),
            headers={key.lower(): value for key, value in request.headers.items()},
            query=read_query(request.query_string),
            body=await request.read(),
        )
        answer = await self.handler.handle(asked)
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))  # type: ignore[union-attr,arg-type]

    async def deploy(self, word: str, policy: OnCodeChange) -> None:
        """The function, with a step of this name at its end, is there now: the same handler, but
        for what it closes over."""
        client = stepwell.Inngest(app_id="shop", is_production=False, base_url=self.server.url)

        @client.create_function(fn_id="order", trigger=TRIGGER, on_code_change=policy)
        async def order(ctx: stepwell.Context) -> str:
            await ctx.step.wait_for_signal("wait", signal="go", timeout="1d")
            return await ctx.step.run(word, lambda: word)

        self.handler = ServeHandler(client, [order], framework="test")
        async with self.http.put(self.url) as answer:
            assert answer.status == 200, await answer.text()

    async def post(self, path: str, body: object) -> None:
        async with self.http.post(f"{self.server.url}{path}", json=body) as answer:
            assert answer.status in (200, 201), await answer.text()

    async def why(self) -> str:
        async with self.http.get(f"{self.server.url}/api/v2/runs/{self.run.id}/explain") as answer:
            return str((await answer.json())["data"]["text"])

    @property
    def run(self) -> Run:
        (run,) = self.server.node.reader.runs(RunFilter())
        return run


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("policy", ["pin", "pause"])
async def test_a_run_waits_until_the_code_it_began_under_answers_again(
    policy: OnCodeChange,
) -> None:
    async with Server(FREE, grace_s=0.1) as server, aiohttp.ClientSession() as http:
        app = App(server, http)
        async with serving(app.handle) as origin:
            app.url = f"{origin}/api/inngest"
            await app.deploy("ship", policy)
            await app.post("/e/k", {"name": "order"})
            await until(lambda: server.node.reader.waits(app.run.id))
            began: Any = app.run.code
            await app.deploy("send", policy)
            await app.post("/v1/signals", {"signal": "go", "data": None})
            while "it began under code" not in await app.why():
                await asyncio.sleep(0.01)
            assert (app.run.status, app.run.code) == (RunStatus.RUNNING, began)
            await app.deploy("ship", policy)
            await until(lambda: app.run.ended)
            assert app.run.output == b'"ship"'
