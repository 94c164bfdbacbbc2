"""A server with a few functions inside: they complete, fail, wait, or have many steps."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp

import stepwell
from stepwell.embedded import attach
from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server

BIG = 2**70
SCRIPT = "<img src=x onerror=\"document.title='harmed'\"> \u202egnp.exe \ud83d"


@dataclass
class Shop:
    """The running server and what a test asks of it."""

    server: Server
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.server.url.replace("localhost", "127.0.0.1")

    async def get(self, path: str) -> Any:
        async with self.http.get(f"{self.url}/{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def send(self, name: str, **data: object) -> str:
        """Sends an event; gives its id."""
        body = {"name": name, "data": data}
        async with self.http.post(f"{self.url}/e/key", json=body) as answer:
            return str((await answer.json(content_type=None))["ids"][0])

    async def run_of(self, event_id: str, *statuses: str) -> dict[str, Any]:
        """The run an event started, once it stands as wanted."""
        for _ in range(2_000):
            found = (await self.get(f"v2/events/{event_id}/runs"))["data"]
            if found and (not statuses or found[0]["status"] in statuses):
                run: dict[str, Any] = found[0]
                return run
            await asyncio.sleep(0.01)
        raise TimeoutError(f"no run of {event_id} is {statuses}")

    async def run(self, name: str, *statuses: str, **data: object) -> dict[str, Any]:
        """The run that an event of this name starts, once it stands as wanted."""
        return await self.run_of(await self.send(name, **data), *statuses)


@asynccontextmanager
async def running_shop() -> AsyncIterator[Shop]:
    """A shop on a free port."""
    before = os.environ.get("INNGEST_DEV")
    server = Server(ServerConfig(host="127.0.0.1", port=0, connect_gateway_port=0, poll=False))
    await server.start()
    logger = logging.getLogger("tests.shop")
    logger.setLevel(logging.INFO)
    client = stepwell.Inngest(app_id="shop", is_production=False, logger=logger)
    await attach(server.node, client, functions_of(client), alone=False)
    server.release_apps()
    try:
        async with aiohttp.ClientSession() as http:
            yield Shop(server, http)
    finally:
        client.attach(None)
        await server.stop()
        assert os.environ.get("INNGEST_DEV") == before


def functions_of(client: stepwell.Inngest) -> list[stepwell.Function[Any]]:
    """What the shop does."""

    @client.create_function(fn_id="fulfil", trigger=stepwell.TriggerEvent(event="order/placed"))
    async def fulfil(ctx: stepwell.Context) -> dict[str, object]:
        async def charge() -> dict[str, object]:
            return {"amount": BIG, "note": ctx.event.data.get("note", "")}

        async def pack(box: str) -> str:
            return f"a parcel in a {box} box"

        charged = await ctx.step.run("charge the card", charge)
        await ctx.step.sleep("let the glue dry", timedelta(milliseconds=50))
        return {"charged": charged, "sent": await ctx.step.run("pack the parcel", pack, "small")}

    @client.create_function(
        fn_id="refund", trigger=stepwell.TriggerEvent(event="order/refunded"), retries=0
    )
    async def refund(ctx: stepwell.Context) -> None:
        def pay() -> None:
            try:
                raise KeyError("account")
            except KeyError as error:
                raise ValueError("the customer has no account") from error

        await ctx.step.run("pay back", pay)

    @client.create_function(
        fn_id="search", trigger=stepwell.TriggerEvent(event="parcel/lost"), retries=1
    )
    async def search(ctx: stepwell.Context) -> None:
        def look() -> None:
            found = f"nothing in drawer {ctx.attempt + 1}"
            note = ctx.event.data.get("note", "")
            ctx.logger.info("opens drawer %d%s", ctx.attempt + 1, note)
            raise stepwell.RetryAfterError(found, timedelta(milliseconds=1))

        await ctx.step.run("look for it", look)

    @client.create_function(fn_id="approve", trigger=stepwell.TriggerEvent(event="order/asked"))
    async def approve(ctx: stepwell.Context) -> str:
        answer = await ctx.step.wait_for_event(
            "approval",
            event="order/approved",
            if_exp="event.data.order == async.data.order",
            timeout=timedelta(days=3),
        )
        return "expired" if answer is None else "approved"

    @client.create_function(fn_id="import", trigger=stepwell.TriggerEvent(event="rows/uploaded"))
    async def rows(ctx: stepwell.Context) -> str:
        async def row() -> int:
            return 1

        for number in range(int(str(ctx.event.data["rows"]))):
            await ctx.step.run(f"row {number}", row)
        return "done"

    @client.create_function(fn_id="close", trigger=stepwell.TriggerEvent(event="day/closed"))
    async def close(ctx: stepwell.Context) -> None:
        await ctx.step.invoke("bring in the rows", function=rows, data={"rows": 1})

    @client.create_function(
        fn_id="notify",
        trigger=stepwell.TriggerEvent(event="order/placed"),
        debounce=stepwell.Debounce(period=timedelta(minutes=5)),
        concurrency=[stepwell.Concurrency(limit=2)],
    )
    async def notify(ctx: stepwell.Context) -> None:
        """Never starts within a test: its event is debounced."""

    return [fulfil, refund, search, approve, rows, close, notify]
