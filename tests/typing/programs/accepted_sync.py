"""A program of plain handlers that both checkers accept, with the types it says."""

import datetime  # noqa: ICN001 - as users write it
import functools
from typing import assert_type

import stepwell as inngest

client = inngest.Inngest(app_id="shop", is_production=False)


def no_arguments() -> int:
    return 1


def two_arguments(name: str, count: int) -> list[str]:
    return [name] * count


async def coroutine() -> bytes:
    return b""


@client.create_function(fn_id="child", trigger=inngest.TriggerEvent(event="shop/child"))
def child(ctx: inngest.ContextSync) -> int:
    return ctx.attempt


@client.create_function(fn_id="main", trigger=inngest.TriggerEvent(event="shop/main"))
def main(ctx: inngest.ContextSync) -> dict[str, int]:
    step = ctx.step
    assert_type(step.run("a", no_arguments), int)
    assert_type(step.run("b", two_arguments, "x", 2), list[str])
    assert_type(step.run("c", functools.partial(two_arguments, "x", 2)), list[str])
    assert_type(step.run("d", lambda: 1), int)
    assert_type(step.run("e", coroutine), bytes)
    assert_type(step.ai.wrap("wa", coroutine), bytes)
    assert_type(step.ai.wrap("wp", two_arguments, "x", 2), list[str])
    step.sleep("s", datetime.timedelta(seconds=1))
    assert_type(step.wait_for_event("w", event="e", timeout="1h"), inngest.Event | None)
    assert_type(step.invoke("iv", function=child), int)
    assert_type(step.send_event("se", inngest.Event(name="a")), list[str])
    assert_type(
        ctx.group.parallel((lambda: step.run("x", no_arguments), lambda: 2)), tuple[int, ...]
    )
    way = ctx.group.experiment(
        "way",
        variants={"a": lambda: step.run("wa", no_arguments), "b": lambda: 2},
        select=inngest.experiment.bucket(ctx.event.data["customer"]),
    )
    assert_type(way.result, int)
    assert_type(way.experiment_ref, inngest.ExperimentRef)
    step.score("rate", name="good", value=True, experiment=way.experiment_ref)
    step.metadata("note", {"n": 1}, kind="k", op="add", step_id="a")
    return {"a": 1}


assert_type(main, inngest.Function[dict[str, int]])
assert_type(client.send_sync(inngest.Event(name="a", data={"b": [1, 2, {"c": None}]}))[0], str)
