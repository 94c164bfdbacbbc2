"""Steps in code that is not handed a context."""

import asyncio
import copy
import inspect

import pytest

import stepwell
from stepwell import step, step_sync
from tests.replay.stage import Stage


async def charge(order: int) -> str:
    return await step.run(f"charge-{order}", lambda: f"receipt-{order}")


def charge_sync(order: int) -> str:
    return step_sync.run(f"charge-{order}", lambda: f"receipt-{order}")


async def test_a_helper_takes_steps_of_the_function_that_runs() -> None:
    async def handler(ctx: stepwell.Context) -> list[str]:
        return list(await asyncio.gather(charge(1), charge(2)))

    stage = Stage(handler)
    assert await stage.play() == ["receipt-1", "receipt-2"]
    assert stage.ended() == ["charge-1", "charge-2"]


async def test_a_helper_of_a_plain_handler() -> None:
    def handler(ctx: stepwell.ContextSync) -> str:
        return charge_sync(1)

    stage = Stage(handler)
    assert (await stage.play(), stage.ended()) == ("receipt-1", ["charge-1"])


async def test_where_there_are_no_steps_and_in_the_other_colour_it_says_so() -> None:
    with pytest.raises(LookupError, match="outside a function"):
        await charge(1)
    with pytest.raises(LookupError, match="outside a function"):
        charge_sync(1)

    async def handler(ctx: stepwell.Context) -> None:
        with pytest.raises(stepwell.Error, match="step_sync in a coroutine: use step"):
            charge_sync(1)
        with pytest.raises(LookupError, match="inside a step"):
            await ctx.step.run("outer", charge, 1)

    def handler_sync(ctx: stepwell.ContextSync) -> None:
        with pytest.raises(stepwell.Error, match="step in a plain handler: use step_sync"):
            _ = step.run

    await Stage(handler).play()
    await Stage(handler_sync).play()


def test_what_looks_at_all_that_a_module_has_finds_no_wrapper() -> None:
    """doctest and others unwrap each thing in a module; that is not to be asked of a run."""
    for tools in (step, step_sync):
        assert inspect.unwrap(tools) is tools  # type: ignore[arg-type]
        assert copy.deepcopy(tools) is not None
