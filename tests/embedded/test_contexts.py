"""What a handler is in the middle of is nobody else's business: calls begin in a clean context."""

import asyncio
import contextvars
from typing import Any

import pytest

import stepwell
from stepwell.embedded import Engine

NOTE: contextvars.ContextVar[str] = contextvars.ContextVar("note", default="nothing")


def client_of() -> stepwell.Inngest:
    return stepwell.Inngest(app_id="shop", is_production=False)


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_functions_started_from_inside_a_step_are_not_inside_it(colour: str) -> None:
    client = client_of()
    seen: list[str] = []
    done = asyncio.Event()

    @client.create_function(fn_id="child", trigger=stepwell.TriggerEvent(event="shop/child"))
    async def child(ctx: stepwell.Context) -> None:
        seen.append(NOTE.get())
        await ctx.step.run("own", lambda: None)
        done.set()

    async def send() -> None:
        NOTE.set("the parent's")
        await client.send({"name": "shop/child"})

    async def parent(ctx: stepwell.Context) -> None:
        await ctx.step.run("send", send)

    def parent_sync(ctx: stepwell.ContextSync) -> None:
        NOTE.set("the parent's")
        ctx.step.send_event("send", {"name": "shop/child"})

    declare: Any = client.create_function(
        fn_id="parent", trigger=stepwell.TriggerEvent(event="shop/parent")
    )
    made = declare(parent if colour == "async" else parent_sync)
    engine = Engine(client, [child, made], database=":memory:")
    async with engine:
        ids = await client.send({"name": "shop/parent"})
        await engine.result_of(ids[0], timeout_seconds=10)
        await asyncio.wait_for(done.wait(), 10)
    assert seen == ["nothing"]


async def test_a_run_that_others_woke_is_not_theirs() -> None:
    """A call that began while another handler's step was kept outlives that handler."""
    client = client_of()
    begun = asyncio.Event()

    @client.create_function(fn_id="long", trigger=stepwell.TriggerEvent(event="shop/both"))
    async def long(ctx: stepwell.Context) -> str:
        async def wait() -> str:
            begun.set()
            await asyncio.sleep(0.3)
            return "undisturbed"

        await ctx.step.sleep("until the other keeps a step", 1000)
        return await ctx.step.run("wait", wait)

    @client.create_function(fn_id="short", trigger=stepwell.TriggerEvent(event="shop/both"))
    async def short(ctx: stepwell.Context) -> None:
        NOTE.set("of the short one")
        for turn in range(200):
            await ctx.step.run(f"step {turn}", asyncio.sleep, 0.01)
            if begun.is_set():
                return

    engine = Engine(client, [long, short], database=":memory:")
    async with engine:
        ids = await client.send({"name": "shop/both"})
        runs = {run.function: run.id for run in engine.node.reader.runs_of_event(ids[0])}
        run = await engine.node.run_ended(runs["shop-long"], 10)
    assert run.output == b'"undisturbed"'
