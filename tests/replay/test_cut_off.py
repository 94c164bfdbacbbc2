"""A step the handler stops waiting for while it runs: it is not run again, and the way is kept."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest
import uvloop

from stepwell.sdk.errors import StepError
from stepwell.sdk.execution import cutoff
from stepwell.sdk.step.context import Context
from stepwell.wire.execution import CallResponse
from stepwell.wire.failure import encode_failure_memo
from stepwell.wire.identifier import step_hash
from tests.ids import exact
from tests.replay.stage import Stage

SHORT, LONG = 0.5, 3600.0

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def slow(name: str) -> str:
    ran.append(name)
    await asyncio.sleep(LONG)
    return name


async def give(value: Any) -> Any:
    ran.append(str(value))
    return value


Limited = Callable[[Context, float], Awaitable[Any]]


async def in_a_block(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await ctx.step.run("slow", slow, "slow")


async def waited_for(ctx: Context, seconds: float) -> Any:
    return await asyncio.wait_for(ctx.step.run("slow", slow, "slow"), seconds)


async def in_a_gather(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await asyncio.gather(ctx.step.run("slow", slow, "slow"))


async def in_a_group(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
        group.create_task(ctx.step.run("slow", slow, "slow"))


async def within_another(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(2 * LONG):
        return await in_a_block(ctx, seconds)


async def in_a_helper(ctx: Context, seconds: float) -> Any:
    async def helper() -> Any:
        return await in_a_block(ctx, seconds)

    return await helper()


async def by_anyio(ctx: Context, seconds: float) -> Any:
    with anyio.fail_after(seconds):
        return await ctx.step.run("slow", slow, "slow")


HURRIED = [in_a_block, waited_for, in_a_gather, in_a_group, within_another, in_a_helper]
EVERY = [*HURRIED, by_anyio]
by_limit = pytest.mark.parametrize("limited", EVERY, ids=lambda f: f.__name__)


def handler_of(limited: Limited, seconds: float) -> Callable[[Context], Any]:
    async def handler(ctx: Context) -> Any:
        try:
            return await limited(ctx, seconds)
        except TimeoutError:
            return [await ctx.step.run(name, give, name) for name in ("a", "b")]

    return handler


def remembered(stage: Stage, seconds: float) -> Stage:
    """The stage, on which the slow step was cut off after so long."""
    stage.keep(step_hash("slow"), encode_failure_memo(cutoff.cut_off(seconds)))
    return stage


@by_limit
async def test_d14_a_step_that_was_cut_off_is_not_run_again(limited: Limited) -> None:
    stage = Stage(handler_of(limited, SHORT))
    assert await asyncio.wait_for(stage.play(), 10) == ["a", "b"]
    assert ran == ["slow", "a", "b"]
    assert stage.reports == [["StepFailed slow"], ["StepRun a"], ["StepRun b"]]
    assert stage.result(await stage.call()) == ["a", "b"]


@by_limit
async def test_d14_a_handler_that_stays_alive_goes_on(limited: Limited) -> None:
    """What was cut off is told when the call ends."""

    async def handler(ctx: Context) -> Any:
        found = await handler_of(limited, SHORT)(ctx)
        await ctx.step.sleep("nap", 1000)
        return found

    stage = Stage(handler)
    assert await asyncio.wait_for(stage.play_live(), 10) == ["a", "b"]
    assert stage.reports == [["Sleep nap", "StepFailed slow"]]
    assert ran == ["slow", "a", "b"]


@pytest.mark.parametrize("limited", HURRIED, ids=lambda f: f.__name__)
async def test_d14_a_replay_does_not_wait_for_the_clock(limited: Limited) -> None:
    stage = remembered(Stage(handler_of(limited, LONG)), LONG)
    assert await asyncio.wait_for(stage.play(), 10) == ["a", "b"]
    assert ran == ["a", "b"]


@pytest.mark.parametrize("limited", HURRIED, ids=lambda f: f.__name__)
def test_d14_nor_does_it_on_another_loop(limited: Limited) -> None:
    """On uvloop, whose time-outs are not asyncio's."""

    async def replay() -> Any:
        stage = remembered(Stage(handler_of(limited, LONG)), LONG)
        return await asyncio.wait_for(stage.play(), 10)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(replay()) == ["a", "b"]


async def test_d14_only_the_time_out_that_came_comes_again() -> None:
    """Not one that is due later than the step was cut off: something else did that."""

    async def handler(ctx: Context) -> Any:
        async with asyncio.timeout(LONG):
            task = asyncio.create_task(ctx.step.run("slow", slow, "slow"))
            done, _ = await asyncio.wait([task], timeout=SHORT)
            task.cancel()
            return [len(done), await ctx.step.run("after", give, "after")]

    stage = Stage(handler)
    assert await asyncio.wait_for(stage.play(), 10) == [0, "after"]
    assert ran == ["slow", "after"]


async def test_d14_beside_other_steps() -> None:
    """Planned, and cut off in the call that was made for it."""
    limited = handler_of(in_a_block, SHORT)

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(limited(ctx), ctx.step.run("beside", give, "beside"))

    stage = Stage(handler)
    assert await asyncio.wait_for(stage.play(), 10) == [["a", "b"], "beside"]
    assert stage.reports[1] == ["StepFailed slow"]
    assert ran.count("slow") == 1


async def test_d14_a_time_out_nobody_catches_fails_the_function() -> None:
    async def handler(ctx: Context) -> Any:
        return await in_a_block(ctx, SHORT)

    stage = Stage(handler)
    answer: CallResponse = await stage.call()
    assert stage.result(answer)["failed"] == "TimeoutError"
    assert answer.headers["x-inngest-no-retry"] == "false"


async def test_d14_a_function_that_ends_needs_no_more() -> None:
    async def handler(ctx: Context) -> Any:
        try:
            return await in_a_block(ctx, SHORT)
        except TimeoutError:
            return "gave up"

    assert Stage(handler).result(await Stage(handler).call()) == "gave up"


async def test_d14_a_time_out_that_is_gone_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cutoff, "GRACE_SECONDS", 0.01)

    async def handler(ctx: Context) -> Any:
        try:
            await ctx.step.run("slow", slow, "slow")
        except StepError as error:
            return [error.name, error.message]

    stage = remembered(Stage(handler), 0.01)
    assert await asyncio.wait_for(stage.play(), 10) == [cutoff.NAME, cutoff.cut_off(0).message]
    assert ran == []


async def test_d14_the_loser_of_a_race_may_be_cancelled_while_it_runs() -> None:
    async def handler(ctx: Context) -> Any:
        tasks = [
            asyncio.create_task(ctx.step.run("slow", slow, "slow")),
            asyncio.create_task(ctx.step.run("quick", give, "quick")),
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await ctx.step.sleep("nap", 1000)
        return [task.result() for task in done]

    stage = Stage(handler)
    assert await asyncio.wait_for(stage.play_live(), 10) == ["quick"]
    assert stage.reports == [["Sleep nap", "StepFailed slow"]]
    assert ran == ["slow", "quick"]


async def going_on(ctx: Context) -> Any:
    return await ctx.step.run("late", give, "late")


async def giving_up(ctx: Context) -> Any:
    return "late"


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("late", [going_on, giving_up])
async def test_d14_a_time_out_that_comes_while_a_step_is_saved(
    late: Callable[[Context], Any], parallel: bool
) -> None:
    """The step counts: the call ends before the handler does anything else."""

    async def one(ctx: Context) -> Any:
        try:
            async with asyncio.timeout(0.05):
                return await ctx.step.run("quick", give, "quick")
        except TimeoutError:
            return await late(ctx)

    async def two(ctx: Context) -> Any:
        return await asyncio.gather(one(ctx), ctx.step.run("beside", give, "beside"))

    stage = Stage(two if parallel else one)

    async def save(operations: Any) -> None:
        for operation in operations:
            stage.settle(operation)
        await asyncio.sleep(0.2)

    answer = await stage.call(save=save)
    told = [f"{one.op} {one.name}" for one in stage.operations(answer)]
    assert told == ["StepRun quick"]
    assert await stage.play() == (["quick", "beside"] if parallel else "quick")
    assert "late" not in ran
    assert ran.count("quick") == 1


async def test_d14_whoever_ends_the_call_cuts_nothing_off() -> None:
    """A server that shuts down, say: the step is tried again."""
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.sleep(LONG)

    async def handler(ctx: Context) -> Any:
        await ctx.step.run("work", work)

    task = asyncio.create_task(Stage(handler).call())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("data", "seconds"), [(b"0.25", 1.25), (b'"x"', 1.0), (b"-5", 1.0)], ids=exact
)
def test_how_long_a_replay_waits(data: bytes, seconds: float) -> None:
    made = msgspec.structs.replace(cutoff.cut_off(1), data=msgspec.Raw(data))
    assert cutoff.patience_seconds(made) == seconds
    assert cutoff.patience_seconds(msgspec.structs.replace(made, name="Other")) is None
