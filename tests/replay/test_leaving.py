"""How a handler is left when its call ends: clean-up runs, nothing odd is caught, nothing leaks."""

import asyncio
import contextlib
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.suspension import Suspended
from tests.replay.stage import Stage


async def give(value: Any) -> Any:
    return value


@pytest.fixture(autouse=True)
def nothing_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.WARNING, "asyncio")
    yield
    gc.collect()
    assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == []


async def test_except_exception_sees_nothing() -> None:
    caught: list[BaseException] = []

    async def helper(ctx: Context) -> Any:
        async with opened([]):
            return await ctx.step.run("a", give, 1)

    async def handler(ctx: Context) -> Any:
        try:
            first = await helper(ctx)
            second = await ctx.step.run("b", give, 2)
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            caught.append(error)
            raise
        return [first, second]

    assert await Stage(handler).play() == [1, 2]
    assert caught == []


@contextlib.asynccontextmanager
async def opened(log: list[str]) -> AsyncIterator[None]:
    log.append("open")
    try:
        yield
    finally:
        await asyncio.sleep(0.001)  # as a client does that closes its connections
        log.append("close")


@pytest.mark.parametrize("parallel", [False, True])
async def test_what_is_open_is_closed_and_may_take_its_time(parallel: bool) -> None:
    log: list[str] = []

    async def handler(ctx: Context) -> Any:
        async with opened(log):
            if parallel:
                return await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))
            return await ctx.step.run("a", give, 1)

    stage = Stage(handler)
    await stage.call()
    assert log == ["open", "close"]


async def test_branches_close_what_they_hold() -> None:
    log: list[str] = []

    async def branch(ctx: Context, name: str) -> None:
        async with opened(log):
            await ctx.step.run(name, give, 1)

    async def handler(ctx: Context) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(branch(ctx, "a"))
            group.create_task(branch(ctx, "b"))

    await Stage(handler).call()
    assert sorted(log) == ["close", "close", "open", "open"]


async def test_anyio_scopes_are_left_in_order() -> None:
    log: list[str] = []

    async def branch(ctx: Context, name: str) -> None:
        with anyio.CancelScope():
            async with opened(log):
                await ctx.step.run(name, give, 1)

    async def handler(ctx: Context) -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(branch, ctx, "a")
            group.start_soon(branch, ctx, "b")

    response = await Stage(handler).call()
    assert response.status == 206
    assert sorted(log) == ["close", "close", "open", "open"]


async def test_the_host_task_is_not_left_cancelled() -> None:
    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))

    await Stage(handler).call()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_steps_in_finally_do_not_run_while_leaving() -> None:
    ran: list[str] = []

    async def note(name: str) -> str:
        ran.append(name)
        return name

    async def handler(ctx: Context) -> Any:
        try:
            await ctx.step.run("work", note, "work")
        finally:
            await ctx.step.run("cleanup", note, "cleanup")
        return ran

    stage = Stage(handler)
    await stage.call()
    assert ran == ["work"]
    assert await stage.play() == ["work", "work", "cleanup"]


async def test_swallowing_the_end_changes_no_answer() -> None:
    async def handler(ctx: Context) -> Any:
        for name in ("a", "b"):
            with contextlib.suppress(BaseException):
                await ctx.step.run(name, give, name)
        return "done"

    stage = Stage(handler)
    assert await stage.play() == "done"
    assert stage.reports == [["StepRun a"], ["StepRun b"]]


async def test_swallowing_the_end_in_a_branch_changes_no_answer() -> None:
    async def branch(ctx: Context, name: str) -> Any:
        while True:
            try:
                return await ctx.step.run(name, give, name)
            except Suspended:
                return "swallowed"

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(branch(ctx, "a"), branch(ctx, "b"))

    assert await asyncio.wait_for(Stage(handler).play(), 2) == ["a", "b"]


async def test_nothing_of_a_left_handler_stays_in_memory() -> None:
    class Big:
        pass

    alive: list[weakref.ref[Big]] = []

    async def handler(ctx: Context) -> Any:
        big = Big()
        alive.append(weakref.ref(big))
        await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))
        return big

    await Stage(handler).call()
    await asyncio.sleep(0)
    gc.collect()
    assert alive[0]() is None
    assert len(asyncio.all_tasks()) == 1


async def test_an_async_generator_is_closed() -> None:
    log: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
        finally:
            log.append("closed")

    async def handler(ctx: Context) -> Any:
        async with contextlib.aclosing(numbers()) as source:
            return [await ctx.step.run("n", give, n) async for n in source]

    stage = Stage(handler)
    await stage.call()
    assert log == ["closed"]
    assert await stage.play() == [0, 1, 2]


@pytest.mark.parametrize("blocking", [False, True])
async def test_plain_handlers_unwind_too(blocking: bool) -> None:
    log: list[str] = []

    def handler(ctx: ContextSync) -> Any:
        try:
            value = ctx.step.run("a", lambda: 1)
            log.append("on")
            return value
        except Exception:
            log.append("wrong")
        except BaseException as error:
            log.append(type(error).__name__)
            raise
        finally:
            log.append("finally")

    stage = Stage(handler, blocking=blocking)
    await stage.call()
    assert log == ["Suspended", "finally"]


async def test_an_abandoned_plain_handler_stops_at_its_next_step() -> None:
    loop = asyncio.get_running_loop()
    entered, go, log = asyncio.Event(), asyncio.Event(), []

    def first() -> int:
        loop.call_soon_threadsafe(entered.set)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        return 1

    def handler(ctx: ContextSync) -> Any:
        try:
            ctx.step.run("a", first)
        finally:
            try:
                ctx.step.run("b", log.append, "never")
            finally:
                loop.call_soon_threadsafe(done.set)

    done = asyncio.Event()
    task = asyncio.create_task(Stage(handler).call())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await asyncio.wait_for(done.wait(), 2)
    assert log == []
