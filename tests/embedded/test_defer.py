"""Deferred functions from end to end: started after the end, or taken back."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

import stepwell as sw
from stepwell.embedded import Engine
from stepwell.testing.harness.harness import Harness

client = sw.Inngest(app_id="defers", is_production=False)
seen: dict[str, "asyncio.Queue[tuple[Any, ...]]"] = {}


@dataclass
class Order:
    number: int


async def give(value: Any) -> Any:
    await seen["all"].put(("step", value))
    return value


@client.create_function(fn_id="typed", trigger=sw.TriggerDefer(schema=Order))
async def typed(ctx: sw.Context[sw.FunctionDeferredEvent[Order]]) -> int:
    await seen["all"].put(("typed", ctx.event.data.number))
    return ctx.event.data.number


@client.create_function(fn_id="untyped", trigger=sw.TriggerDefer())
async def untyped(ctx: sw.Context) -> None:
    internal: Any = ctx.event.data["_inngest"]
    await seen["all"].put(("untyped", ctx.event.data["a"], internal["parent_run_id"]))


@client.create_function(fn_id="pays", trigger=sw.TriggerEvent(event="try/pay"))
async def pays(ctx: sw.Context) -> str:
    ctx.defer("typed", function=typed, data=Order(7))
    regret = ctx.defer("regret", function=typed, data=Order(-7))
    await ctx.step.run("pay", give, 1)
    regret.abort()
    await ctx.step.sleep("nap", 1)
    ctx.defer("untyped", function=untyped, data={"a": 2})
    await ctx.step.run("last", give, 2)
    return ctx.run_id


@client.create_function(fn_id="pays-plain", trigger=sw.TriggerEvent(event="try/pay"))
def pays_plain(ctx: sw.ContextSync) -> str:
    regret = ctx.defer("regret", function=typed, data=Order(-7))
    ctx.step.run("pay", lambda: 1)
    regret.abort()
    ctx.defer("typed", function=typed, data=Order(7))
    ctx.defer("untyped", function=untyped, data={"a": 2})
    return ctx.run_id


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen["all"] = asyncio.Queue()


def drained() -> list[tuple[Any, ...]]:
    return [seen["all"].get_nowait() for _ in range(seen["all"].qsize())]


@pytest.mark.parametrize("parent", [pays, pays_plain], ids=["coroutine", "plain"])
async def test_what_is_deferred_starts_after_the_end(parent: Any) -> None:
    async with Engine(client, [parent, typed, untyped], database=":memory:") as engine:
        (sent,) = await client.send(sw.Event(name="try/pay"))
        run_id = await engine.result_of(sent, timeout_seconds=30)
        told = [await asyncio.wait_for(seen["all"].get(), 30)]
        while len(told) < 2 + 2 * (parent is pays):
            told.append(await asyncio.wait_for(seen["all"].get(), 30))
    after = [("typed", 7), ("untyped", 2, run_id)]
    steps = [("step", 1), ("step", 2)] if parent is pays else []
    assert told[: len(steps)] == steps
    assert sorted(told[len(steps) :]) == after


async def test_the_test_kit_starts_it_after_the_end(stepwell: Harness) -> None:
    stepwell.serve(client, [pays, typed, untyped])
    run = (await stepwell.send(sw.Event(name="try/pay"))).run
    assert drained() == [("step", 1)]
    await stepwell.advance(until=run)
    assert run.result == run.id
    step, *after = drained()
    assert (step, sorted(after)) == (("step", 2), [("typed", 7), ("untyped", 2, run.id)])


@client.create_function(fn_id="rates", trigger=sw.TriggerDefer())
async def rates(ctx: sw.Context) -> None:
    (parent,) = ctx.parents
    await ctx.step.score(
        "rate", name="good", value=1, run_id=parent.run_id, experiment=parent.experiment
    )
    await seen["all"].put((parent.fn_slug, dict(ctx.sessions), sorted(ctx.event.data)))


@client.create_function(fn_id="child", trigger=sw.TriggerEvent(event="try/child"))
async def child(ctx: sw.Context) -> list[str]:
    return [parent.run_id for parent in ctx.parents]


@client.create_function(fn_id="tries", trigger=sw.TriggerEvent(event="try/variants"))
async def tries(ctx: sw.Context) -> bool:
    found = await ctx.group.experiment(
        "tone",
        variants={"short": lambda: ctx.step.run("short", give, 1)},
        select=sw.experiment.fixed("short"),
    )
    ctx.defer(
        "rate",
        function=rates,
        data={"n": 1},
        meta={"sessions": {"chat": None, "order": 7}},
        experiment=found.experiment_ref,
    )
    return await ctx.step.invoke("child", function=child) == [ctx.run_id]


async def test_what_is_started_knows_by_whom_and_rates_the_variant_it_went(
    stepwell: Harness,
) -> None:
    stepwell.serve(client, [tries, rates, child])
    sessions = {"sessions": {"chat": "1", "user": "ada"}}
    run = (await stepwell.send(sw.Event(name="try/variants", meta=sessions))).run
    assert run.result is True
    await stepwell.run_until_idle()
    told = drained()[-1]
    assert told == ("defers-tries", {"order": "7", "user": "ada"}, ["_inngest", "n"])
    about = {"id": "tone", "variant": "short"}
    assert run.scores == [{"name": "good", "value": 1, "experiment": about}]
