"""What a run says of itself is kept with it: by steps, by its code, and from outside."""

import asyncio
from typing import Any

import pytest

import stepwell as sw
from stepwell import experiment
from stepwell.testing import Harness, HarnessSync

client = sw.Inngest(app_id="says", is_production=False)


async def answer() -> str:
    await client.score(name="sure", value=0.9)
    await client.metadata({"model": "small"}, kind="llm")
    return "42"


@client.create_function(fn_id="ask", trigger=sw.TriggerEvent(event="says/ask"))
async def ask(ctx: sw.Context) -> str:
    found = await ctx.group.experiment(
        "tone",
        variants={"short": lambda: ctx.step.run("answer", answer)},
        select=experiment.fixed("short"),
    )
    await ctx.step.score("rate", name="good", value=True, experiment=found.experiment_ref)
    await ctx.step.metadata("note", {"seen": 1}, step_id="answer")
    return found.result


@client.create_function(fn_id="plain", trigger=sw.TriggerEvent(event="says/plain"))
def plain(ctx: sw.ContextSync) -> None:
    ctx.step.score("rate", name="good", value=1)
    ctx.step.run("count", lambda: client.metadata_sync({"n": 1}, op="add"))


CHOICE = {
    "name": "tone",
    "variant": "short",
    "selection_strategy": "fixed",
    "available_variants": ["short"],
}


async def test_what_a_run_says(stepwell: Harness) -> None:
    stepwell.serve(client, [ask])
    run = (await stepwell.send(sw.Event(name="says/ask"))).run
    assert run.result == "42"
    about = {"id": "tone", "variant": "short"}
    assert sorted(run.scores, key=lambda one: one["name"]) == [
        {"name": "good", "value": True, "experiment": about},
        {"name": "sure", "step": "answer", "value": 0.9},
    ]
    said: list[dict[str, Any]] = [
        {"kind": "inngest.experiment", "step": "tone", "values": CHOICE},
        {"kind": "inngest.experiment", "values": {"name": "tone", "variant": "short"}},
        {"kind": "userland.default", "step": "answer", "values": {"seen": 1}},
        {"kind": "userland.llm", "step": "answer", "values": {"model": "small"}},
    ]
    assert sorted(run.metadata, key=lambda one: (one["kind"], one.get("step", "~"))) == said


async def test_what_is_said_from_outside(stepwell: Harness) -> None:
    stepwell.serve(client, [ask])
    run = (await stepwell.send(sw.Event(name="says/ask"))).run
    await client.score(name="later", value=2, run_id=run.id)
    await asyncio.to_thread(client.metadata_sync, {"a": 1}, run_id=run.id, step_id="x", attempt=1)
    assert {"name": "later", "value": 2} in [
        {key: value for key, value in one.items() if key != "experiment"} for one in run.scores
    ]
    assert [one["attempt"] for one in run.metadata if "attempt" in one] == [1]
    with pytest.raises(sw.Error, match="no such run"):
        await client.score(name="x", value=1, run_id="01M82BFDSEAXH732SHZM7R2J1X")


def test_what_a_plain_run_says(stepwell: HarnessSync) -> None:
    stepwell.serve(client, [plain])
    run = stepwell.send(sw.Event(name="says/plain")).run
    assert run.status == "Completed"
    assert run.scores == [{"name": "good", "value": 1}]
    assert run.metadata == [{"kind": "userland.default", "step": "count", "values": {"n": 1}}]
