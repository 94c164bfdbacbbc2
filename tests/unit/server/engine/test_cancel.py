"""A run is told to stop: by an event it named, or by hand (server.md 3.11, 5.9)."""

from collections.abc import Callable

import msgspec
import pytest

from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.engine.message.input import (
    CancelAsked,
    CancellationAsked,
    Done,
    LeftUnserved,
    Verdict,
)
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.run import RunStatus, WaitKind
from stepwell.wire.failure import decode_failure
from stepwell.wire.function_config import Cancel
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import (
    GatewayCall,
    InvokeFunction,
    Operation,
    Sleep,
    WaitForEvent,
    WaitForSignal,
)
from tests.bench import Bench, broke, function, planned, progressed, returned, step_run


def cancellable(*cancels: Cancel, data: object = None) -> Bench:
    bench = Bench()
    bench.begin(function(event="go", cancel=cancels), data=data)
    return bench


def status(bench: Bench) -> RunStatus:
    return bench.runs()[0].status


def test_an_event_cancels_what_it_matches() -> None:
    bench = cancellable(
        Cancel(event="stop", condition="async.data.id == event.data.id"), data={"id": 7}
    )
    bench.send("stop", {"id": 8})
    assert status(bench) is RunStatus.SCHEDULED
    bench.send("stop", {"id": 7})
    assert status(bench) is RunStatus.CANCELLED
    assert bench.claim() == []
    assert list(bench.store.disk.waits) == []


def test_a_run_is_given_up_only_while_nobody_serves_it() -> None:
    bench = Bench()
    assert bench.submit(LeftUnserved("nobody", 1)) == Done(Verdict.GONE, "nobody", "no such run")
    listener = function("told", event="inngest/function.failed")
    run = bench.begin(function(event="go"), listener)
    refused = bench.submit(LeftUnserved(run.id, 1))
    assert refused == Done(Verdict.REFUSED, run.id, "its function is served again")
    bench.register(listener, checksum="2")
    assert bench.submit(LeftUnserved(run.id, 90_000)) == Done(Verdict.APPLIED, run.id)
    given_up = bench.run(run.id)
    assert given_up.status is RunStatus.FAILED
    assert decode_failure(given_up.output or b"").told.startswith(
        "FunctionNotFound: No app has served function shop-work for 1m30s"
    )
    assert [one.function for one in bench.runs() if one.id != run.id] == ["shop-told"]
    assert bench.submit(LeftUnserved(run.id, 1)) == Done(Verdict.ALREADY, run.id, "Failed")


def test_a_condition_by_hand_looks_at_the_first_event() -> None:
    bench = Bench()
    run = bench.begin(function(event="go"), data={"n": 1})
    refused = bench.submit(CancelAsked(run.id, "event.data.n > 1"))
    assert isinstance(refused, Done)
    assert refused.verdict is Verdict.REFUSED
    assert bench.status(run.id) is RunStatus.SCHEDULED
    assert bench.submit(CancelAsked(run.id, "event.data.n == 1")) == Done(Verdict.APPLIED, run.id)
    assert bench.status(run.id) is RunStatus.CANCELLED


def test_a_cancellation_of_many_is_announced_and_a_broken_condition_refused() -> None:
    bench = Bench()
    asked = Cancellation("C", "shop", "shop-work", 0, 1, "event.", 0)
    refused = bench.submit(CancellationAsked(asked))
    assert isinstance(refused, Done)
    assert refused.verdict is Verdict.REFUSED
    assert bench.records == []
    asked = msgspec.structs.replace(asked, condition="1 + 1")
    refused = bench.submit(CancellationAsked(asked))
    assert isinstance(refused, Done)
    assert "'1 + 1' gives a number, never true or false" in refused.reason
    bench.submit(CancellationAsked(msgspec.structs.replace(asked, condition="")))
    assert Announce(Topic.CANCELLATION, "C") in bench.actions


def test_any_of_several_cancels() -> None:
    for name in ("stop", "halt"):
        bench = cancellable(Cancel(event="stop"), Cancel(event="halt"))
        assert len(bench.waits(bench.runs()[0].id, WaitKind.CANCEL)) == 2
        bench.send(name)
        assert status(bench) is RunStatus.CANCELLED


@pytest.mark.parametrize(("timeout", "armed_ms"), [("1m", 60_000), ("", 366 * 86_400_000)])
def test_a_cancellation_is_armed_for_a_while(timeout: str, armed_ms: int) -> None:
    bench = cancellable(Cancel(event="stop", timeout=timeout))
    bench.pass_time(armed_ms - 1)
    other = bench.send("go")
    assert other
    bench.send("stop")
    assert sorted(run.status.name for run in bench.runs()) == ["CANCELLED", "CANCELLED"]

    bench = cancellable(Cancel(event="stop", timeout=timeout))
    bench.pass_time(armed_ms)
    bench.send("stop")
    assert status(bench) is RunStatus.SCHEDULED


def test_a_time_beyond_all_reason_is_a_hundred_years() -> None:
    """A row holds 63 bits, and one function's number must not refuse everybody's events."""
    bench = cancellable(Cancel(event="stop", timeout="9999999999999999w"))
    (wait,) = bench.waits(bench.runs()[0].id)
    assert wait.until_ms == bench.now_ms + 100 * 366 * 86_400_000
    bench.send("stop")
    assert status(bench) is RunStatus.CANCELLED


def test_a_condition_that_does_not_compile_never_cancels() -> None:
    bench = cancellable(Cancel(event="stop", condition="syntax error ("))
    bench.send("stop")
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_run_is_not_cancelled_by_the_event_that_starts_it() -> None:
    bench = cancellable(Cancel(event="go"))
    assert status(bench) is RunStatus.SCHEDULED
    bench.send("go")
    assert sorted(run.status.name for run in bench.runs()) == ["CANCELLED", "SCHEDULED"]


def test_what_a_call_under_way_answers_is_discarded() -> None:
    bench = cancellable(Cancel(event="stop"))
    job = bench.job()
    bench.send("stop")
    assert bench.reply(job, progressed(step_run("a"))).verdict is Verdict.ALREADY
    assert bench.memos(job.run.id) == {}


def test_by_hand() -> None:
    bench = cancellable()
    run_id = bench.runs()[0].id
    assert bench.submit(CancelAsked(run_id)) == Done(Verdict.APPLIED, run_id)
    assert bench.submit(CancelAsked(run_id)) == Done(Verdict.ALREADY, run_id, "Cancelled")
    assert bench.submit(CancelAsked("nobody")) == Done(Verdict.GONE, "nobody", "no such run")


def test_one_event_may_end_a_wait_and_the_run() -> None:
    """Whichever comes first in the order of waits, the run is cancelled and keeps its rows in
    order."""
    from stepwell.wire.operation import WaitForEvent

    for step_id in ("a", "z"):
        bench = cancellable(Cancel(event="news"))
        wait = WaitForEvent(id=step_id, name="w", event="news", timeout="1h")
        bench.answer(progressed(wait))
        bench.send("news")
        assert status(bench) is RunStatus.CANCELLED
        assert list(bench.store.disk.items) == []
        assert list(bench.store.disk.waits) == []


def _queued(bench: Bench) -> None:
    bench.begin()


def _called(bench: Bench) -> None:
    bench.begin()
    bench.job()


def _doing(*operations: Operation) -> Callable[[Bench], None]:
    def prepare(bench: Bench) -> None:
        bench.begin()
        bench.answer(progressed(*operations))

    return prepare


def _retried(bench: Bench) -> None:
    bench.begin()
    bench.answer(broke())


def _targeted(bench: Bench) -> None:
    bench.begin()
    bench.answer(progressed(planned("a"), planned("b")))
    bench.claim()


def _invoking(bench: Bench) -> None:
    bench.begin(function(event="go"), function("child"))
    bench.answer(progressed(InvokeFunction(id=step_hash("i"), function_id="shop-child")))


STATES: dict[str, Callable[[Bench], None]] = {
    "queued": _queued,
    "called": _called,
    "between steps": _doing(step_run("a")),
    "retried": _retried,
    "sleeping": _doing(Sleep(id=step_hash("s"), until="1h")),
    "waiting for an event": _doing(WaitForEvent(id=step_hash("w"), event="x", timeout="1h")),
    "waiting for a signal": _doing(WaitForSignal(id=step_hash("w"), signal="x")),
    "waiting for a run": _invoking,
    "planned": _doing(planned("a"), planned("b")),
    "targeted": _targeted,
    "fetching": _doing(GatewayCall(id=step_hash("g"), url="http://x.test/", method="GET")),
}


@pytest.mark.parametrize("state", STATES)
def test_a_run_is_cancelled_in_every_state_and_nothing_is_left_of_it(state: str) -> None:
    bench = Bench()
    STATES[state](bench)
    run = bench.runs()[0]
    done = bench.submit(CancelAsked(run.id))
    assert isinstance(done, Done)
    assert done.verdict is Verdict.APPLIED
    assert bench.status(run.id) is RunStatus.CANCELLED
    assert bench.items(run.id) == {}
    assert bench.waits(run.id) == []
    assert bench.reader.leases(run.id) == []
    again = bench.submit(CancelAsked(run.id))
    assert isinstance(again, Done)
    assert again.verdict is Verdict.ALREADY
    bench.pass_time(86_400_000)
    bench.send("x")
    # The child of an invocation goes on; the run itself is called no more.
    assert all(job.run.id != run.id for job in bench.claim())
    assert bench.status(run.id) is RunStatus.CANCELLED
