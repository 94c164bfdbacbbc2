"""A call that has ended is in no circle of objects: its memory is free without the collector."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import Stage


class Held:
    """Something of the user's, alive as long as the handler's frame is."""


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def is_freed(watched: Callable[[Context, Held], Awaitable[Any]]) -> bool:
    """Call a handler, with steps saved as it goes; is everything it knew gone?"""
    seen: list[weakref.ref[Any]] = []

    async def handler(ctx: Context) -> Any:
        held = Held()
        seen.extend((weakref.ref(held), weakref.ref(ctx), weakref.ref(ctx.step)))
        return await watched(ctx, held)

    async def save(operations: Any) -> None:
        await asyncio.sleep(0)

    await asyncio.create_task(Stage(handler).call(save=save))
    await asyncio.sleep(0)
    return bool(seen) and not any(one() for one in seen)


async def step() -> int:
    return 1


async def in_a_row(ctx: Context, held: Held) -> Any:
    return [await ctx.step.run(name, step) for name in "abc"]


async def beside_each_other(ctx: Context, held: Held) -> Any:
    return await asyncio.gather(*[ctx.step.run(name, step) for name in "abc"])


async def left_in_the_middle(ctx: Context, held: Held) -> Any:
    await ctx.step.run("a", step)
    await ctx.step.sleep("b", 1000)


@pytest.mark.parametrize("watched", [in_a_row, beside_each_other, left_in_the_middle])
async def test_a_coroutine_handler_is_freed_when_its_call_ends(
    watched: Callable[[Context, Held], Awaitable[Any]],
) -> None:
    assert await is_freed(watched)


async def test_a_plain_handler_is_freed_when_its_call_ends() -> None:
    seen: list[weakref.ref[Any]] = []

    def handler(ctx: ContextSync) -> Any:
        held = Held()
        seen.extend((weakref.ref(held), weakref.ref(ctx), weakref.ref(ctx.step)))
        return ctx.step.run("a", lambda: 1)

    await Stage(handler, blocking=True).call()
    assert seen and not any(one() for one in seen)
