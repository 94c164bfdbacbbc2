"""An app that answers without saying anything new: it waits, counts, and comes to an end."""

from itertools import pairwise

import pytest

from stepwell.server.engine.row.run import MAIN, RunStatus
from stepwell.wire.operation import DiscoveryRequest, Operation, StepPlanned
from tests.bench import Bench, function, planned, progressed, returned, step_run

SAVED = step_run("a", 1)
ASKS: list[tuple[Operation, ...]] = [
    (SAVED,),
    (DiscoveryRequest(id="x"),),
    (),
    (SAVED, planned("a")),
]


@pytest.mark.parametrize("operations", ASKS)
@pytest.mark.parametrize(("retries", "calls"), [(0, 3), (4, 5)])
def test_it_is_called_as_often_as_a_failing_function_and_no_faster(
    operations: tuple[Operation, ...], retries: int, calls: int
) -> None:
    bench = Bench()
    run = bench.begin(function(event="go", retries=retries))
    bench.answer(progressed(SAVED))
    waits: list[int] = []
    for _ in range(calls):
        waited = 0
        while not (jobs := bench.claim()):
            assert bench.next_due_ms is not None
            waited += bench.next_due_ms - bench.now_ms
            bench.now_ms = bench.next_due_ms
        waits.append(waited)
        bench.reply(jobs[0], progressed(*operations))
    ended = bench.run(run.id)
    assert ended.status is RunStatus.FAILED
    assert ended.output is not None
    assert b"NoProgress" in ended.output
    assert all(wait >= 1_000 for wait in waits[2:])


def test_whoever_goes_on_has_its_tries_again() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(SAVED))
    job = bench.job()
    bench.reply(job, progressed(SAVED))
    again = bench.job()
    assert again.item.attempt == 1
    bench.reply(again, progressed(step_run("b", 2)))
    job = bench.job()
    assert job.item.attempt == 0
    bench.reply(job, returned(3))
    assert bench.run(run.id).status is RunStatus.COMPLETED


def test_a_call_that_waits_for_others_is_no_stall() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a"), planned("b")))
    first, second = bench.claim()
    bench.reply(first, progressed(step_run("a", 1)))
    assert bench.run(run.id).status is RunStatus.RUNNING
    bench.reply(second, progressed(step_run("b", 1)))
    job = bench.job()
    assert (job.item.key, job.item.attempt) == (MAIN, 0)


def test_a_plan_that_comes_again_waits_for_its_step() -> None:
    bench = Bench()
    bench.begin()
    plan = StepPlanned(id=planned("a").id, name="a", parallel_mode="race")
    bench.answer(progressed(plan, planned("b", mode="race")))
    first, second = bench.claim()
    bench.reply(first, progressed(step_run("a", 1)))
    bench.reply(bench.job(), progressed(planned("b", mode="race")))
    assert bench.claim() == []
    bench.reply(second, progressed(step_run("b", 1)))
    assert bench.job().item.attempt == 0


@pytest.mark.parametrize("operations", [(), (planned("a"),), (SAVED,), (DiscoveryRequest(id="x"),)])
@pytest.mark.parametrize(("retries", "calls"), [(0, 3), (4, 5)])
def test_a_call_for_a_step_that_never_answers_it_counts_and_comes_to_an_end(
    operations: tuple[Operation, ...], retries: int, calls: int
) -> None:
    """Discoveries beside it plan the step anew, as they must, and change nothing of that."""
    bench = Bench()
    run = bench.begin(function(event="go", retries=retries))
    bench.answer(progressed(SAVED))
    bench.answer(progressed(planned("a2"), planned("b2")))
    deaf, other = bench.claim()
    bench.reply(other, progressed(step_run(other.item.detail.decode().split()[-1], 1)))
    plan = StepPlanned(id=deaf.item.target, name="deaf")
    asked: list[int] = [bench.now_ms]
    bench.reply(deaf, progressed(*operations))
    while not bench.run(run.id).ended and len(asked) < 50:
        for job in bench.claim():
            if job.item.key == MAIN:
                bench.reply(job, progressed(plan))
            else:
                asked.append(bench.now_ms)
                bench.reply(job, progressed(*operations))
        bench.now_ms = max(bench.now_ms, bench.next_due_ms or 0)
    assert len(asked) == calls
    assert all(later - one >= 15_000 for one, later in pairwise(asked[1:]))
    ended = bench.run(run.id)
    assert ended.status is RunStatus.FAILED
    assert b"NoProgress" in (ended.output or b"")


def test_a_step_that_is_there_no_more_does_not_hold_its_run_up() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a")))
    bench.answer(progressed())
    bench.pass_time(1_000)
    discovery = next(job for job in bench.claim() if job.item.key == MAIN)
    bench.reply(discovery, returned(1))
    assert bench.run(run.id).status is RunStatus.COMPLETED
