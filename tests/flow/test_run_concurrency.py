"""Concurrency of whole runs: a place from the first call to the end, given back exactly once."""

import msgspec
import pytest

from stepwell.server.engine.message.input import CancelAsked, Done, RerunAsked, Verdict
from stepwell.server.engine.row.run import RunStatus
from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Concurrency, Priority, Singleton
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction, Sleep, StepError, WaitForEvent
from tests.bench import APP, broke, given_, progressed, returned, step_run
from tests.flow.flow_bench import SECOND, FlowBench, controlled

FN = f"{APP}-work"
ONE = (Concurrency(1),)


def test_F1_the_place_is_held_through_sleeps_waits_and_retries(bench: FlowBench) -> None:
    bench.register(controlled(run_concurrency=ONE))
    bench.send("go")
    bench.send("go")
    failure = Failure(name="E", message="m")
    for operation in (
        Sleep(id=step_hash("nap"), name="nap", until="10s"),
        WaitForEvent(id=step_hash("w"), name="w", event="x", timeout="10s"),
        StepError(id=step_hash("s"), name="s", failure=failure),
    ):
        (job,) = bench.claim()
        bench.reply(job, progressed(operation))
        bench.pass_time(5 * SECOND)
        assert bench.claim() == []
        bench.restart()
        assert bench.claim() == []
        bench.pass_time(60 * SECOND)
        bench.claim(capacity=0)
    bench.finish(bench.job())
    assert len(bench.claim()) == 1


@pytest.mark.parametrize("end", ["complete", "fail", "cancel", "no function"])
def test_F2_every_end_gives_it_back(bench: FlowBench, end: str) -> None:
    bench.deploy(controlled(run_concurrency=ONE, retries=0))
    bench.send("go")
    bench.send("go")
    (job,) = bench.claim()
    if end == "cancel":
        bench.submit(CancelAsked(job.run.id))
    elif end == "no function":
        bench.deploy()
        bench.finish(job)
        bench.deploy(controlled(run_concurrency=ONE))
    else:
        bench.reply(job, broke() if end == "fail" else returned())
    assert bench.run(job.run.id).ended
    (other,) = bench.claim()
    assert other.run.id != job.run.id
    assert bench.claim() == []


def test_a_run_that_waits_for_its_place_may_be_cancelled(bench: FlowBench) -> None:
    bench.register(controlled(run_concurrency=ONE))
    events = [bench.send("go") for _ in range(3)]
    (job,) = bench.claim()
    (waiting,) = bench.runs_of(events[1])
    bench.submit(CancelAsked(waiting.id))
    assert bench.claim() == []
    bench.finish(job)
    (last,) = bench.claim()
    assert last.run.event_ids == (events[2],)


def test_F3_ending_twice_gives_it_back_once(bench: FlowBench) -> None:
    bench.register(controlled(run_concurrency=(Concurrency(2),)))
    for _ in range(5):
        bench.send("go")
    one, two = bench.claim()
    bench.finish(one)
    assert bench.reply(one, returned()).verdict is Verdict.ALREADY
    answer = bench.submit(CancelAsked(one.run.id))
    assert isinstance(answer, Done)
    assert answer.verdict is Verdict.ALREADY
    assert len(bench.claim()) == 1
    assert bench.claim() == []
    bench.finish(two)
    assert len(bench.claim()) == 1


def test_F5_it_is_free_after_a_crash_if_the_end_was_committed(bench: FlowBench) -> None:
    bench.register(controlled(run_concurrency=ONE))
    bench.send("go")
    bench.send("go")
    bench.reply(bench.job(), progressed(step_run("a")))
    bench.restart()
    (job,) = bench.claim()
    bench.finish(job)
    bench.restart()
    (other,) = bench.claim()
    assert other.run.id != job.run.id


def test_F6_a_rerun_takes_a_place_of_its_own(bench: FlowBench) -> None:
    bench.register(controlled(run_concurrency=ONE))
    bench.send("go")
    (job,) = bench.claim()
    answer = bench.submit(RerunAsked(job.run.id))
    assert isinstance(answer, Done)
    assert bench.claim() == []
    bench.finish(job)
    (again,) = bench.claim()
    assert again.run.id == answer.subject


def test_each_key_has_places_of_its_own(bench: FlowBench) -> None:
    entries = (Concurrency(1, "event.data.user"),)
    bench.register(controlled(run_concurrency=entries, concurrency=(Concurrency(3),)))
    for number in range(8):
        bench.send("go", {"user": number % 4})
    first = bench.claim()
    assert len(first) == 3
    for job in first:
        nap = Sleep(id=step_hash("nap"), name="nap", until="1h")
        bench.reply(job, progressed(nap))
    (fourth,) = bench.claim()
    bench.finish(fourth)
    (fifth,) = bench.claim()
    assert fifth.run.id != fourth.run.id
    assert bench.claim() == []


def test_with_a_singleton_and_a_priority(bench: FlowBench) -> None:
    bench.register(
        controlled(
            run_concurrency=ONE,
            singleton=Singleton("skip", "event.data.user"),
            priority=Priority("event.data.user == 'c' ? 100 : 0"),
        )
    )
    for user in "aabbc":
        bench.send("go", {"user": user})
    assert len(bench.runs()) == 3
    users: list[str] = []
    while jobs := bench.claim():
        (job,) = jobs
        body = bench.reader.event(job.run.event_ids[0])
        assert body is not None
        users.append(given_.msgspec.json.decode(body.body)["data"]["user"])
        bench.finish(job)
    assert users == ["c", "a", "b"]
    assert all(run.status is RunStatus.COMPLETED for run in bench.runs())


def test_F4_who_invokes_under_a_place_of_its_own_is_told_instead_of_waiting_for_ever(
    bench: FlowBench,
) -> None:
    bench.register(controlled(run_concurrency=ONE))
    bench.send("go")
    (job,) = bench.claim()
    invoke = InvokeFunction(id=step_hash("c"), name="c", function_id=FN)
    bench.reply(job, progressed(invoke))
    memo = bench.memos(job.run.id)["c"]
    assert isinstance(memo, dict)
    assert "would wait for itself" in memo["error"]["message"]
    bench.finish(bench.job())
    assert len(bench.runs()) == 1


def test_a_chain_of_invocations_may_be_long(bench: FlowBench) -> None:
    bench.register(controlled(run_concurrency=(Concurrency(1, "event.data.n"),)))
    bench.send("go", {"n": 0})
    for number in range(1, 41):
        (job,) = bench.claim()
        data = msgspec.Raw(b'{"n":%d}' % number)
        invoke = InvokeFunction(id=step_hash("c"), name="c", function_id=FN, data=data)
        bench.reply(job, progressed(invoke))
    assert len(bench.runs()) == 41
