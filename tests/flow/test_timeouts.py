"""Time-outs of whole runs: cancelled at the instant, whatever they wait for."""

import pytest

from stepwell.server.engine.row.run import RunStatus
from stepwell.wire.event import FUNCTION_CANCELLED, FUNCTION_FAILED
from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Batch, Concurrency, Timeouts
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Sleep, StepError, WaitForEvent
from tests.bench import NOW_MS, function, given_, progressed, step_run
from tests.flow.flow_bench import SECOND, FlowBench, controlled

ONE = (Concurrency(1),)
LISTENERS = (
    function("cancelled", event=FUNCTION_CANCELLED),
    function("failed", event=FUNCTION_FAILED),
)


def statuses(bench: FlowBench) -> list[RunStatus]:
    return [run.status for run in bench.runs() if run.function.endswith("-work")]


def test_M1_a_run_that_does_not_begin_in_time_is_cancelled_at_the_instant(
    bench: FlowBench,
) -> None:
    bench.register(controlled(concurrency=ONE, timeouts=Timeouts(start="3s")), *LISTENERS)
    for _ in range(3):
        bench.send("go")
    job = bench.job()
    bench.at(2_999)
    bench.claim(capacity=0)
    assert sorted(statuses(bench)) == [RunStatus.SCHEDULED] * 2 + [RunStatus.RUNNING]
    assert bench.next_due_ms == NOW_MS + 3_000
    bench.at(3_000)
    bench.claim(capacity=0)
    assert sorted(statuses(bench)) == [RunStatus.RUNNING] + [RunStatus.CANCELLED] * 2
    bench.finish(job)
    assert RunStatus.COMPLETED in statuses(bench)
    notes = [n.kind for run in bench.runs() for n in bench.reader.notes(run.id)]
    assert notes == ["deadline", "deadline"]


@pytest.mark.parametrize(
    "operation",
    [
        Sleep(id=step_hash("n"), name="n", until="1h"),
        WaitForEvent(id=step_hash("w"), name="w", event="x", timeout="1h"),
        StepError(id=step_hash("s"), name="s", failure=Failure(name="E", message="m")),
        step_run("a"),
    ],
)
def test_M2_the_finish_counts_sleeps_waits_and_retries(
    bench: FlowBench, operation: given_.Operation
) -> None:
    bench.register(controlled(timeouts=Timeouts(finish="10s")))
    event = bench.send("go")
    bench.at(5 * SECOND)
    bench.reply(bench.job(), progressed(operation))
    bench.at(15 * SECOND - 1)
    bench.claim(capacity=0)
    (run,) = bench.runs_of(event)
    assert not run.ended
    bench.at(15 * SECOND)
    bench.claim(capacity=0)
    assert bench.status(run.id) is RunStatus.CANCELLED
    assert not bench.items(run.id)


def test_M3_it_counts_as_cancelled_and_no_failure_handler_hears_of_it(bench: FlowBench) -> None:
    bench.register(controlled(timeouts=Timeouts(finish="10s")), *LISTENERS)
    bench.send("go")
    bench.job()
    bench.at(10 * SECOND)
    bench.claim(capacity=0)
    assert len(bench.emitted(FUNCTION_CANCELLED)) == 1
    assert bench.emitted(FUNCTION_FAILED) == []


def test_M4_a_node_that_died_meanwhile_cancels_once_when_it_is_back(bench: FlowBench) -> None:
    bench.register(controlled(timeouts=Timeouts(start="5s", finish="10s")), *LISTENERS)
    bench.send("go")
    bench.job()
    bench.restart()
    bench.at(9 * SECOND)
    assert len(bench.claim()) == 1, "it had begun: the time-out of the start is over"
    bench.restart()
    bench.at(20 * SECOND)
    bench.claim(capacity=0)
    bench.claim(capacity=0)
    assert statuses(bench) == [RunStatus.CANCELLED]
    assert len(bench.emitted(FUNCTION_CANCELLED)) == 1


def test_M5_a_new_configuration_is_that_of_what_begins_after_it(bench: FlowBench) -> None:
    bench.deploy(controlled(concurrency=ONE, timeouts=Timeouts(start="5s")))
    for _ in range(2):
        bench.send("go")
    bench.job()
    bench.deploy(controlled(concurrency=ONE, timeouts=Timeouts(start="1h")))
    bench.send("go")
    bench.at(5 * SECOND)
    bench.claim(capacity=0)
    expected = [RunStatus.SCHEDULED, RunStatus.RUNNING, RunStatus.CANCELLED]
    assert sorted(statuses(bench)) == expected


def test_M6_batches_have_no_time_out_of_the_start(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(2, "5s"), timeouts=Timeouts(start="1s")))
    for _ in range(2):
        bench.send("go")
    bench.at(60 * SECOND)
    bench.claim(capacity=0)
    assert statuses(bench) == [RunStatus.SCHEDULED]


def test_an_event_of_the_future_is_not_late(bench: FlowBench) -> None:
    bench.register(controlled(timeouts=Timeouts(start="2s")))
    bench.send("go", ts=NOW_MS + 10 * SECOND)
    bench.at(10 * SECOND)
    assert len(bench.claim()) == 1


def test_a_run_is_asked_again_although_its_deadline_hangs_on_it(bench: FlowBench) -> None:
    """A reply that leads nowhere must not leave the run with nothing but its deadline."""
    bench.register(controlled(timeouts=Timeouts(finish="1h")))
    bench.send("go")
    bench.reply(bench.job(), progressed())
    bench.pass_time(SECOND)
    assert len(bench.claim()) == 1
