"""A bounded backlog: so many runs wait for their first call, and what is too much is skipped, or
takes the place of the oldest."""

import pytest

from stepwell.server.engine.message.input import CancelAsked, Done, RerunAsked, Verdict
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.query.not_started import not_started
from stepwell.wire.function_config import Backlog, Batch, Concurrency, Debounce, Singleton
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction
from tests.bench import APP, function, progressed, step_run
from tests.flow.flow_bench import FlowBench, controlled

FN = f"{APP}-work"
ONE_AT_A_TIME = (Concurrency(1),)


def test_what_is_too_much_is_skipped_and_says_so(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(2, "event.data.user"), concurrency=ONE_AT_A_TIME))
    events = [bench.send("go", {"user": "amy"}) for _ in range(3)]
    other = bench.send("go", {"user": "bob"})
    assert bench.started(*events, other) == [True, True, False, True]
    assert bench.reasons(events[2]) == ["FunctionBacklogSizeLimitHit"]
    (told,) = not_started(bench.drops(events[2]), ())
    assert told.detail.startswith('the backlog of "amy" was full when it came')
    assert bench.all_accounted(FN, *events, other)


def test_a_run_that_is_called_makes_room(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(2), concurrency=ONE_AT_A_TIME))
    bench.send("go")
    job = bench.job()
    bench.restart()
    assert bench.started(*(bench.send("go") for _ in range(3))) == [True, True, False]
    bench.reply(job, progressed(step_run("a")))
    while not (later := bench.claim()) or later[0].run.id == job.run.id:
        bench.reply(later[0], progressed(step_run("b")))
    assert bench.started(*(bench.send("go") for _ in range(2))) == [True, False]


def test_a_call_that_is_lost_takes_no_place_again(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(1)))
    bench.send("go")
    bench.job()
    bench.restart()
    assert bench.started(bench.send("go"), bench.send("go")) == [True, False]
    assert len(bench.claim()) == 2


def test_the_oldest_makes_room_and_its_timeline_says_so(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(2, on_full="cancel"), concurrency=ONE_AT_A_TIME))
    events = [bench.send("go") for _ in range(5)]
    runs = [bench.runs_of(event)[0] for event in events]
    assert [run.status for run in runs] == [RunStatus.CANCELLED] * 3 + [RunStatus.SCHEDULED] * 2
    (note,) = bench.reader.notes(runs[0].id)
    assert note.name == "it was cancelled: a newer run took its place in the backlog"
    bench.finish(bench.job())
    bench.finish(bench.job())
    assert bench.claim() == []


def test_a_run_under_way_is_never_cancelled_for_it(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(1, on_full="cancel"), concurrency=ONE_AT_A_TIME))
    bench.send("go")
    job = bench.job()
    for _ in range(3):
        bench.send("go")
    assert not bench.run(job.run.id).ended
    assert sum(run.status is RunStatus.CANCELLED for run in bench.runs()) == 2


@pytest.mark.parametrize("end", ["cancelled", "called"])
def test_every_end_of_waiting_makes_room(bench: FlowBench, end: str) -> None:
    bench.register(controlled(backlog=Backlog(1), concurrency=ONE_AT_A_TIME))
    first = bench.send("go")
    (run,) = bench.runs_of(first)
    if end == "cancelled":
        bench.submit(CancelAsked(run.id))
    else:
        bench.finish(bench.job())
    assert bench.started(bench.send("go"), bench.send("go")) == [True, False]
    key = bench.runs_of(first)[0].backlog
    assert len(bench.reader.slots(key)) == 1


def test_a_lowered_limit_counts_at_once(bench: FlowBench) -> None:
    bench.deploy(controlled(backlog=Backlog(5), concurrency=ONE_AT_A_TIME))
    for _ in range(5):
        bench.send("go")
    bench.deploy(controlled(backlog=Backlog(2), concurrency=ONE_AT_A_TIME))
    assert bench.started(bench.send("go")) == [False]
    bench.deploy(controlled(backlog=Backlog(2, on_full="cancel"), concurrency=ONE_AT_A_TIME))
    assert bench.started(bench.send("go")) == [True]
    assert sum(not run.ended for run in bench.runs()) == 2


def test_a_backlog_that_is_gone_leaves_no_place(bench: FlowBench) -> None:
    bench.deploy(controlled(backlog=Backlog(5)))
    event = bench.send("go")
    bench.deploy(controlled())
    bench.finish(bench.job())
    assert bench.reader.slots(bench.runs_of(event)[0].backlog) == []


def test_nobody_ends_for_a_run_that_is_skipped(bench: FlowBench) -> None:
    """The singleton would cancel the run under way; the backlog has no room for the new one."""
    singleton = Singleton("cancel", "event.data.user")
    bench.register(controlled(backlog=Backlog(1), singleton=singleton))
    bench.send("go", {"user": "amy"})
    job = bench.job()
    bench.send("go", {"user": "bob"})
    skipped = bench.send("go", {"user": "amy"})
    assert bench.reasons(skipped) == ["FunctionBacklogSizeLimitHit"]
    assert not bench.run(job.run.id).ended


def test_whoever_a_singleton_cancels_makes_room(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(1), singleton=Singleton("cancel")))
    first, second = bench.send("go"), bench.send("go")
    assert bench.runs_of(first)[0].status is RunStatus.CANCELLED
    assert bench.runs_of(second)[0].status is RunStatus.SCHEDULED


def test_what_was_held_meets_it_when_it_starts(bench: FlowBench) -> None:
    debounce = Debounce("1s", "event.data.user")
    bench.register(controlled(backlog=Backlog(1), debounce=debounce))
    events = [bench.send("go", {"user": user}) for user in ("amy", "bob")]
    bench.tick_to(2_000)
    assert sorted(bench.started(*events)) == [False, True]


def test_a_batch_counts_once(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(1), batch=Batch(2, "10s")))
    events = [bench.send("go") for _ in range(4)]
    assert bench.started(*events) == [True, True, False, False]
    assert bench.reasons(events[3]) == ["FunctionBacklogSizeLimitHit"]


def test_a_step_that_invokes_is_told_at_once(bench: FlowBench) -> None:
    bench.register(function("parent", event="begin"), controlled(backlog=Backlog(1)))
    bench.send("go")
    event = bench.send("begin")
    job = next(job for job in bench.claim() if job.run.function == f"{APP}-parent")
    bench.send("go")
    bench.reply(job, progressed(InvokeFunction(id=step_hash("c"), name="c", function_id=FN)))
    (run,) = bench.runs_of(event)
    assert "its backlog is full" in str(bench.memos(run.id)["c"])


def test_running_again_meets_it_too(bench: FlowBench) -> None:
    bench.register(controlled(backlog=Backlog(1)))
    bench.send("go")
    job = bench.job()
    bench.finish(job)
    bench.send("go")
    answer = bench.submit(RerunAsked(job.run.id))
    assert isinstance(answer, Done)
    assert answer.verdict is Verdict.REFUSED
    assert "its backlog is full" in answer.reason
