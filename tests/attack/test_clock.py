"""Somebody sets the clock while the server runs: nothing is done twice, nothing waits for it."""

import asyncio
import logging

import pytest

import stepwell
from stepwell import embedded
from stepwell.embedded import Engine
from stepwell.server.clock import SystemClock
from stepwell.server.engine.message.need import Due
from stepwell.server.engine.row.run import Item, ItemKind, Lease
from stepwell.server.node import Node
from stepwell.server.runtime.clock_watch import ClockWatch
from stepwell.server.store.due import SHORT_MS, DueIndex

HOUR_MS = 3_600_000
NOW = 1_800_000_000_000


class Clocks:
    """Wall time and steady time, moved by the test."""

    def __init__(self) -> None:
        self.wall = NOW
        self.steady = 5_000
        self.clock = SystemClock(lambda: self.wall, lambda: self.steady)

    def passed(self, ms: int) -> None:
        self.wall += ms
        self.steady += ms


@pytest.mark.parametrize("jump", [HOUR_MS, -HOUR_MS])
def test_time_goes_on_steadily_until_the_jump_is_absorbed(jump: int) -> None:
    clocks = Clocks()
    clocks.wall += jump
    clocks.passed(10)
    assert clocks.clock.now_ms() == NOW + 10
    clocks.clock.follow(clocks.clock.drift_ms())
    assert clocks.clock.now_ms() == NOW + 10 + jump


def index(*items: Item) -> DueIndex:
    return DueIndex(lambda queue, after, limit: list(items) if after[0] < 0 else [])


def item(key: str, due_ms: int, kind: ItemKind = ItemKind.SLEEP) -> Item:
    return Item("run", key, kind, due_ms)


@pytest.mark.parametrize("jump", [HOUR_MS, -HOUR_MS])
def test_leases_keep_their_distance(jump: int) -> None:
    due = index()
    due.keep({}, {("run", "a"): Lease("l", "run", "a", NOW, NOW + 60_000)})
    assert due.ask(Due(NOW, (), 10))[1] == []
    due.clock_moved(jump, NOW)
    assert due.ask(Due(NOW + jump + 59_999, (), 10))[1:] == ([], NOW + jump + 60_000)
    assert len(due.ask(Due(NOW + jump + 60_000, (), 10))[1]) == 1


def test_what_is_due_soon_keeps_its_distance_when_the_clock_goes_back() -> None:
    soon, late = item("soon", NOW + 5_000), item("late", NOW + SHORT_MS + 1)
    cron = item("cron", NOW + 5_000, ItemKind.CRON)
    due = index(soon, cron, late)
    assert due.ask(Due(NOW, (), 10)) == ([], [], NOW + 5_000)
    back = -24 * HOUR_MS
    due.clock_moved(back, NOW)
    assert due.ask(Due(NOW + back, (), 10)) == ([], [], NOW + back + 5_000)
    (given,), _, then = due.ask(Due(NOW + back + 5_000, (), 10))
    assert given.key == "soon"
    assert then == NOW + 5_000


def test_what_is_due_follows_a_clock_that_goes_forward() -> None:
    due = index(item("soon", NOW + 5_000), item("late", NOW + HOUR_MS))
    due.ask(Due(NOW, (), 10))
    due.clock_moved(HOUR_MS, NOW)
    assert len(due.ask(Due(NOW + HOUR_MS, (), 10))[0]) == 2


class Machine:
    """The clock of an engine in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0
        wall, steady = SystemClock()._wall_ms, SystemClock()._steady_ms
        self.clock = SystemClock(lambda: wall() + self.ahead, steady)
        made = Node

        def with_clock(*given: object, **more: object) -> Node:
            return made(*given, **more, clock=self.clock)  # type: ignore[arg-type, misc]

        monkeypatch.setattr(embedded, "Node", with_clock)


def watch(engine: Engine) -> ClockWatch:
    found = engine.node._watch
    assert found is not None
    return found


@pytest.mark.parametrize("jump", [2 * HOUR_MS, -2 * HOUR_MS])
async def test_a_running_call_is_not_repeated_and_a_sleep_ends_in_its_time(
    jump: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(monkeypatch)
    client = stepwell.Inngest(app_id="shop", is_production=False)
    begun: list[str] = []
    may_end = asyncio.Event()

    @client.create_function(fn_id="slow", trigger=stepwell.TriggerEvent(event="go"))
    async def slow(ctx: stepwell.Context) -> str:
        begun.append("slow")
        await may_end.wait()
        return "slow"

    @client.create_function(fn_id="sleeper", trigger=stepwell.TriggerEvent(event="nap"))
    async def sleeper(ctx: stepwell.Context) -> str:
        await ctx.step.sleep("rest", 300)
        return "awake"

    async with Engine(client, [slow, sleeper], database=":memory:") as engine:
        (call,) = await client.send(stepwell.Event(name="go"))
        while not begun:
            await asyncio.sleep(0.01)
        (nap,) = await client.send(stepwell.Event(name="nap"))
        while not any(one.kind is ItemKind.SLEEP for one in items(engine, nap)):
            await asyncio.sleep(0.01)
        machine.ahead = jump
        with caplog.at_level(logging.WARNING, "stepwell.clock"):
            watch(engine).look()
            # What is asked for now is asked for by the new time.
            assert await engine.result_of(nap, timeout_seconds=20) == "awake"
        assert "the clock was set" in caplog.text
        assert watch(engine).jumps == 1
        engine.node.pump.ask()
        may_end.set()
        assert await engine.result_of(call, timeout_seconds=20) == "slow"
        assert begun == ["slow"]


def items(engine: Engine, event_id: str) -> list[Item]:
    runs = engine.node.reader.runs_of_event(event_id)
    return [one for run in runs for one in engine.node.reader.items(run.id)]


async def test_small_corrections_are_followed_without_a_word(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    client = stepwell.Inngest(app_id="shop", is_production=False)
    async with Engine(client, [], database=":memory:") as engine:
        machine.ahead = 300
        watch(engine).look()
        while abs(machine.clock.drift_ms()) >= 100:
            await asyncio.sleep(0.01)
        assert watch(engine).jumps == 0
    assert "the clock" not in caplog.text
