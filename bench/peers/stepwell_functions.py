"""The benchmark functions, for our SDK and the official one alike: `sdk` is the module."""

import asyncio
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from bench.marks import FileMarks, Marks

EVENTS_PER_SEND = 100
OK = {"ok": True}


async def step() -> dict[str, bool]:
    """What every step does."""
    return OK


def declare(sdk: ModuleType, client: Any, marks: Marks | FileMarks) -> list[Any]:
    """The six functions."""

    def listening(kind: str) -> Any:
        return client.create_function(
            fn_id=kind, trigger=sdk.TriggerEvent(event=f"bench/{kind}"), retries=0
        )

    @listening("one")
    async def one(ctx: Any) -> None:
        marks.mark_first(ctx.event.data["key"])
        await ctx.step.run("s", step)
        marks.mark_last(ctx.event.data["key"])

    @listening("five")
    async def five(ctx: Any) -> None:
        marks.mark_first(ctx.event.data["key"])
        for index in range(5):
            await ctx.step.run(f"s{index}", step)
        marks.mark_last(ctx.event.data["key"])

    @listening("chain")
    async def chain(ctx: Any) -> None:
        marks.mark_first(ctx.event.data["key"])
        for index in range(100):
            await ctx.step.run(f"s{index}", step)
        marks.mark_last(ctx.event.data["key"])

    @listening("fan")
    async def fan(ctx: Any) -> None:
        marks.mark_first(ctx.event.data["key"])
        await _fan(sdk, ctx)
        marks.mark_last(ctx.event.data["key"])

    @listening("wait")
    async def wait(ctx: Any) -> None:
        marks.mark_first(ctx.event.data["key"])
        await ctx.step.wait_for_event(
            "go",
            event="bench/go",
            if_exp="event.data.key == async.data.key",
            timeout=600_000,
        )
        marks.mark_last(ctx.event.data["key"])

    @listening("sleep")
    async def sleep(ctx: Any) -> None:
        marks.mark_first(ctx.event.data["key"])
        await ctx.step.sleep("long", 3_600_000)

    return [one, five, chain, fan, wait, sleep]


async def _fan(sdk: ModuleType, ctx: Any) -> None:
    if sdk.__name__ == "stepwell":
        await asyncio.gather(*(ctx.step.run(f"s{index}", step) for index in range(100)))
        return
    # The official SDK runs steps in parallel through its own group only.
    await ctx.group.parallel(tuple(_one_of_many(ctx, f"s{index}") for index in range(100)))


def _one_of_many(ctx: Any, name: str) -> Any:
    return lambda: ctx.step.run(name, step)


def events_for(sdk: ModuleType, kind: str, keys: Sequence[str]) -> list[Any]:
    """The events that start runs of a kind."""
    return [sdk.Event(name=f"bench/{kind}", data={"key": key}) for key in keys]
