"""Lines of `ctx.logger` arrive once, over each transport, whether steps are saved on the way or
not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import stepwell
import stepwell.aiohttp
from stepwell.connect import connect
from stepwell.server.serving import Server
from tests.end_to_end.runtimes import dev_server

LOGGER = logging.getLogger("tests.transports")
LOGGER.setLevel(logging.INFO)


def functions_of(client: stepwell.Inngest) -> list[stepwell.Function[Any]]:
    @client.create_function(
        fn_id="work", trigger=stepwell.TriggerEvent(event=f"{client.app_id}/go"), retries=1
    )
    async def work(ctx: stepwell.Context) -> str:
        async def step(name: str) -> str:
            ctx.logger.info("in %s", name)
            if name == "two" and ctx.attempt == 0:
                raise stepwell.RetryAfterError("again", 0, quiet=True)
            return name

        ctx.logger.info("begun")
        await ctx.step.run("one", step, "one")
        ctx.logger.info("between")
        await ctx.step.run("two", step, "two")
        ctx.logger.info("over")
        return "done"

    return [work]


# What comes before a step that is tried again is run again, too, and says so again.
LINES = [
    ("begun", "", 0),
    ("in one", "one", 0),
    ("between", "", 0),
    ("in two", "two", 0),
    ("between", "", 1),
    ("in two", "two", 1),
    ("over", "", 0),
]


@asynccontextmanager
async def by_http(server: Server, **options: Any) -> AsyncIterator[str]:
    client = stepwell.Inngest(
        app_id="http", is_production=False, base_url=server.url, logger=LOGGER, **options
    )
    app = web.Application()
    stepwell.aiohttp.serve(app, client, functions_of(client))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    place = f"http://{host}:{port}/api/inngest"
    async with aiohttp.ClientSession() as http, http.put(place) as answer:
        assert answer.status == 200, await answer.text()
    yield "http/go"
    await runner.cleanup()


@asynccontextmanager
async def by_worker(server: Server, **options: Any) -> AsyncIterator[str]:
    client = stepwell.Inngest(
        app_id="worker", is_production=False, base_url=server.url, logger=LOGGER, **options
    )
    async with connect([(client, functions_of(client))], shutdown_signals=[]):
        yield "worker/go"


async def told(url: str, event: str) -> list[tuple[str, str, int]]:
    """What the run of an event wrote, once it has ended."""
    async with aiohttp.ClientSession(url) as http, asyncio.timeout(60):
        async with http.post("/e/any", json={"name": event, "data": {}}) as answer:
            (event_id,) = (await answer.json(content_type=None))["ids"]
        while True:
            async with http.get(f"/api/v2/events/{event_id}/runs") as answer:
                runs = (await answer.json())["data"]
            if runs and runs[0]["status"] == "COMPLETED":
                break
            await asyncio.sleep(0.02)
        async with http.get(f"/api/v2/runs/{runs[0]['id']}/logs") as answer:
            lines = (await answer.json())["data"]
    return [(one["text"], one.get("stepName", ""), one.get("attempt", 0)) for one in lines]


@pytest.mark.parametrize("checkpointing", [True, False], ids=["saved", "called"])
async def test_lines_arrive_once(checkpointing: bool) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(dev_server())
        for way in (by_http, by_worker):
            event = await stack.enter_async_context(way(server, checkpointing=checkpointing))
            assert await told(server.url, event) == LINES
