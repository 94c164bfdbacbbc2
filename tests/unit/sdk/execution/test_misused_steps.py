"""Steps that are misused: met inside another step, or never awaited. The call fails, by name."""

import asyncio
import inspect
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from stepwell.experimental import step
from stepwell.sdk.errors import Error
from stepwell.sdk.realtime.topic import Topic
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import Stage
from tests.unit.sdk.execution.handlers import give


@pytest.mark.parametrize("blocking", [False, True])
async def test_e_161_steps_inside_steps_are_refused(blocking: bool) -> None:
    async def handler(ctx: Context) -> Any:
        async def outer() -> Any:
            return await ctx.step.run("inner", give, 1)

        return await ctx.step.run("outer", outer)

    def plain(ctx: ContextSync) -> Any:
        return ctx.step.run("outer", lambda: ctx.step.run("inner", lambda: 1))

    await refused_as_nested(Stage(plain if blocking else handler))


async def refused_as_nested(stage: Stage) -> None:
    """The run fails, once and for all."""
    answer = await asyncio.wait_for(stage.call(), 2)
    assert (answer.status, answer.headers["x-inngest-no-retry"]) == (500, "true")
    told = json.loads(answer.body)
    assert (told["code"], told["name"]) == ("step_nested", "StepNestedError")
    assert 'step "inner" is called inside step "outer"' in told["message"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_an_option_that_a_step_has_not_is_told_with_those_it_has(blocking: bool) -> None:
    async def handler(ctx: Context) -> Any:
        run: Any = ctx.step.run
        return await run("a", give, 1, retires=3)

    def plain(ctx: ContextSync) -> Any:
        run: Any = ctx.step.ai.wrap
        return run("a", give, 1, retires=3)

    answer = await asyncio.wait_for(Stage(plain if blocking else handler).call(), 20)
    told = json.loads(answer.body)
    assert told["name"] == "TypeError"
    assert 'step "a": retires: a step has no such option; there are ' in told["message"]
    assert "name, output_type. Arguments of the handler follow it" in told["message"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_step_that_is_called_after_the_end_says_so(blocking: bool) -> None:
    kept: list[Any] = []

    async def handler(ctx: Context) -> None:
        kept.append(ctx.step)

    def plain(ctx: ContextSync) -> None:
        kept.append(ctx.step)

    async def asleep(ctx: Context) -> None:
        kept.append(ctx.step)
        await ctx.step.sleep("night", "8h")

    for one in (plain,) if blocking else (handler, asleep):
        await Stage(one).call()
        with pytest.raises(Error, match=r'step "late" was called after the call of function "app-'):
            found = kept.pop().run("late", give, 1)
            await found


NESTED: list[Callable[[Any], Any]] = [
    lambda step: step.run("inner", lambda: 1),
    lambda step: step.sleep("inner", "1s"),
    lambda step: step.send_event("inner", {"name": "a/b"}),
    lambda step: step.invoke_by_id("inner", function_id="f"),
    lambda step: step.wait_for_event("inner", event="a/b", timeout="1s"),
    lambda step: step.send_signal("inner", signal="s"),
]


@pytest.mark.parametrize("caught", [Exception, BaseException])
@pytest.mark.parametrize("inner", NESTED)
@pytest.mark.parametrize("outcome", ["pass", "raise"])
@pytest.mark.parametrize("blocking", [False, True])
async def test_a_nested_step_is_beyond_reach_of_user_code(
    caught: type[BaseException], inner: Callable[[Any], Any], outcome: str, blocking: bool
) -> None:
    async def outer(ctx: Any) -> str:
        try:
            await inner(ctx.step)
        except caught:
            if outcome == "raise":
                raise ValueError("something else") from None
        return "as if nothing were"

    def outer_sync(ctx: Any) -> str:
        try:
            inner(ctx.step)
        except caught:
            if outcome == "raise":
                raise ValueError("something else") from None
        return "as if nothing were"

    async def handler(ctx: Context) -> str:
        try:
            return await ctx.step.run("outer", outer, ctx)
        except Exception:
            return "caught"

    def plain(ctx: ContextSync) -> str:
        try:
            return ctx.step.run("outer", outer_sync, ctx)
        except Exception:
            return "caught"

    await refused_as_nested(Stage(plain if blocking else handler))


# What asyncio says of a group that was left before its task: the one, or from Python 3.14 on both.
@pytest.mark.logs(r"has errored out|TaskGroup\._on_task_done")
async def test_steps_in_tasks_and_threads_of_a_step_are_refused_too() -> None:
    async def handler(ctx: Context) -> Any:
        async def outer() -> Any:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("inner", give, 1))

        return await ctx.step.run("outer", outer)

    await refused_as_nested(Stage(handler))


# Colours


async def unawaited(ctx: Context) -> str:
    ctx.step.run("charge", give, 1)  # type: ignore[unused-coroutine]
    return "done"


async def unawaited_sleep(ctx: Context) -> str:
    await ctx.step.run("first", give, 1)
    ctx.step.sleep("charge", "1h")  # type: ignore[unused-coroutine]
    return "done"


async def returned(ctx: Context) -> Any:
    return ctx.step.ai.wrap("charge", give, 1)


async def unawaited_in_a_branch(ctx: Context) -> str:
    async def branch() -> None:
        await ctx.step.run("first", give, 1)
        ctx.step.run("charge", give, 1)  # type: ignore[unused-coroutine]

    async def other() -> None:
        await ctx.step.run("other", give, 1)

    await ctx.group.parallel((branch, other))
    return "done"


@step("charge")
async def charge(n: int) -> int:
    return n


async def unawaited_decorated(ctx: Context) -> str:
    charge(1)  # type: ignore[unused-coroutine]
    return "done"


PROGRESS: Topic[int] = Topic("orders", "progress", int)


async def unawaited_message(ctx: Context) -> str:
    ctx.step.realtime.publish("charge", PROGRESS, 1)  # type: ignore[unused-coroutine]
    return "done"


async def handed_on_by_a_branch(ctx: Context) -> Any:
    async def branch() -> Any:
        return ctx.step.run("charge", give, 1)

    return await ctx.group.parallel((branch, branch))


@pytest.mark.parametrize(
    "handler",
    [
        *(unawaited, unawaited_sleep, unawaited_in_a_branch, unawaited_decorated),
        *(returned, handed_on_by_a_branch, unawaited_message),
    ],
)
async def test_a_step_that_nobody_awaits_fails_the_call(handler: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = await Stage(handler).play()
    assert found["failed"] == "ConfigurationError"
    assert 'step "charge" (' in found["message"]
    assert re.search(
        r"test_misused_steps\.py:\d+\) was called and never awaited: write", found["message"]
    )


async def test_every_step_tool_notices_that_it_is_not_awaited() -> None:
    async def handler(ctx: Context) -> list[str]:
        parts = [part for name, part in vars(ctx.step).items() if not name.startswith("_")]
        return [
            f"{type(tool).__name__}.{name}"
            for tool in (ctx.group, ctx.step, *parts)
            for name in dir(type(tool))
            if not name.startswith("_") and inspect.iscoroutinefunction(getattr(type(tool), name))
        ]

    assert await Stage(handler).play() == [], "a coroutine function of its own is not watched"


async def unawaited_group(ctx: Context) -> str:
    ctx.group.parallel((lambda: ctx.step.run("a", give, 1),))  # type: ignore[unused-coroutine]
    return "done"


async def test_a_group_that_nobody_awaits_fails_the_call() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = await Stage(unawaited_group).play()
    assert found["failed"] == "ConfigurationError"
    assert re.match(
        r"ctx\.group\.parallel \(.*test_misused_steps\.py:\d+\) was called and never awaited",
        found["message"],
    )


async def test_steps_of_branches_that_never_began_are_no_mistake() -> None:
    async def handler(ctx: Context) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("a", give, 1))
                raise ValueError("before any began")
        except ExceptionGroup:
            return "left"

    assert await Stage(handler).play() == "left"
