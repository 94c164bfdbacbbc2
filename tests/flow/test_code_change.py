"""Code changes while runs are under way: each policy, over the memory store and SQLite."""

import msgspec
import pytest

from stepwell.server.engine.message.input import (
    Done,
    Job,
    LeaseLost,
    LeftUnserved,
    RunResumed,
    Verdict,
)
from stepwell.server.engine.name.held import held_place
from stepwell.server.engine.row.run import FunctionRow, Run, RunStatus
from stepwell.server.query.offline import explanation_in, timeline_in, waiting_in
from stepwell.server.query.rest import Hindrance
from stepwell.wire.event import FUNCTION_CANCELLED, FUNCTION_FINISHED
from stepwell.wire.function_config import Code, Concurrency, Singleton
from stepwell.wire.identifier import step_hash
from stepwell.wire.named_limit import StepLimit
from stepwell.wire.operation import InvokeFunction, Sleep, WaitForEvent
from tests.bench import APP, broke, function, planned, progressed, returned, step_run
from tests.flow.flow_bench import MINUTE, SECOND, FlowBench, controlled

FN = f"{APP}-work"
OLD, NEW = "old code", "new code"
PINNED = held_place(APP, "pin", FN, OLD)


def work(code: str, policy: str = "", **options: object) -> FunctionRow:
    return controlled(code=Code(code, policy), **options)


def asleep(bench: FlowBench, policy: str, **options: object) -> Run:
    """A run that began under the old code, has saved a step, and sleeps for a minute."""
    bench.deploy(work(OLD, policy, **options))
    bench.send("go", {"user": "amy"})
    job = one(bench)
    bench.reply(job, progressed(step_run("charge", 7)))
    bench.reply(one(bench), progressed(sleep()))
    return bench.run(job.run.id)


def claim(bench: FlowBench, queue: str = APP) -> list[Job]:
    """What is called, once the engine has done what is its own."""
    return [job for _ in range(4) for job in bench.claim(queue=queue)]


def one(bench: FlowBench, queue: str = APP) -> Job:
    (job,) = claim(bench, queue)
    return job


def sleep() -> Sleep:
    return Sleep(id=step_hash("nap"), name="1m", display_name="nap")


def resumed(bench: FlowBench, run_id: str) -> Verdict:
    answer = bench.submit(RunResumed(run_id))
    assert isinstance(answer, Done)
    return answer.verdict


def why(bench: FlowBench, run: Run) -> str:
    told = explanation_in(bench.reader, run.id, bench.now_ms)
    assert told is not None
    return told.text


@pytest.mark.parametrize("policy", ["", "continue"])
def test_a_run_goes_on_by_the_new_code_and_knows_the_old_one(bench: FlowBench, policy: str) -> None:
    run = asleep(bench, policy)
    bench.deploy(work(NEW, policy))
    bench.restart()
    bench.pass_time(MINUTE)
    job = one(bench)
    assert (job.run.id, job.run.code) == (run.id, OLD)
    bench.finish(job)
    assert bench.run(run.id).code == OLD


def test_a_run_that_was_never_called_begins_under_the_code_of_its_first_call(
    bench: FlowBench,
) -> None:
    bench.deploy(work(OLD, "pause"))
    bench.send("go")
    bench.deploy(work(NEW, "pause"))
    bench.restart()
    job = one(bench)
    assert job.run.code == NEW
    bench.restart()
    assert bench.run(job.run.id).code == NEW


@pytest.mark.parametrize(("old", "new"), [("", NEW), (OLD, ""), ("", "")])
def test_where_nobody_says_which_code_it_is_runs_go_on(
    bench: FlowBench, old: str, new: str
) -> None:
    bench.deploy(work(old, "pause"))
    bench.send("go")
    bench.reply(one(bench), progressed(step_run("charge")))
    bench.deploy(work(new, "pause"))
    assert claim(bench)


LIMITED = {"concurrency": (Concurrency(1, "event.data.user"),)}


@pytest.mark.parametrize("options", [{}, LIMITED])
@pytest.mark.parametrize("policy", ["pause", "pin"])
def test_a_run_waits_until_its_code_is_back(
    bench: FlowBench, policy: str, options: dict[str, object]
) -> None:
    run = asleep(bench, policy, **options)
    bench.deploy(work(NEW, policy, **options))
    bench.pass_time(MINUTE)
    assert claim(bench) == []
    bench.restart()
    bench.pass_time(MINUTE)
    assert claim(bench) == []
    (found,) = waiting_in(bench.reader)
    assert (found.function, found.reason, found.runs) == (FN, Hindrance.CODE_CHANGED, 1)
    assert found.text in why(bench, run)
    assert OLD in found.text and NEW in found.text and f"stepwell resume {run.id}" in found.text
    told = timeline_in(bench.reader, run.id, bench.now_ms)
    assert told is not None and (told.code.began, told.code.now) == (OLD, NEW)  # type: ignore[union-attr]
    bench.deploy(work(OLD, policy, **options))
    job = one(bench)
    assert job.run.id == run.id
    bench.finish(job)
    assert bench.status(run.id) is RunStatus.COMPLETED
    assert waiting_in(bench.reader) == []


@pytest.mark.parametrize("policy", ["pause", "pin"])
def test_others_begin_while_a_run_waits(bench: FlowBench, policy: str) -> None:
    run = asleep(bench, policy)
    bench.deploy(work(NEW, policy))
    bench.send("go")
    bench.pass_time(MINUTE)
    job = one(bench)
    assert job.run.id != run.id
    assert job.run.code == NEW
    bench.reply(job, progressed(step_run("charge")))
    assert one(bench).run.id == job.run.id


@pytest.mark.parametrize("options", [{}, LIMITED])
@pytest.mark.parametrize("policy", ["pause", "pin"])
def test_a_person_lets_a_run_go_on_under_the_new_code(
    bench: FlowBench, policy: str, options: dict[str, object]
) -> None:
    run = asleep(bench, policy, **options)
    assert resumed(bench, run.id) is Verdict.ALREADY
    bench.deploy(work(NEW, policy, **options))
    bench.pass_time(MINUTE)
    assert claim(bench) == []
    assert resumed(bench, run.id) is Verdict.APPLIED
    job = one(bench)
    assert (job.run.id, job.run.code) == (run.id, NEW)
    assert bench.memos(run.id)["charge"] == {"data": 7}
    bench.finish(job)
    assert resumed(bench, run.id) is Verdict.REFUSED
    assert resumed(bench, "01JQDAE4RQ0000000000000001") is Verdict.GONE


def test_a_person_may_say_so_before_the_run_wakes(bench: FlowBench) -> None:
    run = asleep(bench, "pause")
    bench.deploy(work(NEW, "pause"))
    assert resumed(bench, run.id) is Verdict.APPLIED
    bench.pass_time(MINUTE)
    assert one(bench).run.code == NEW


@pytest.mark.parametrize("policy", ["pause", "pin"])
@pytest.mark.parametrize("later", ["", "restart"])
def test_what_waits_follows_the_policy_of_today(bench: FlowBench, policy: str, later: str) -> None:
    run = asleep(bench, policy)
    bench.deploy(work(NEW, policy))
    bench.pass_time(MINUTE)
    assert claim(bench) == []
    bench.deploy(work(NEW, later))
    job = one(bench)
    assert (job.run.id == run.id) == (later == "")
    assert job.run.code == (OLD if later == "" else NEW)


def test_a_function_that_is_gone_holds_nothing(bench: FlowBench) -> None:
    run = asleep(bench, "pause")
    bench.deploy(work(NEW, "pause"))
    bench.pass_time(MINUTE)
    assert claim(bench) == []
    bench.deploy(function("other"))
    assert claim(bench) == []
    bench.deploy(work(NEW))
    bench.pass_time(MINUTE)
    assert one(bench).run.id == run.id


@pytest.mark.parametrize("options", [{}, LIMITED])
def test_a_pinned_run_is_called_where_its_code_is(
    bench: FlowBench, options: dict[str, object]
) -> None:
    run = asleep(bench, "pin", **options)
    bench.deploy(work(NEW, "pin", **options))
    bench.pass_time(MINUTE)
    assert claim(bench) == []
    bench.restart()
    assert claim(bench, held_place(APP, "pin", FN, "another")) == []
    (job,) = claim(bench, PINNED)
    assert (job.run.id, job.run.code) == (run.id, OLD)
    assert bool(job.lease.keys) == bool(options)
    bench.reply(job, progressed(step_run("more")))
    # Its next call is looked at anew.
    assert claim(bench) == []
    (job,) = claim(bench, PINNED)
    bench.reply(job, returned(1))
    assert bench.status(run.id) is RunStatus.COMPLETED


def test_a_pinned_run_keeps_its_code_where_it_is_called_again(bench: FlowBench) -> None:
    asleep(bench, "pin")
    bench.deploy(work(NEW, "pin"))
    bench.pass_time(MINUTE)
    claim(bench)
    (job,) = claim(bench, PINNED)
    bench.restart()
    assert claim(bench) == []
    (again,) = claim(bench, PINNED)
    assert again.run == job.run


def test_a_step_that_waited_stands_under_its_limits_again(bench: FlowBench) -> None:
    bench.deploy(work(OLD, "pause"))
    bench.send("go")
    limited = msgspec.structs.replace(planned("ask"), limits=(StepLimit("gpu", concurrency=2),))
    bench.reply(one(bench), progressed(limited))
    bench.deploy(work(NEW, "pause"))
    assert claim(bench) == []
    bench.deploy(work(OLD, "pause"))
    assert one(bench).lease.keys


@pytest.mark.parametrize("options", [{}, LIMITED])
@pytest.mark.parametrize("comes_back", ["lost", "failed", "stopped"])
@pytest.mark.parametrize("let_go", ["resume", "continue"])
def test_a_call_comes_back_where_its_run_is_called_now(
    bench: FlowBench, let_go: str, comes_back: str, options: dict[str, object]
) -> None:
    run = asleep(bench, "pin", **options)
    bench.deploy(work(NEW, "pin", **options))
    bench.pass_time(MINUTE)
    claim(bench)
    (job,) = claim(bench, PINNED)
    if let_go == "resume":
        assert resumed(bench, run.id) is Verdict.APPLIED
    else:
        bench.deploy(work(NEW, **options))
    assert claim(bench) == []
    assert bench.holds(job)
    if comes_back == "lost":
        bench.submit(LeaseLost(job.lease.id, run.id, job.lease.key))
    elif comes_back == "failed":
        bench.reply(job, broke())
    else:
        bench.restart()
    bench.pass_time(MINUTE)
    assert one(bench).run.id == run.id


# -- restart --------------------------------------------------------------------------------------


def test_a_run_begins_again_as_another_that_knows_no_steps(bench: FlowBench) -> None:
    run = asleep(bench, "restart")
    bench.deploy(work(NEW, "restart"))
    job = one(bench)
    new = job.run
    assert (new.id != run.id, new.code, new.original) == (True, NEW, run.id)
    assert new.event_ids == run.event_ids
    assert bench.memos(new.id) == {}
    assert bench.status(run.id) is RunStatus.CANCELLED
    (note,) = bench.reader.notes(run.id)
    assert note.kind == "restarted"
    assert f"from {OLD} to {NEW}: it began again as run {new.id}" in note.name
    bench.restart()
    bench.pass_time(MINUTE)
    (again,) = claim(bench)
    assert again.run.id == new.id
    bench.finish(again)
    bench.pass_time(MINUTE)
    assert claim(bench) == []
    assert len(bench.runs()) == 2


def test_what_waits_for_an_event_begins_again_at_once(bench: FlowBench) -> None:
    bench.deploy(work(OLD, "restart"))
    bench.send("go")
    wait = WaitForEvent(id=step_hash("w"), event="paid", timeout="1d")
    run = one(bench).run
    bench.restart()
    bench.reply(one(bench), progressed(wait))
    bench.deploy(work(NEW, "restart"))
    new = one(bench).run
    assert new.original == run.id
    assert bench.waits(run.id) == []


def test_a_call_under_way_ends_before_its_run_begins_again(bench: FlowBench) -> None:
    bench.deploy(work(OLD, "restart"))
    bench.send("go")
    job = one(bench)
    bench.reply(job, progressed(step_run("charge")))
    job = one(bench)
    bench.deploy(work(NEW, "restart"))
    assert claim(bench) == []
    assert bench.status(job.run.id) is RunStatus.RUNNING
    bench.reply(job, progressed(step_run("ship")))
    assert one(bench).run.original == job.run.id


def test_a_run_with_steps_under_way_waits_for_them(bench: FlowBench) -> None:
    bench.deploy(work(OLD, "restart"))
    bench.send("go")
    run = one(bench).run
    bench.restart()
    bench.reply(one(bench), progressed(planned("a"), planned("b")))
    first, second = claim(bench)
    bench.deploy(work(NEW, "restart"))
    claim(bench)
    bench.reply(first, progressed(step_run("a")))
    bench.pass_time(SECOND)
    assert claim(bench) == []
    bench.reply(second, progressed(step_run("b")))
    bench.pass_time(SECOND)
    assert one(bench).run.original == run.id


@pytest.mark.parametrize("options", [{}, LIMITED])
def test_many_runs_begin_again_in_one_claim(bench: FlowBench, options: dict[str, object]) -> None:
    bench.deploy(work(OLD, "restart", **options))
    sent = [bench.send("go", {"user": str(number)}) for number in range(40)]
    for job in claim(bench):
        bench.reply(job, progressed(step_run("charge")))
    under_way = claim(bench)
    bench.deploy(work(NEW, "restart", **options))
    assert claim(bench) == []
    for job in under_way:
        bench.reply(job, progressed(step_run("ship")))
    assert {job.run.original for job in claim(bench)} == {job.run.id for job in under_way}
    assert len(under_way) == len(sent)


def test_whoever_invoked_it_waits_for_the_new_run(bench: FlowBench) -> None:
    bench.deploy(work(OLD, "restart"), function("parent", event="ask"))
    bench.send("ask")
    call = InvokeFunction(id=step_hash("i"), function_id=FN, display_name="i")
    bench.reply(one(bench), progressed(call))
    child = one(bench)
    bench.reply(child, progressed(step_run("charge")))
    bench.deploy(work(NEW, "restart"), function("parent", event="ask"))
    new = one(bench)
    assert new.run.original == child.run.id
    bench.reply(new, returned("done"))
    parent = one(bench)
    assert bench.memos(parent.run.id) == {"i": {"data": "done"}}


def test_a_singleton_stays_one(bench: FlowBench) -> None:
    only = Singleton("skip", "event.data.user")
    asleep(bench, "restart", singleton=only)
    bench.deploy(work(NEW, "restart", singleton=only))
    new = one(bench).run
    skipped = bench.send("go", {"user": "amy"})
    assert bench.runs_of(skipped) == []
    assert [drop.run_id for drop in bench.drops(skipped)] == [new.id]


def test_the_end_of_the_old_run_is_told(bench: FlowBench) -> None:
    listener = function("listener", event=FUNCTION_CANCELLED)
    run = asleep(bench, "restart")
    bench.deploy(work(NEW, "restart"), listener)
    claim(bench)
    (told,) = bench.emitted(FUNCTION_CANCELLED)
    assert told["run_id"] == run.id
    assert bench.emitted(FUNCTION_FINISHED) == []


def test_many_runs_are_looked_at_some_at_a_time(
    bench: FlowBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell.server.engine.calling.code_change.REVIEWED_MAX", 3)
    bench.deploy(work(OLD, "pause"))
    for _ in range(7):
        bench.send("go")
    for job in claim(bench):
        bench.reply(job, progressed(step_run("charge")))
    bench.deploy(work(NEW, "pause"))
    assert claim(bench) == []
    bench.deploy(work(NEW))
    found = claim(bench)
    assert len({job.run.id for job in found}) == 7


# -- the end of patience --------------------------------------------------------------------------


def left_unserved(bench: FlowBench, run_id: str) -> Done:
    answer = bench.submit(LeftUnserved(run_id, 3 * MINUTE))
    assert isinstance(answer, Done)
    return answer


def test_a_pinned_run_may_wait_too_long(bench: FlowBench) -> None:
    run = asleep(bench, "pin")
    bench.deploy(work(NEW, "pin"))
    assert left_unserved(bench, run.id).verdict is Verdict.REFUSED
    bench.pass_time(MINUTE)
    claim(bench)
    assert left_unserved(bench, run.id).verdict is Verdict.APPLIED
    ended = bench.run(run.id)
    assert ended.status is RunStatus.FAILED
    assert ended.output is not None
    assert f"No app has served the code {OLD} of function {FN} for 3m" in ended.output.decode()


def test_a_paused_run_waits_for_a_person_as_long_as_it_takes(bench: FlowBench) -> None:
    run = asleep(bench, "pause")
    bench.deploy(work(NEW, "pause"))
    bench.pass_time(MINUTE)
    claim(bench)
    assert left_unserved(bench, run.id).verdict is Verdict.REFUSED
