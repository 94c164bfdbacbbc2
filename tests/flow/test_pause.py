"""A function rests: its events are recorded as skipped, its runs are frozen or cancelled."""

import pytest

from stepwell.server.engine.message.input import Done, FunctionPaused, FunctionResumed, Verdict
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.query.offline import waiting_in
from stepwell.server.query.rest import Hindrance
from stepwell.wire.function_config import Concurrency, Debounce, Trigger
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction, Sleep
from tests.bench import APP, function, progressed, step_run
from tests.flow.flow_bench import DAY, MINUTE, SECOND, FlowBench, controlled

FN = f"{APP}-work"


def told(bench: FlowBench, given: FunctionPaused | FunctionResumed) -> Verdict:
    answer = bench.submit(given)
    assert isinstance(answer, Done)
    return answer.verdict


@pytest.mark.parametrize("options", [{}, {"concurrency": (Concurrency(1, "event.data.user"),)}])
def test_a_file_tells_of_frozen_runs_and_of_those_whose_function_is_gone(
    bench: FlowBench, options: dict[str, object]
) -> None:
    bench.deploy(controlled(**options))
    bench.send("go", {"user": "amy"})
    assert waiting_in(bench.reader) == []
    told(bench, FunctionPaused(FN))
    bench.claim()
    (found,) = waiting_in(bench.reader)
    assert (found.function, found.reason, found.runs) == (FN, Hindrance.PAUSED, 1)
    told(bench, FunctionResumed(FN))
    bench.deploy(controlled("other"))
    (found,) = waiting_in(bench.reader)
    assert (found.function, found.reason, found.runs) == (FN, Hindrance.FUNCTION_GONE, 1)


def test_U1_events_of_a_paused_function_are_skipped_for_good(bench: FlowBench) -> None:
    bench.register(controlled(), function("other", event="go"))
    assert told(bench, FunctionPaused(FN)) is Verdict.APPLIED
    bench.restart()
    event = bench.send("go")
    assert [run.function for run in bench.runs_of(event)] == [f"{APP}-other"]
    assert bench.reasons(event) == ["FunctionPaused"]
    assert told(bench, FunctionResumed(FN)) is Verdict.APPLIED
    assert told(bench, FunctionResumed(FN)) is Verdict.ALREADY
    assert len(bench.runs_of(event)) == 1
    assert len(bench.runs_of(bench.send("go"))) == 2


@pytest.mark.parametrize("limited", [False, True])
def test_U2_a_frozen_run_keeps_what_it_has_and_goes_on_where_it_stood(
    bench: FlowBench, limited: bool
) -> None:
    bench.register(controlled(concurrency=(Concurrency(1),) if limited else ()))
    for _ in range(3):
        bench.send("go")
    jobs = bench.claim()
    bench.submit(FunctionPaused(FN))
    for job in jobs:
        bench.reply(job, progressed(step_run("a")))
    assert bench.claim() == []
    assert bench.memos(jobs[0].run.id) == {"a": {"data": None}}
    bench.restart()
    bench.pass_time(MINUTE)
    assert bench.claim() == []
    bench.submit(FunctionResumed(FN))
    order: list[str] = []
    while again := bench.claim():
        for job in again:
            order.append(job.run.id)
            bench.finish(job)
    assert set(order) == {run.id for run in bench.runs()}
    assert all(run.status is RunStatus.COMPLETED for run in bench.runs())


def test_U3_after_a_week_frozen_runs_are_cancelled(bench: FlowBench) -> None:
    bench.register(controlled(), function("other", event="x"))
    for _ in range(250):
        bench.send("go")
    other = bench.send("x")
    bench.submit(FunctionPaused(FN))
    for _ in range(4):
        for job in bench.claim():
            bench.finish(job)
    bench.at(7 * DAY - 1)
    bench.claim()
    assert all(not run.ended for run in bench.runs() if run.function == FN)
    bench.at(7 * DAY)
    for _ in range(4):
        bench.claim(capacity=0)
    assert {run.status for run in bench.runs() if run.function == FN} == {RunStatus.CANCELLED}
    assert bench.runs_of(other)[0].status is RunStatus.COMPLETED
    assert bench.reasons(bench.send("go")) == ["FunctionPaused"]


def test_runs_may_be_cancelled_at_once(bench: FlowBench) -> None:
    bench.register(controlled())
    for _ in range(3):
        bench.send("go")
    bench.submit(FunctionPaused(FN, "cancel"))
    bench.claim(capacity=0)
    assert {run.status for run in bench.runs()} == {RunStatus.CANCELLED}


def test_going_on_in_time_keeps_the_runs(bench: FlowBench) -> None:
    bench.register(controlled())
    bench.send("go")
    bench.submit(FunctionPaused(FN))
    bench.at(6 * DAY)
    bench.submit(FunctionResumed(FN))
    bench.at(8 * DAY)
    bench.finish(bench.job())


def test_U4_of_two_words_the_later_counts_whichever_comes_first(bench: FlowBench) -> None:
    bench.register(controlled())
    for given in (
        FunctionPaused(FN, at_ms=1_000),
        FunctionPaused(FN, at_ms=3_000),
        FunctionResumed(FN, at_ms=2_000),
    ):
        bench.submit(given)
    assert bench.reasons(bench.send("go")) == ["FunctionPaused"]
    bench.submit(FunctionResumed(FN, at_ms=5_000))
    bench.submit(FunctionPaused(FN, at_ms=4_000))
    assert bench.started(bench.send("go")) == [True]


def test_U5_frozen_runs_take_no_slot_and_are_not_looked_at(bench: FlowBench) -> None:
    shared = (Concurrency(1, "'all'", "env"),)
    bench.register(controlled(concurrency=shared), controlled("other", "x", concurrency=shared))
    for _ in range(5):
        bench.send("go")
    bench.submit(FunctionPaused(FN))
    assert bench.claim() == []
    bench.send("x")
    assert len(bench.claim()) == 1
    bench.claim()
    assert bench.records == []


def test_a_sleep_that_ends_meanwhile_goes_on_later(bench: FlowBench) -> None:
    bench.register(controlled())
    bench.send("go")
    bench.reply(bench.job(), progressed(Sleep(id=step_hash("n"), name="n", until="10s")))
    bench.submit(FunctionPaused(FN))
    bench.at(20 * SECOND)
    bench.claim()
    assert bench.claim() == []
    bench.submit(FunctionResumed(FN))
    bench.finish(bench.job())


def test_D7_what_was_held_when_it_paused_is_skipped_when_it_fires(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("2s")))
    event = bench.send("go")
    bench.submit(FunctionPaused(FN))
    bench.tick_to(3_000)
    assert bench.reasons(event) == ["FunctionPaused"]
    assert bench.open_holds() == []


def test_U7_schedules_skip_and_go_on_without_catching_up(bench: FlowBench) -> None:
    row = function("tick", triggers=(Trigger(cron="* * * * *"),))
    bench.register(row)
    bench.submit(FunctionPaused(f"{APP}-tick"))
    bench.tick_to(5 * MINUTE, MINUTE)
    assert bench.runs() == []
    assert len(bench.reader.dropped_of(f"{APP}-tick", 0, 99)) >= 4
    bench.submit(FunctionResumed(f"{APP}-tick"))
    bench.tick_to(6 * MINUTE, MINUTE)
    assert len(bench.runs()) == 1


def test_an_invocation_of_a_paused_function_is_told(bench: FlowBench) -> None:
    bench.register(function("parent", event="begin"), controlled())
    bench.submit(FunctionPaused(FN))
    event = bench.send("begin")
    invoke = InvokeFunction(id=step_hash("c"), name="c", function_id=FN)
    bench.reply(bench.job(), progressed(invoke))
    (run,) = bench.runs_of(event)
    assert "it is paused" in str(bench.memos(run.id)["c"])


def test_a_function_nobody_knows(bench: FlowBench) -> None:
    assert told(bench, FunctionPaused("nobody")) is Verdict.GONE


def test_a_deployment_does_not_end_a_pause(bench: FlowBench) -> None:
    bench.deploy(controlled())
    bench.submit(FunctionPaused(FN))
    bench.deploy(controlled(retries=1))
    bench.deploy()
    bench.deploy(controlled())
    assert bench.reasons(bench.send("go")) == ["FunctionPaused"]
