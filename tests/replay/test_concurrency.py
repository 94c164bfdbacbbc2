"""Ordinary asyncio over steps: stable ids, one report per wave, winners that stay winners."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from stepwell.sdk.errors import StepError
from stepwell.sdk.step.ask import ParallelMode
from stepwell.sdk.step.context import Context
from tests.replay.stage import Stage


async def give(value: Any) -> Any:
    return value


async def fail(message: str) -> None:
    raise ValueError(message)


@pytest.fixture(autouse=True)
def nothing_complains(caplog: pytest.LogCaptureFixture) -> Any:
    """No task is destroyed while pending, no exception is never retrieved."""
    caplog.set_level(logging.WARNING, "asyncio")
    yield
    assert [r.getMessage() for r in caplog.records if r.name == "asyncio"] == []


async def test_gather_reports_a_wave_at_once() -> None:
    async def handler(ctx: Context) -> Any:
        found = await asyncio.gather(*(ctx.step.run(f"s{i}", give, i) for i in range(3)))
        return [*found, await ctx.step.run("last", give, 9)]

    stage = Stage(handler)
    assert await stage.play() == [0, 1, 2, 9]
    assert stage.reports[0] == ["StepPlanned s0", "StepPlanned s1", "StepPlanned s2"]
    assert stage.reports[-1] == ["StepRun last"]
    assert len(stage.reports) == 5


async def test_branches_of_several_steps_advance_in_waves() -> None:
    async def branch(ctx: Context, name: str) -> str:
        first = await ctx.step.run(f"{name}1", give, name)
        return str(await ctx.step.run(f"{name}2", give, first * 2))

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(branch(ctx, "a"), branch(ctx, "b"))

    stage = Stage(handler)
    assert await stage.play() == ["aa", "bb"]
    planned = [r for r in stage.reports if len(r) > 1]
    assert planned == [
        ["StepPlanned a1", "StepPlanned b1"],
        ["StepPlanned a2", "StepPlanned b2"],
    ]


async def test_a_single_new_step_beside_known_ones_runs_at_once() -> None:
    async def long(ctx: Context) -> Any:
        await ctx.step.run("x1", give, 1)
        return await ctx.step.run("x2", give, 2)

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(long(ctx), ctx.step.run("y", give, 3))

    stage = Stage(handler)
    assert await stage.play() == [2, 3]
    assert stage.reports[-1] == ["StepRun x2"]


async def test_task_group() -> None:
    async def handler(ctx: Context) -> Any:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ctx.step.run(f"s{i}", give, i)) for i in range(3)]
        return [task.result() for task in tasks]

    stage = Stage(handler)
    assert await stage.play() == [0, 1, 2]
    assert len(stage.reports[0]) == 3


async def test_task_group_with_a_step_in_its_body() -> None:
    async def handler(ctx: Context) -> Any:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ctx.step.run("beside", give, 1))
            inside = await ctx.step.run("inside", give, 2)
        return [task.result(), inside]

    stage = Stage(handler)
    assert await stage.play() == [1, 2]
    assert sorted(stage.reports[0]) == ["StepPlanned beside", "StepPlanned inside"]


async def test_anyio_task_group() -> None:
    async def handler(ctx: Context) -> Any:
        found: dict[str, Any] = {}

        async def branch(name: str) -> None:
            found[name] = await ctx.step.run(name, give, name)
            found[name + "2"] = await ctx.step.run(name + "2", give, name)

        async with anyio.create_task_group() as group:
            group.start_soon(branch, "a")
            group.start_soon(branch, "b")
        return dict(sorted(found.items()))

    stage = Stage(handler)
    assert await stage.play() == {"a": "a", "a2": "a", "b": "b", "b2": "b"}
    assert stage.reports[0] == ["StepPlanned a", "StepPlanned b"]


async def test_anyio_streams_and_limits_between_branches() -> None:
    async def handler(ctx: Context) -> Any:
        send, receive = anyio.create_memory_object_stream[int](1)
        limiter = anyio.CapacityLimiter(1)
        found: list[int] = []

        async def produce() -> None:
            async with send:
                for index in range(3):
                    async with limiter:
                        await send.send(await ctx.step.run("make", give, index))

        async def consume() -> None:
            async with receive:
                async for item in receive:
                    found.append(await ctx.step.run("eat", give, item * 10))  # noqa: PERF401

        async with anyio.create_task_group() as group:
            group.start_soon(produce)
            group.start_soon(consume)
        return found

    assert await Stage(handler).play() == [0, 10, 20]


@pytest.mark.parametrize("turn", list(itertools.permutations(range(3))))
async def test_as_completed_follows_the_order_in_which_steps_ended(turn: tuple[int, ...]) -> None:
    async def handler(ctx: Context) -> Any:
        found = []
        for done in asyncio.as_completed([ctx.step.run(f"s{i}", give, i) for i in range(3)]):
            found.append(await done)
            found.append(await ctx.step.run(f"after {found[-1]}", give, "x"))
        return [item for item in found if item != "x"]

    def order(ids: list[str]) -> list[str]:
        if len(ids) != 3:
            return ids
        # Which branch asyncio starts first is its own affair; the ids are ours.
        by_title = sorted(ids, key=lambda step: stage.titles[step])
        return [by_title[index] for index in turn]

    stage = Stage(handler)
    assert await stage.play(order) == list(turn)
    assert stage.result(await stage.call()) == list(turn)


@pytest.mark.parametrize("winner", [0, 1, 2])
@pytest.mark.parametrize("cancel", [True, False])
async def test_a_race_keeps_its_winner(winner: int, cancel: bool) -> None:
    async def handler(ctx: Context) -> Any:
        tasks = [asyncio.create_task(ctx.step.run(f"s{i}", give, i), name=str(i)) for i in range(3)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending if cancel else ():
            task.cancel()
        (first,) = done
        return [first.result(), await ctx.step.run("after", give, "end")]

    def order(ids: list[str]) -> list[str]:
        return [ids[winner], *(i for i in ids if i != ids[winner])] if len(ids) == 3 else ids

    stage = Stage(handler)
    assert await stage.play(order) == [winner, "end"]
    assert stage.result(await stage.call()) == [winner, "end"]


async def test_losers_of_a_race_do_not_hold_up_its_end() -> None:
    """The server calls as soon as one of them has ended, as it does in race mode."""

    async def handler(ctx: Context) -> Any:
        sleep = asyncio.create_task(ctx.step.sleep("long", "1h"))
        wait = asyncio.create_task(ctx.step.wait_for_event("wait", event="e", timeout="2h"))
        done, _ = await asyncio.wait({sleep, wait}, return_when=asyncio.FIRST_COMPLETED)
        return "slept" if sleep in done else "event"

    stage = Stage(handler)
    first = stage.operations(await stage.call())
    assert stage.reports == [["Sleep long", "WaitForEvent wait"]]
    stage.settle(first[0])
    assert stage.result(await stage.call()) == "slept"


async def test_a_step_nobody_waits_for_is_run_before_the_end() -> None:
    async def handler(ctx: Context) -> Any:
        task = asyncio.create_task(ctx.step.run("beside", give, 1))
        task.add_done_callback({task}.discard)
        return "done"

    stage = Stage(handler)
    assert await stage.play() == "done"
    assert stage.reports == [["StepRun beside"]]


async def test_wait_for_and_timeout_do_not_wait_for_the_clock() -> None:
    async def handler(ctx: Context) -> Any:
        async with asyncio.timeout(3600):
            first = await ctx.step.run("a", give, 1)
        second = await asyncio.wait_for(ctx.step.run("b", give, 2), 3600)
        async with asyncio.timeout(3600):
            both = await asyncio.gather(ctx.step.run("c", give, 3), ctx.step.run("d", give, 4))
        with anyio.fail_after(3600):
            last = await ctx.step.run("e", give, 5)
        return [first, second, *both, last]

    assert await asyncio.wait_for(Stage(handler).play(), 2) == [1, 2, 3, 4, 5]


@pytest.mark.filterwarnings("ignore::stepwell.sdk.errors.IndeterminateFunctionWarning")
async def test_a_timeout_reaches_into_a_running_step() -> None:
    cancelled: list[bool] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def handler(ctx: Context) -> Any:
        try:
            async with asyncio.timeout(0.01):
                await ctx.step.run("slow", slow)
        except TimeoutError:
            return await ctx.step.run("instead", give, "quick")

    assert await Stage(handler).play() == "quick"
    assert cancelled


async def test_shield_and_nested_gathers() -> None:
    async def handler(ctx: Context) -> Any:
        def step(name: str) -> Any:
            return ctx.step.run(name, give, name)

        shielded = asyncio.shield(asyncio.ensure_future(step("s")))
        return await asyncio.gather(
            asyncio.gather(step("a"), asyncio.gather(step("b"), asyncio.gather(step("c")))),
            shielded,
            return_exceptions=True,
        )

    stage = Stage(handler)
    result = await asyncio.wait_for(stage.play(), 2)
    assert result == [["a", ["b", ["c"]]], "s"]
    assert sorted(stage.reports[0]) == [f"StepPlanned {name}" for name in "abcs"]


async def test_branches_that_signal_each_other() -> None:
    """Locks, events, conditions, queues, semaphores: waiting for one is waiting for a branch."""

    async def handler(ctx: Context) -> Any:
        ready, queue = asyncio.Event(), asyncio.Queue[int]()
        lock, gate = asyncio.Lock(), asyncio.Semaphore(1)
        log: list[str] = []

        async def leader() -> None:
            async with lock:
                await ctx.step.run("lead", give, 1)
                log.append("lead")
            ready.set()
            await queue.put(await ctx.step.run("feed", give, 7))

        async def follower() -> None:
            await ready.wait()
            async with lock, gate:
                log.append(str(await ctx.step.run("follow", give, await queue.get())))

        async with asyncio.TaskGroup() as group:
            group.create_task(leader())
            group.create_task(follower())
        return log

    stage = Stage(handler)
    assert await asyncio.wait_for(stage.play(), 2) == ["lead", "7"]
    assert all(len(report) == 1 for report in stage.reports)


@pytest.mark.parametrize("how", ["sleep", "thread", "executor", "socket"])
async def test_the_world_between_steps_is_waited_for(how: str) -> None:
    """A branch that waits for something real is no idle branch: its step joins the others."""

    async def world() -> None:
        if how == "sleep":
            await asyncio.sleep(0.02)
        elif how == "thread":
            await asyncio.to_thread(lambda: None)
        elif how == "executor":
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    async def branch(ctx: Context) -> Any:
        await world()
        return await ctx.step.run("late", give, 2)

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(ctx.step.run("soon", give, 1), branch(ctx))

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        stage = Stage(handler)
        assert await asyncio.wait_for(stage.play(), 4) == [1, 2]
    assert stage.reports[0] == ["StepPlanned soon", "StepPlanned late"]


async def test_the_world_before_and_after_steps_of_a_single_task() -> None:
    async def handler(ctx: Context) -> Any:
        await asyncio.sleep(0.001)
        first = await ctx.step.run("a", give, 1)
        await asyncio.to_thread(lambda: None)
        return first + await ctx.step.run("b", give, 2)

    assert await Stage(handler).play() == 3


async def test_a_task_in_the_background_holds_nothing_up() -> None:
    """Whoever is not waited for need not be idle: a heartbeat, a reader of a socket."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.001)

    async def handler(ctx: Context) -> Any:
        heart = asyncio.create_task(beat())
        result = await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))
        async with asyncio.TaskGroup() as group:
            other = group.create_task(beat())
            result.append(await ctx.step.run("c", give, 3))
            other.cancel()
        heart.cancel()
        return result

    stage = Stage(handler)
    assert await asyncio.wait_for(stage.play(), 2) == [1, 2, 3]
    assert stage.reports[0] == ["StepPlanned a", "StepPlanned b"]


async def test_patience_with_the_world_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.sdk.execution.idle.PATIENCE_SECONDS", 0.05)

    async def handler(ctx: Context) -> Any:
        async def beat() -> None:
            while True:
                await asyncio.sleep(0.001)

        async def work() -> None:
            await ctx.step.run("a", give, 1)
            heart.cancel()

        async with asyncio.TaskGroup() as group:
            heart = group.create_task(beat())
            group.create_task(work())
        return "done"

    assert await asyncio.wait_for(Stage(handler).play(), 4) == "done"


async def test_a_branch_that_fails_can_be_caught() -> None:
    async def handler(ctx: Context) -> Any:
        try:
            await asyncio.gather(ctx.step.run("good", give, 1), ctx.step.run("bad", fail, "no"))
        except StepError as error:
            return [error.name, error.message, await ctx.step.run("mend", give, 2)]

    stage = Stage(handler, max_attempts=2)
    assert await stage.play() == ["ValueError", "no", 2]
    assert stage.reports.count(["StepError bad"]) == 1
    assert stage.reports.count(["StepFailed bad"]) == 1


async def test_task_group_raises_the_steps_error_in_a_group() -> None:
    async def handler(ctx: Context) -> Any:
        found: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("bad", fail, "no"))
                group.create_task(ctx.step.run("good", give, 1))
        except* StepError as errors:
            found = [error.message for error in errors.exceptions if isinstance(error, StepError)]
        return found

    assert await Stage(handler, max_attempts=1).play() == ["no"]


async def test_group_parallel_waits_for_all_and_keeps_the_order() -> None:
    async def handler(ctx: Context) -> Any:
        def branch(index: int) -> Callable[[], Any]:
            async def run() -> Any:
                await ctx.step.run(f"x{index}", give, index)
                return await ctx.step.run(f"y{index}", give, index)

            return run

        return await ctx.group.parallel(tuple(map(branch, range(2))))

    stage = Stage(handler)
    assert await stage.play(lambda ids: ids[::-1]) == [0, 1]


async def test_group_parallel_plans_even_a_lone_step_and_repeats_the_mode() -> None:
    async def handler(ctx: Context) -> Any:
        return await ctx.group.parallel((lambda: ctx.step.run("a", give, 1),), ParallelMode.RACE)

    stage = Stage(handler)
    (planned,) = stage.operations(await stage.call())
    assert (planned.op, planned.parallel_mode) == ("StepPlanned", "race")
    ran = await stage.targeted(planned)
    assert (ran.op, ran.parallel_mode) == ("StepRun", "race")


async def test_group_parallel_cancels_the_others_when_one_fails() -> None:
    async def handler(ctx: Context) -> Any:
        async def never() -> None:
            await ctx.step.run("first", give, 1)
            await ctx.step.run("never", give, 1)

        async def bad() -> None:
            await ctx.step.run("bad", fail, "no")

        try:
            await ctx.group.parallel((never, bad), ParallelMode.RACE)
        except StepError:
            return "caught"

    stage = Stage(handler, max_attempts=1)
    assert await stage.play(lambda ids: ids[::-1]) == "caught"
    assert not any("never" in line for report in stage.reports for line in report)


async def test_the_same_id_in_parallel_branches_warns_once() -> None:
    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(*(ctx.step.run("same", give, i) for i in range(3)))

    stage = Stage(handler)
    with pytest.warns(match="parallel branches") as caught:
        await stage.call()
    assert len(caught) == 1
    assert [w.message.code for w in caught] == ["AUTOMATIC_PARALLEL_INDEXING"]  # type: ignore[union-attr]


async def test_ids_of_parallel_branches_are_stable_in_every_call() -> None:
    async def handler(ctx: Context) -> Any:
        async with asyncio.TaskGroup() as group:
            for index in range(3):
                group.create_task(ctx.step.run("same", give, index))
        return "end"

    stage = Stage(handler)
    with pytest.warns(match="parallel branches"):
        seen = {tuple(o.id for o in stage.operations(await stage.call())) for _ in range(5)}
    assert len(seen) == 1


async def test_cancelling_the_call_cancels_the_handler() -> None:
    entered, left = asyncio.Event(), []

    async def handler(ctx: Context) -> None:
        async def branch() -> None:
            try:
                entered.set()
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                left.append("branch")
                raise

        try:
            await asyncio.gather(branch(), ctx.step.run("a", give, 1))
        finally:
            left.append("handler")

    task = asyncio.create_task(Stage(handler).call())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(left) == ["branch", "handler"]


@pytest.mark.parametrize("parallel", [False, True])
async def test_many_calls_at_once_do_not_disturb_each_other(parallel: bool) -> None:
    async def handler(ctx: Context) -> Any:
        if parallel:
            return sum(await asyncio.gather(*(ctx.step.run(f"s{i}", give, i) for i in range(4))))
        return sum([await ctx.step.run(f"s{i}", give, i) for i in range(4)])

    stages = [Stage(handler) for _ in range(20)]
    assert await asyncio.gather(*(stage.play() for stage in stages)) == [6] * 20


async def test_a_call_inside_a_busy_loop_still_finds_idleness() -> None:
    """Other work keeps the loop going round all the time."""

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))

    spinner = asyncio.create_task(spin())
    try:
        stage = Stage(handler)
        assert await asyncio.wait_for(stage.play(), 2) == [1, 2]
        assert stage.reports[0] == ["StepPlanned a", "StepPlanned b"]
    finally:
        spinner.cancel()


async def test_a_step_asked_for_runs_though_the_race_is_over() -> None:
    """A targeted call may know more than the one that planned it."""

    async def handler(ctx: Context) -> Any:
        tasks = [asyncio.create_task(ctx.step.run(f"s{i}", give, i)) for i in range(2)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return "over"

    stage = Stage(handler)
    first, second = stage.operations(await stage.call())
    stage.settle(await stage.targeted(first))
    ran = await stage.targeted(second)
    assert ran.op == "StepRun"


# Which of several steps the server is to wait for


Program = Callable[[Context], Any]


def modes(found: list[Any]) -> list[str]:
    return [f"{one.op} {one.parallel_mode}".strip() for one in found]


async def beside_a_sleep(ctx: Context) -> None:
    async def chain() -> None:
        for index in range(2):
            await ctx.step.run(f"s{index}", give, index)

    await asyncio.gather(ctx.step.sleep("long", "7d"), chain())


async def beside_a_wait(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.step.wait_for_event("wait", event="e", timeout="7d"))
        group.create_task(ctx.step.run("s", give, 1))


async def the_first(ctx: Context) -> None:
    tasks = [asyncio.create_task(ctx.step.run(f"s{i}", give, i)) for i in range(2)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def the_first_within_a_branch(ctx: Context) -> None:
    await asyncio.gather(the_first(ctx), ctx.step.run("beside", give, 1))


async def one_after_another(ctx: Context) -> None:
    for done in asyncio.as_completed([ctx.step.run(f"s{i}", give, i) for i in range(2)]):
        await done


async def all_of_them(ctx: Context) -> None:
    tasks = [asyncio.create_task(ctx.step.run(f"s{i}", give, i)) for i in range(2)]
    await asyncio.wait(tasks)


async def the_servers_alone(ctx: Context) -> None:
    await asyncio.gather(ctx.step.sleep("a", 1000), ctx.step.sleep("b", 1000))


async def as_the_user_said(ctx: Context) -> None:
    await ctx.group.parallel((lambda: ctx.step.sleep("a", 1000), lambda: ctx.step.run("s", give)))


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (beside_a_sleep, ["Sleep race", "StepPlanned race"]),
        (beside_a_wait, ["WaitForEvent race", "StepPlanned race"]),
        (the_first, ["StepPlanned race", "StepPlanned race"]),
        (the_first_within_a_branch, ["StepPlanned race"] * 3),
        (one_after_another, ["StepPlanned race", "StepPlanned race"]),
        (all_of_them, ["StepPlanned", "StepPlanned"]),
        (the_servers_alone, ["Sleep", "Sleep"]),
        (as_the_user_said, ["Sleep", "StepPlanned"]),
    ],
)
async def test_d14_a_server_waits_for_all_only_if_the_handler_does(
    handler: Program, told: list[str]
) -> None:
    stage = Stage(handler)
    found = stage.operations(await stage.call())
    assert modes(found) == told
    for planned in found:
        if planned.op == "StepPlanned":
            ran = await stage.targeted(planned)
            assert ran.parallel_mode == planned.parallel_mode


async def test_d14_the_mode_is_the_same_though_the_steps_beside_it_are_met_later() -> None:
    """A call for one step runs it at once; what stands beside it is found behind known steps."""

    async def working(ctx: Context) -> Any:
        await ctx.step.run("a1", give, 1)
        return await ctx.step.run("a2", give, 2)

    async def sleeping(ctx: Context) -> None:
        await ctx.step.run("b1", give, 1)
        await ctx.step.sleep("b2", "7d")

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(working(ctx), sleeping(ctx))

    stage = Stage(handler)
    await stage.wave(stage.operations(await stage.call()), lambda steps: steps)
    found = stage.operations(await stage.call())
    assert modes(found) == ["StepPlanned race", "Sleep race"]
    for later in (False, True):
        if later:
            stage.settle(found[1])
        ran = await stage.targeted(found[0])
        assert (ran.op, ran.parallel_mode) == ("StepRun", "race")


async def failing(ctx: Context) -> None:
    await ctx.step.run("known", give, 1)
    raise ValueError("no")


async def gathered(ctx: Context) -> None:
    await asyncio.gather(ctx.step.run("wanted", give, 2), failing(ctx))


async def grouped(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.step.run("wanted", give, 2))
        group.create_task(failing(ctx))


async def returning(ctx: Context) -> int:
    await asyncio.wait(
        [asyncio.create_task(ctx.step.run(name, give, name)) for name in ("wanted", "known")],
        return_when=asyncio.FIRST_COMPLETED,
    )
    return 1


@pytest.mark.parametrize("handler", [gathered, grouped, returning])
async def test_d14_a_step_that_ran_is_told_whatever_comes_behind_known_ones(
    handler: Program,
) -> None:
    """The handler goes on and returns, raises or cancels before its step is told."""
    stage = Stage(handler)
    wanted, known = stage.operations(await stage.call())
    stage.settle(await stage.targeted(known))
    assert (await stage.targeted(wanted)).op == "StepRun"
    assert stage.reports[-1] == ["StepRun wanted"]


async def test_d14_a_branch_goes_on_while_another_sleeps() -> None:
    stage = Stage(beside_a_sleep)
    _, planned = stage.operations(await stage.call())
    stage.settle(await stage.targeted(planned))
    found = stage.operations(await stage.call())
    assert stage.reports[-1] == ["Sleep long", "StepPlanned s1"]
    stage.settle(found[0])
    stage.settle(await stage.targeted(found[1]))
    assert stage.result(await stage.call()) is None
