"""Experiments from end to end: what was chosen stays chosen while the server calls again."""

from typing import Any

import pytest

import stepwell
from stepwell import experiment
from stepwell.embedded import Engine

client = stepwell.Inngest(app_id="experiments", is_production=False)
asked: list[str] = []


def flag() -> str:
    """Says something else each time."""
    asked.append("ab"[len(asked) % 2])
    return asked[-1]


async def give(value: Any) -> Any:
    return value


@client.create_function(fn_id="pick", trigger=stepwell.TriggerEvent(event="try/pick"))
async def pick(ctx: stepwell.Context) -> list[Any]:
    async def slow() -> Any:
        await ctx.step.sleep("nap", 1)
        return await ctx.step.run("a", give, 1)

    found = await ctx.group.experiment(
        "way",
        variants={"a": slow, "b": lambda: ctx.step.run("b", give, 2)},
        select=experiment.custom(flag),
    )
    return [found.variant, found.result]


@client.create_function(fn_id="pick-plain", trigger=stepwell.TriggerEvent(event="try/pick"))
def pick_plain(ctx: stepwell.ContextSync) -> list[Any]:
    found = ctx.group.experiment(
        "way",
        variants={"a": lambda: ctx.step.run("a", lambda: 1), "b": lambda: ctx.step.run("b", int)},
        select=experiment.weighted({"a": 1}),
    )
    return [found.variant, found.result]


@pytest.mark.parametrize("function", [pick, pick_plain], ids=["coroutine", "plain"])
async def test_a_run_goes_the_way_it_chose(function: Any) -> None:
    asked.clear()
    async with Engine(client, [function], database=":memory:") as engine:
        (sent,) = await client.send(stepwell.Event(name="try/pick"))
        assert await engine.result_of(sent, timeout_seconds=30) == ["a", 1]
    assert len(asked) == (function is pick)
