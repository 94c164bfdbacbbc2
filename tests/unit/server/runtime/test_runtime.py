"""Pump, dispatcher and performer, on virtual time: work is asked for when it is due, calls
keep their leases, and nothing of it depends on a hint that may be lost."""

import asyncio
from typing import Any, cast

import pytest

from stepwell.server.drivers.port import Lost, Save
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.action import Announce, Topic, Wake
from stepwell.server.engine.message.input import Job, Outcome, Returned, Verdict
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.engine.state.changes import Changes
from stepwell.server.runtime.dispatcher import Dispatcher
from stepwell.server.runtime.perform import Performer
from stepwell.server.store.port import CallState, Unavailable, Unstorable
from stepwell.testing.virtual_time import VirtualLoop
from stepwell.wire.operation import Sleep
from tests.bench import APP, progressed, returned, step_run
from tests.unit.server.runtime.stage import Driver, Stage, done, play


def test_a_run_is_called_as_soon_as_it_is_due() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open()
        await asyncio.sleep(100)
        began = loop.time()
        run = await stage.ended(await stage.send())
        assert (run.status, run.output) == (RunStatus.COMPLETED, b"0")
        assert loop.time() - began < 0.01
        await stage.node.stop()

    play(scene)


def test_a_sleep_wakes_on_time_though_the_pump_polls_seldom() -> None:
    """The wake for the sleep comes while the answer to a pump is under way, in one batch."""

    async def sleepy(job: Job, state: CallState, save: Save) -> Outcome:
        return returned() if state.steps else progressed(Sleep(id="z", until="100ms"))

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, sleepy, limit=100)
        await stage.open()
        began = loop.time()
        runs = [await stage.send() for _ in range(20)]
        await asyncio.gather(*(stage.ended(run_id) for run_id in runs))
        assert loop.time() - began < 0.15
        await stage.node.stop()

    play(scene)


def test_a_wake_in_the_batch_of_an_ask_is_not_forgotten() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open()
        await asyncio.sleep(1)
        stage.bench.now_ms = stage.clock.now_ms()
        event = stage.bench.event("go", ts=stage.clock.now_ms() + 100)
        stage.node.pump.ask()
        await stage.node.ledger.submit(given_.EventsReceived((event,)))
        began = loop.time()
        await stage.ended(stage.node.reader.runs_of_event(event.id)[0].id)
        assert loop.time() - began < 0.15
        await stage.node.stop()

    play(scene)


def test_no_more_calls_at_once_than_the_lane_has_room_for() -> None:
    busy: list[int] = [0, 0]

    async def slow(job: Job, state: CallState, save: Save) -> Outcome:
        busy[0] += 1
        busy[1] = max(busy)
        await asyncio.sleep(1)
        busy[0] -= 1
        return returned()

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, slow, limit=3)
        await stage.open()
        runs = [await stage.send() for _ in range(10)]
        await asyncio.gather(*(stage.ended(run_id) for run_id in runs))
        assert busy == [0, 3]
        assert loop.time() < 5
        await stage.node.stop()

    play(scene)


def test_a_long_call_keeps_its_lease() -> None:
    async def long(job: Job, state: CallState, save: Save) -> Outcome:
        await asyncio.sleep(3_600)
        return returned()

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, long)
        await stage.open()
        run = await stage.ended(await stage.send())
        assert run.status is RunStatus.COMPLETED
        assert len(stage.driver.calls) == 1
        await stage.node.stop()

    play(scene)


def test_a_call_that_vanishes_is_made_again_when_its_lease_runs_out() -> None:
    async def vanishing(job: Job, state: CallState, save: Save) -> Outcome:
        if not job.item.losses:
            raise asyncio.CancelledError
        return returned()

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, vanishing)
        await stage.open()
        await stage.ended(await stage.send())
        first, second = (at for at, _ in stage.driver.calls)
        assert 60 <= second - first < 66
        await stage.node.stop()

    play(scene)


def test_a_lost_call_is_made_again_at_once() -> None:
    async def lost(job: Job, state: CallState, save: Save) -> Outcome | Lost:
        return returned() if job.item.losses else Lost()

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, lost)
        await stage.open()
        await stage.ended(await stage.send())
        assert loop.time() < 0.1
        assert [job.item.attempt for _, job in stage.driver.calls] == [0, 0]
        await stage.node.stop()

    play(scene)


def test_a_cancelled_run_abandons_its_call() -> None:
    told: list[str] = []

    async def endless(job: Job, state: CallState, save: Save) -> Outcome:
        try:
            await asyncio.sleep(10**6)
        except asyncio.CancelledError:
            told.append(job.run.id)
            raise
        raise AssertionError

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, endless)
        await stage.open()
        run_id = await stage.send()
        await asyncio.sleep(1)
        await stage.node.ledger.submit(given_.CancelAsked(run_id))
        await asyncio.sleep(0.01)
        assert told == [run_id]
        assert (await stage.ended(run_id)).status is RunStatus.CANCELLED
        await stage.node.stop()

    play(scene)


def test_code_that_is_not_to_be_cut_off_reaches_its_end() -> None:
    """Its answer changes nothing, and its place is taken until then."""
    done: list[str] = []

    async def long(job: Job, state: CallState, save: Save) -> Outcome:
        await asyncio.sleep(100)
        done.append(job.run.id)
        return returned()

    class Patient(Driver):
        def lets_finish(self, lease_id: str) -> bool:
            return True

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, long, limit=1)
        stage.driver = Patient(long)
        stage.node.reach(APP, stage.driver, 1)
        await stage.open()
        first = await stage.send()
        await asyncio.sleep(1)
        await stage.node.ledger.submit(given_.CancelAsked(first))
        second = await stage.send()
        await asyncio.sleep(98)
        assert (await stage.ended(first)).status is RunStatus.CANCELLED
        assert (done, len(stage.driver.calls)) == ([], 1)
        assert (await stage.ended(second)).status is RunStatus.COMPLETED
        assert done == [first, second]
        assert (await stage.ended(first)).status is RunStatus.CANCELLED
        await stage.node.stop()

    play(scene)


def test_a_run_that_ends_between_claim_and_call_is_not_called() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        # Nobody tells the dispatcher: the announcements are lost.
        stage.node.performer.perform = lambda actions: None  # type: ignore[method-assign]
        stage.node.ledger._perform = stage.node.performer.perform
        await stage.open()
        stage.bench.now_ms = stage.clock.now_ms()
        event = stage.bench.event("go")
        stage.node.ledger.submit(given_.EventsReceived((event,)))
        begun = stage.node.dispatcher.begin

        def begin(job: Job) -> None:
            stage.node.ledger.submit(given_.CancelAsked(job.run.id))
            begun(job)

        stage.node.dispatcher.begin = begin  # type: ignore[method-assign]
        await asyncio.sleep(10)
        assert [run.status for run in stage.store.disk.runs.values()] == [RunStatus.CANCELLED]
        assert stage.driver.calls == []
        await stage.node.stop()

    play(scene)


def test_steps_saved_on_the_way_are_kept() -> None:
    async def saving(job: Job, state: CallState, save: Save) -> Outcome:
        assert (await save((step_run("a", 1),))).verdict is Verdict.APPLIED
        assert (await save((step_run("b", 2),))).verdict is Verdict.APPLIED
        return returned()

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, saving)
        await stage.open()
        run_id = await stage.send()
        await stage.ended(run_id)
        assert [step.name for step in stage.node.reader.steps(run_id)] == ["a", "b"]
        assert len(stage.driver.calls) == 1
        await stage.node.stop()

    play(scene)


def test_a_driver_that_raises_has_failed_an_attempt() -> None:
    async def faulty(job: Job, state: CallState, save: Save) -> Outcome:
        raise ZeroDivisionError("a fault of the driver's")

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, faulty)
        await stage.open(retries=0)
        run = await stage.ended(await stage.send())
        assert run.status is RunStatus.FAILED
        assert b"a fault of the driver's" in (run.output or b"")
        await stage.node.stop()

    play(scene)


def test_an_outcome_survives_a_full_disk() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open()
        refused = 0
        real = stage.store.write

        def write(changes: object) -> None:
            nonlocal refused
            if getattr(changes, "ended", None) and refused < 3:
                refused += 1
                raise Unavailable("the disk is full")
            real(changes)  # type: ignore[arg-type]

        stage.store.write = write  # type: ignore[method-assign]
        run = await stage.ended(await stage.send())
        assert run.status is RunStatus.COMPLETED
        assert refused == 3
        assert len(stage.driver.calls) == 1
        await stage.node.stop()

    play(scene)


def test_an_outcome_the_engine_cannot_decide_is_a_failed_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stepwell.server import ledger

    real = ledger.decide

    def decide(view: object, given: object, *rest: object) -> object:
        if isinstance(given, given_.ReplyReceived) and isinstance(given.outcome, Returned):
            raise ZeroDivisionError("a fault of ours")
        return real(view, given, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "decide", decide)

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open(retries=1)
        run = await stage.ended(await stage.send())
        assert run.status is RunStatus.FAILED
        assert b"EngineFault" in (run.output or b"")
        assert len(stage.driver.calls) == 2
        await stage.node.stop()

    play(scene)


def test_an_outcome_no_row_can_hold_is_a_failed_attempt() -> None:
    """Not tried again for ever, as with a full disk: it would fit no better."""

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        write = stage.store.write

        def refuse(changes: Changes) -> None:
            if any(run.status is RunStatus.COMPLETED for run in changes.runs.values()):
                raise Unstorable("a value fits no row")
            write(changes)

        stage.store.write = refuse  # type: ignore[method-assign]
        await stage.open(retries=1)
        run = await stage.ended(await stage.send())
        assert run.status is RunStatus.FAILED
        assert b"a value fits no row" in (run.output or b"")
        assert len(stage.driver.calls) == 2
        await stage.node.stop()

    play(scene)


def test_a_queue_that_is_dropped_waits_until_it_is_reached_again() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        stage.node.dispatcher.drop_lane(APP)
        await stage.open()
        run_id = await stage.send()
        await asyncio.sleep(100)
        assert stage.driver.calls == []
        stage.node.reach(APP, stage.driver, 1)
        assert (await stage.ended(run_id)).status is RunStatus.COMPLETED
        assert loop.time() < 101
        await stage.node.stop()

    play(scene)


def test_work_that_was_leased_for_a_queue_just_dropped_is_given_back() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open()
        asked = given_.WorkAsked("01JABCDEFGHJKMNPQRSTVW", ((APP, 5),), 10, 60_000)
        stage.node.pump.stop()
        run_id = await stage.send()
        work = await stage.node.ledger.submit(asked)
        assert isinstance(work, given_.Work)
        stage.node.dispatcher.drop_lane(APP)
        stage.node.dispatcher.begin(work.jobs[0])
        await asyncio.sleep(0.1)
        assert stage.node.reader.leases(run_id) == []
        assert stage.node.reader.items(run_id)[0].losses == 0
        await stage.node.stop()

    play(scene)


def test_a_call_of_an_app_that_moved_waits_for_the_place_it_moved_to() -> None:
    """The app registers in the moment between the claim of a call and the call."""

    async def gone(job: Job, state: CallState, save: Save) -> Lost:
        return Lost(begun=False, elsewhere=True)

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, gone)
        await stage.open()
        run_id = await stage.send()
        await asyncio.sleep(100)
        assert len(stage.driver.calls) == 1
        assert stage.node.dispatcher.lane(APP).limit == 0
        stage.driver.handler = done
        stage.node.reach(APP, stage.driver, 1)
        assert (await stage.ended(run_id)).status is RunStatus.COMPLETED
        (_, job) = stage.driver.calls[-1]
        assert (job.item.losses, job.item.attempt) == (0, 0)
        await stage.node.stop()

    play(scene)


def test_stopping_lets_calls_end_and_abandons_the_rest() -> None:
    async def some(job: Job, state: CallState, save: Save) -> Outcome:
        await asyncio.sleep(0.5)
        if job.item.losses == 0 and job.run.id == slow[0]:
            await asyncio.sleep(100)
        return returned()

    slow: list[str] = [""]

    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, some)
        await stage.open()
        slow[0] = await stage.send()
        quick = await stage.send()
        await asyncio.sleep(0.1)
        began = loop.time()
        await stage.node.stop()
        assert loop.time() - began < 2
        disk = stage.store.disk
        assert disk.runs[quick].status is RunStatus.COMPLETED
        assert not disk.runs[slow[0]].ended
        assert disk.items.get((slow[0], "")) is not None
        with pytest.raises(Exception, match="stopping"):
            await stage.node.ledger.submit(given_.CancelAsked("x"))

    play(scene)


def test_a_pump_that_is_refused_asks_again() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open()
        run_id = ""
        real = stage.store.load
        until = loop.time() + 10

        def load(need: object, view: object) -> None:
            if getattr(need, "due", None) and loop.time() < until:
                raise Unavailable("no disk")
            real(need, view)  # type: ignore[arg-type]

        stage.store.load = load  # type: ignore[method-assign]
        run_id = await stage.send()
        await stage.ended(run_id)
        assert 10 <= loop.time() < 12
        await stage.node.stop()

    play(scene)


def test_a_job_that_cannot_begin_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open()
        begin, tried = stage.node.dispatcher.begin, list[str]()

        def stumble(job: Job) -> None:
            tried.append(job.run.id)
            if len(tried) == 1:
                raise ZeroDivisionError("a fault of ours")
            begin(job)

        monkeypatch.setattr(stage.node.dispatcher, "begin", stumble)
        first, second = await stage.send(), await stage.send()
        began = loop.time()
        runs = [await stage.ended(run) for run in (second, first)]
        assert [run.status for run in runs] == [RunStatus.COMPLETED] * 2
        assert loop.time() - began >= 60  # the first one's lease had to run out
        assert tried == [first, second, first]
        await stage.node.stop()

    play(scene)


def test_a_pump_goes_on_whatever_happens_to_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        await stage.open()
        begin, failed = stage.node.dispatcher.begin, 0

        def stumble(job: Job) -> None:
            nonlocal failed
            if failed < 2:
                failed += 1
                raise ZeroDivisionError("a fault of ours")
            begin(job)

        monkeypatch.setattr(stage.node.dispatcher, "begin", stumble)
        loop.set_exception_handler(lambda *_: None)
        run = await stage.ended(await stage.send())
        assert run.status is RunStatus.COMPLETED
        assert failed == 2
        await stage.node.stop()

    play(scene)


# -- the performer ----------------------------------------------------------------------------


def test_one_wake_for_the_earliest_and_every_announcement_in_order() -> None:
    performer, woken, heard = Performer(), list[int](), list[str]()
    performer.wake = woken.append
    leave = performer.subscribe(Topic.RUN_ENDED, lambda told: heard.append(told.subject))
    actions = [Wake(5), Announce(Topic.RUN_ENDED, "a"), Wake(3), Announce(Topic.RUN_ENDED, "b")]
    performer.perform([*actions, Announce(Topic.RUN_STARTED, "c")])
    assert (woken, heard) == ([3], ["a", "b"])
    leave()
    performer.perform([Announce(Topic.RUN_ENDED, "d")])
    assert (woken, heard) == ([3], ["a", "b"])


def test_a_listener_that_fails_keeps_nothing_from_the_others() -> None:
    performer, told = Performer(), list[object]()

    def fail(announced: Announce) -> None:
        raise ZeroDivisionError("a fault of a listener's")

    performer.subscribe(Topic.RUN_ENDED, fail)
    performer.subscribe(Topic.RUN_ENDED, told.append)
    performer.wake = told.append
    ended = Announce(Topic.RUN_ENDED, "r")
    performer.perform([ended, Wake(5)])
    assert told == [ended, 5]


def test_a_lane_is_dropped_only_for_the_driver_it_was_meant_for() -> None:
    """An app that connects is no longer called where it was served; its workers' lane stays."""
    served: Any = object()
    workers: Any = object()
    dispatcher = Dispatcher(cast("Any", None), cast("Any", None))
    dispatcher.set_lane("shop", served, 5)
    dispatcher.drop_lane("shop", workers)
    assert dispatcher.capacity() == (("shop", 5),)
    dispatcher.drop_lane("shop", served)
    assert dispatcher.capacity() == ()
    dispatcher.set_lane("shop", workers, 3)
    dispatcher.drop_lane("shop")
    dispatcher.drop_lane("shop")
    assert dispatcher.capacity() == ()
