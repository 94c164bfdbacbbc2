"""A reply becomes saved steps and next items; one that comes late or twice harms nothing."""

import pytest

from stepwell.server.engine.message.input import ReplyReceived, StepsCheckpointed, Verdict
from stepwell.server.engine.row.run import MAIN, RunStatus
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import (
    DiscoveryRequest,
    Nothing,
    RunComplete,
    Sleep,
    StepError,
    StepPlanned,
    WaitForEvent,
)
from tests.bench import (
    Bench,
    broke,
    function,
    planned,
    progressed,
    returned,
    step_run,
)

A, B = step_hash("a"), step_hash("b")


def test_a_run_goes_step_by_step_to_its_result() -> None:
    bench = Bench()
    run = bench.begin()
    assert run.status is RunStatus.SCHEDULED
    assert bench.answer(progressed(step_run("a", 1))).status is RunStatus.RUNNING
    assert bench.answer(progressed(step_run("b", {"x": 2}))).version == 2
    ended = bench.answer(returned([1, 2]))
    assert (ended.status, ended.output) == (RunStatus.COMPLETED, b"[1,2]")
    assert bench.memos(run.id) == {"a": {"data": 1}, "b": {"data": {"x": 2}}}
    assert bench.claim() == []
    assert not bench.items(run.id)


def test_run_complete_may_follow_the_last_step() -> None:
    bench = Bench()
    run = bench.begin()
    ended = bench.answer(progressed(step_run("a", 1), RunComplete(id="done")))
    assert ended.status is RunStatus.COMPLETED
    assert list(bench.memos(run.id)) == ["a"]


@pytest.mark.parametrize(
    "outcome",
    [
        progressed(step_run("a", 1)),
        progressed(planned("a"), planned("b")),
        progressed(Sleep(id=A, until="1h")),
        progressed(WaitForEvent(id=A, event="x", timeout="1h")),
        progressed(StepError(id=A, failure=broke().failure)),
        progressed(),
        broke(),
        returned(1),
    ],
    ids=["step", "plan", "sleep", "wait", "step-error", "nothing", "broke", "returned"],
)
def test_a_reply_that_comes_twice_counts_once(outcome: object) -> None:
    bench = Bench()
    run = bench.begin()
    job = bench.job()
    reply = ReplyReceived(job.lease.id, run.id, MAIN, outcome)  # type: ignore[arg-type]
    assert bench.submit(reply).verdict is Verdict.APPLIED  # type: ignore[union-attr]
    run_after, items_after = bench.run(run.id), bench.items(run.id)
    bench.pass_time(1)
    assert bench.submit(reply).verdict is Verdict.ALREADY  # type: ignore[union-attr]
    assert bench.records == []
    assert (bench.run(run.id), bench.items(run.id)) == (run_after, items_after)


def test_a_plan_that_comes_again_after_its_steps_ended_leaves_nothing_pending() -> None:
    bench = Bench()
    run = bench.begin()
    first = bench.job()
    bench.reply(first, progressed(planned("a"), planned("b")))
    for job in bench.claim():
        name = "a" if job.item.target == A else "b"
        bench.reply(job, progressed(step_run(name)))
    assert bench.reply(first, progressed(planned("a"), planned("b"))).verdict is Verdict.ALREADY
    assert bench.answer(returned()).status is RunStatus.COMPLETED
    assert bench.status(run.id) is RunStatus.COMPLETED


def test_a_late_reply_after_a_loss_is_taken_if_nobody_began_again() -> None:
    bench = Bench()
    run = bench.begin()
    job = bench.job()
    bench.restart()
    assert bench.reply(job, progressed(step_run("a", 1))).verdict is Verdict.APPLIED
    assert bench.memos(run.id) == {"a": {"data": 1}}


def test_a_late_reply_is_fenced_off_when_somebody_began_again() -> None:
    bench = Bench()
    run = bench.begin()
    job = bench.job()
    bench.restart()
    again = bench.job()
    assert bench.reply(job, progressed(step_run("a", "old"))).verdict is Verdict.FENCED
    assert bench.reply(again, progressed(step_run("a", "new"))).verdict is Verdict.APPLIED
    assert bench.memos(run.id) == {"a": {"data": "new"}}


def test_a_reply_to_a_run_that_ended_or_never_was() -> None:
    bench = Bench()
    run = bench.begin()
    job = bench.job()
    bench.reply(job, returned())
    assert bench.reply(job, returned()).verdict is Verdict.ALREADY
    stranger = ReplyReceived(job.lease.id, "01K0000000000000000000NONE", MAIN, returned())
    assert bench.submit(stranger).verdict is Verdict.GONE  # type: ignore[union-attr]
    assert bench.status(run.id) is RunStatus.COMPLETED


def test_the_first_result_of_a_step_stays() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(step_run("a", "first"), step_run("a", "second")))
    bench.answer(progressed(step_run("a", "third")))
    assert bench.memos(run.id) == {"a": {"data": "first"}}


@pytest.mark.parametrize(
    "operations",
    [(), (Nothing(),), (step_run("a"),), (planned("a"),), (Sleep(id=A, until="1s"),)],
    ids=["nothing", "none", "step", "plan", "sleep"],
)
def test_a_reply_that_leads_nowhere_is_asked_for_again_but_not_at_once(
    operations: tuple[object, ...],
) -> None:
    """An SDK that does not see what is saved must not hang its run, nor spin."""
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(step_run("a")))
    bench.answer(progressed(*operations))  # type: ignore[arg-type]
    item = bench.item(run.id)
    assert item is not None
    assert item.due_ms in (bench.now_ms, bench.now_ms + 1_000)
    assert item.due_ms == bench.now_ms + 1_000 or operations == (step_run("a"),)
    bench.pass_time(1_000)
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_discovery_request_is_granted_at_once() -> None:
    bench = Bench()
    bench.begin()
    bench.answer(progressed(DiscoveryRequest(id="x1")))
    assert bench.answer(returned()).status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    "operations",
    [(), (planned("c"),), (step_run("other"),), (Sleep(id=step_hash("z"), until="1s"),)],
    ids=["nothing", "another-plan", "another-step", "a-sleep"],
)
def test_a_targeted_call_that_answers_something_else_is_found_again(
    operations: tuple[object, ...],
) -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a"), planned("b")))
    first, second = sorted(bench.claim(), key=lambda job: job.item.target != A)
    bench.reply(first, progressed(*operations))  # type: ignore[arg-type]
    bench.reply(second, progressed(step_run("b")))
    for _ in range(10):
        bench.pass_time(1_000)
        for job in bench.claim():
            missing = [n for n in ("a", "c") if n not in bench.memos(run.id)]
            if job.item.target != "step":
                name = "a" if job.item.target == A else "c"
                bench.reply(job, progressed(step_run(name)))
            elif "a" in missing:
                bench.reply(job, progressed(planned("a")))
            else:
                bench.reply(job, returned())
    assert bench.status(run.id) is RunStatus.COMPLETED


def test_a_targeted_step_may_turn_out_to_be_a_wait() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a")))
    bench.answer(progressed(WaitForEvent(id=A, name="a", event="x", timeout="1m")))
    assert [wait.name for wait in bench.waits(run.id)] == ["x"]
    assert bench.claim() == []
    bench.pass_time(60_000)
    assert bench.claim() == []
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_step_reported_by_a_discovery_ends_the_call_that_was_planned_for_it() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a"), planned("b"), DiscoveryRequest(id="d")))
    jobs = {job.item.target: job for job in bench.claim()}
    bench.reply(jobs["step"], progressed(step_run("a", "discovery")))
    assert bench.reply(jobs[A], progressed(step_run("a", "targeted"))).verdict is Verdict.ALREADY
    assert bench.memos(run.id) == {"a": {"data": "discovery"}}
    bench.reply(jobs[B], progressed(step_run("b")))
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_checkpoints_are_kept_and_the_lease_with_them() -> None:
    bench = Bench()
    run = bench.begin(function(event="go", retries=1))
    bench.answer(broke())
    bench.pass_time(60_000)
    job = bench.job()
    assert job.item.attempt == 1
    given = StepsCheckpointed(job.lease.id, run.id, MAIN, (step_run("a", 1), planned("b")))
    assert bench.submit(given).verdict is Verdict.APPLIED  # type: ignore[union-attr]
    assert bench.status(run.id) is RunStatus.RUNNING
    assert bench.memos(run.id) == {"a": {"data": 1}}
    item = bench.item(run.id)
    assert item is not None
    assert item.attempt == 0
    assert bench.claim() == []
    refused = StepsCheckpointed(job.lease.id, run.id, MAIN, (Sleep(id=B, until="1s"),))
    answer = bench.submit(refused)
    assert answer.verdict is Verdict.REFUSED  # type: ignore[union-attr]
    assert answer.reason == "cannot checkpoint opcode: Sleep"  # type: ignore[union-attr]
    # Its tries are counted anew: what failed lies behind the saved step.
    bench.reply(job, broke())
    assert bench.status(run.id) is RunStatus.RUNNING


def test_a_checkpoint_of_a_fenced_call_is_refused() -> None:
    bench = Bench()
    run = bench.begin()
    old = bench.job()
    bench.restart()
    bench.job()
    given = StepsCheckpointed(old.lease.id, run.id, MAIN, (step_run("a"),))
    assert bench.submit(given).verdict is Verdict.FENCED  # type: ignore[union-attr]
    assert bench.memos(run.id) == {}


def test_operations_without_ids_all_count() -> None:
    bench = Bench()
    bench.begin()
    ended = bench.answer(progressed(Nothing(), RunComplete()))
    assert ended.status is RunStatus.COMPLETED


def test_a_step_that_is_planned_twice_has_one_call() -> None:
    bench = Bench()
    run = bench.begin()
    both = (planned("a"), StepPlanned(id=B, name="b"))
    bench.answer(progressed(*both, DiscoveryRequest(id="d1")))
    jobs = {job.item.target: job for job in bench.claim()}
    bench.reply(jobs["step"], progressed(*both))
    assert set(bench.items(run.id)) == {A, B}
    bench.reply(jobs[A], progressed(step_run("a")))
    bench.reply(jobs[B], progressed(step_run("b")))
    assert bench.answer(returned()).status is RunStatus.COMPLETED
