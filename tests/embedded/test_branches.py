"""Branches of ordinary asyncio go their own pace: what one waits for holds up no other (D-14)."""

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell.embedded import Engine

client = stepwell.Inngest(app_id="branches", is_production=False)
LONG = "10m"


async def give(value: Any) -> Any:
    return value


@client.create_function(fn_id="sends", trigger=stepwell.TriggerEvent(event="try/sends"))
async def sends(ctx: stepwell.Context) -> bool:
    async def listen() -> bool:
        return await ctx.step.wait_for_event("wait", event="poke", timeout=LONG) is not None

    async def speak() -> None:
        await ctx.step.run("think", give, 1)
        await ctx.step.send_event("poke", stepwell.Event(name="poke"))

    heard, _ = await asyncio.gather(listen(), speak())
    return heard


@client.create_function(fn_id="first", trigger=stepwell.TriggerEvent(event="try/first"))
async def first(ctx: stepwell.Context) -> list[str]:
    tasks = [
        asyncio.create_task(ctx.step.wait_for_event("wait", event="never", timeout=LONG)),
        asyncio.create_task(ctx.step.run("quick", give, "quick")),
    ]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return [task.result() for task in done]


@client.create_function(fn_id="chain", trigger=stepwell.TriggerEvent(event="try/chain"))
async def chain(ctx: stepwell.Context) -> list[int]:
    seen: list[int] = []

    async def steps() -> None:
        for index in range(4):
            found = await ctx.step.run(f"s{index}", give, index)
            seen.append(found)
        raise stepwell.NonRetriableError("done")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.step.sleep("long", LONG))
            group.create_task(steps())
    except* stepwell.NonRetriableError:
        seen.append(-1)
    return seen


@client.create_function(fn_id="deadline", trigger=stepwell.TriggerEvent(event="try/deadline"))
async def deadline(ctx: stepwell.Context) -> list[str]:
    seen: list[str] = []

    async def work() -> None:
        seen.append(await ctx.step.run("begin", give, "begun"))
        await ctx.step.wait_for_event("wait", event="never", timeout=LONG)
        seen.append("done")

    working = asyncio.create_task(work())
    limit = asyncio.create_task(ctx.step.sleep("limit", 50))
    await asyncio.wait({working, limit}, return_when=asyncio.FIRST_COMPLETED)
    working.cancel()
    return [*seen, await ctx.step.run("late", give, "late")]


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (sends, True),
        (first, ["quick"]),
        (chain, [0, 1, 2, 3, -1]),
        (deadline, ["begun", "late"]),
    ],
)
async def test_d14_no_branch_waits_for_another(
    function: stepwell.Function[Any], result: object
) -> None:
    """In vain would be to wait for what takes ten minutes."""
    async with Engine(client, client.functions, database=":memory:"):
        assert await client.invoke(function, timeout="60s") == result
