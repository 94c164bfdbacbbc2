"""A run holds so many steps and so many bytes, and no more (server.md 3.9)."""

import json

import msgspec
import pytest

from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.engine.message.input import Done, StepsCheckpointed, Verdict
from stepwell.server.engine.row.run import MAIN, Run, RunStatus
from stepwell.server.engine.rules import DEFAULT, Rules
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import (
    LegacyStep,
    Operation,
    RunComplete,
    Sleep,
    StepError,
    WaitForEvent,
)
from tests.bench import Bench, broke, function, planned, progressed, returned, step_run


def checkpoint(bench: Bench, *operations: Operation) -> Done:
    job = bench.job()
    answer = bench.submit(StepsCheckpointed(job.lease.id, job.run.id, MAIN, operations))
    assert isinstance(answer, Done)
    return answer


def failed_as(run: Run, name: str) -> str:
    assert run.status is RunStatus.FAILED
    output = json.loads(run.output or b"")
    assert output["name"] == name
    return str(output["message"])


def test_the_numbers_are_those_of_the_protocol() -> None:
    mib = 1024 * 1024
    limits = (DEFAULT.steps_max, DEFAULT.step_bytes_max, DEFAULT.state_bytes_max)
    assert limits == (1_000, 4 * mib, 32 * mib)


def test_a_run_may_have_as_many_steps_as_the_limit_and_not_one_more() -> None:
    bench = Bench(rules=Rules(steps_max=3))
    bench.begin()
    for number in range(3):
        assert bench.answer(progressed(step_run(str(number)))).status is RunStatus.RUNNING
    ended = bench.answer(progressed(step_run("one more")))
    told = failed_as(ended, "InngestErrFunctionOverflowed")
    assert told.startswith("The function run exceeded the step limit of 3 steps.")
    assert len(bench.steps(ended.id)) == 3
    assert bench.claim() == []


def test_a_run_of_as_many_steps_as_the_limit_completes() -> None:
    bench = Bench(rules=Rules(steps_max=2))
    bench.begin()
    bench.answer(progressed(step_run("a")))
    bench.answer(progressed(step_run("b")))
    assert bench.answer(progressed(RunComplete(id="end"))).status is RunStatus.COMPLETED


def test_the_same_step_again_is_no_further_step() -> None:
    bench = Bench(rules=Rules(steps_max=1))
    bench.begin()
    bench.answer(progressed(step_run("a")))
    assert bench.answer(progressed(step_run("a"))).status is RunStatus.RUNNING


@pytest.mark.parametrize(
    "operation",
    [
        planned("b"),
        Sleep(id=step_hash("b"), until="1h"),
        WaitForEvent(id=step_hash("b"), event="x", timeout="1h"),
        StepError(id=step_hash("b"), failure=broke().failure),
    ],
    ids=lambda operation: operation.op,
)
def test_every_kind_of_step_counts(operation: Operation) -> None:
    bench = Bench(rules=Rules(steps_max=1))
    bench.begin()
    bench.answer(progressed(step_run("a")))
    failed_as(bench.answer(progressed(operation)), "InngestErrFunctionOverflowed")


def test_what_is_on_the_way_counts_when_it_comes() -> None:
    """Two batches of plans, each within the limit, together beyond it."""
    bench = Bench(rules=Rules(steps_max=3))
    run = bench.begin()
    bench.answer(progressed(planned("a", "race"), planned("b", "race")))
    jobs = {job.item.key: job for job in bench.claim()}
    bench.reply(jobs[step_hash("a")], progressed(step_run("a", mode="race")))
    bench.answer(progressed(planned("c", "race"), planned("d", "race")))
    more = {job.item.key: job for job in bench.claim()}
    bench.reply(more[step_hash("c")], progressed(step_run("c", mode="race")))
    bench.reply(jobs[step_hash("b")], progressed(step_run("b", mode="race")))
    assert bench.status(run.id) is RunStatus.RUNNING
    bench.reply(more[step_hash("d")], progressed(step_run("d", mode="race")))
    failed_as(bench.run(run.id), "InngestErrFunctionOverflowed")


def test_checkpoints_are_counted_and_whoever_goes_on_is_stopped() -> None:
    bench = Bench(rules=Rules(steps_max=2))
    run = bench.begin()
    done = checkpoint(bench, *(step_run(str(number)) for number in range(3)))
    assert done.verdict is Verdict.REFUSED
    assert "step limit of 2" in done.reason
    failed_as(bench.run(run.id), "InngestErrFunctionOverflowed")
    assert Announce(Topic.RUN_CANCELLED, run.id) in bench.actions


def test_an_overflow_is_told_to_the_failure_handler() -> None:
    bench = Bench(rules=Rules(steps_max=1))
    handler = function("rescue", event="inngest/function.failed")
    bench.begin(function(event="go"), handler)
    bench.answer(progressed(planned("a"), planned("b")))
    (told,) = bench.emitted("inngest/function.failed")
    error = told["error"]
    assert isinstance(error, dict)
    assert error["name"] == "InngestErrFunctionOverflowed"


# -- bytes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["StepRun", "Step"])
def test_a_result_too_large_is_a_failed_step_the_function_may_catch(kind: str) -> None:
    bench = Bench(rules=Rules(step_bytes_max=100))
    run = bench.begin()
    fits, large = msgspec.Raw(b'"%s"' % (b"x" * 98)), msgspec.Raw(b'"%s"' % (b"x" * 99))
    bench.answer(progressed(msgspec.structs.replace(step_run("fits"), data=fits)))
    result: Operation = msgspec.structs.replace(step_run("large"), data=large)
    if kind == "Step":
        result = LegacyStep(id=step_hash("large"), name="large", data=large)
    assert bench.answer(progressed(result)).status is RunStatus.RUNNING
    memos = bench.memos(run.id)
    assert memos["fits"] == {"data": "x" * 98}
    error = memos["large"]["error"]  # type: ignore[index]
    assert error["name"] == "output_too_large"
    for part in ("step output size is greater than the limit", '"large"', "101", "100"):
        assert part in error["message"]
    # It is not run again: the work is done, and would come out as large.
    assert bench.answer(returned("caught")).output == b'"caught"'


def test_a_parallel_result_too_large_counts_as_the_steps_end() -> None:
    bench = Bench(rules=Rules(step_bytes_max=10))
    run = bench.begin()
    bench.answer(progressed(planned("a"), planned("b")))
    for job in bench.claim():
        name = "a" if job.item.key == step_hash("a") else "b"
        bench.reply(job, progressed(step_run(name, "x" * (100 if name == "a" else 1))))
    assert "error" in str(bench.memos(run.id)["a"])
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_checkpoint_of_a_result_too_large_is_refused_and_the_run_goes_on() -> None:
    bench = Bench(rules=Rules(step_bytes_max=10))
    run = bench.begin()
    done = checkpoint(bench, step_run("a"), step_run("b", "x" * 20))
    assert done.verdict is Verdict.REFUSED
    assert '"b" returned 22 bytes, at most 10' in done.reason
    assert bench.memos(run.id) == {}
    assert not bench.run(run.id).ended


def test_the_state_of_a_run_is_bounded_events_and_results_together() -> None:
    bench = Bench(rules=Rules(state_bytes_max=1_000))
    run = bench.begin(data={"text": "e" * 300})
    for name in ("a", "b"):
        assert bench.answer(progressed(step_run(name, "x" * 200))).status is RunStatus.RUNNING
    told = failed_as(
        bench.answer(progressed(step_run("c", "x" * 200))), "InngestErrStateOverflowed"
    )
    assert told.startswith("The function run exceeded the state size limit of 1000 bytes.")
    assert list(bench.memos(run.id)) == ["a", "b"]


def test_the_event_of_a_run_need_not_be_weighed_while_there_is_room() -> None:
    bench = Bench()
    run = bench.begin()
    bench.store.disk.events.clear()
    assert bench.answer(progressed(step_run("a", 1))).status is RunStatus.RUNNING
    assert bench.memos(run.id) == {"a": {"data": 1}}
