"""Singletons: one run at a time for each key, or so many; a lock goes with its run."""

import pytest

from stepwell.server.engine.message.input import CancelAsked, Done, RerunAsked, Verdict
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.engine.state.view import View
from stepwell.server.store.memory import MemoryStore
from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Singleton
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction, Sleep, StepError, WaitForEvent
from tests.bench import APP, broke, function, given_, progressed, returned
from tests.flow.flow_bench import SECOND, FlowBench, controlled

FN = f"{APP}-work"
PER_USER = "event.data.user"
SKIP = Singleton("skip", PER_USER)
CANCEL = Singleton("cancel", PER_USER)


def only(bench: FlowBench, event: str) -> str:
    (run,) = bench.runs_of(event)
    return run.id


def test_S1_the_new_one_is_skipped_and_says_who_is_in_the_way(bench: FlowBench) -> None:
    bench.register(controlled(singleton=SKIP))
    first = bench.send("go", {"user": "a"})
    skipped = bench.send("go", {"user": "a"})
    other = bench.send("go", {"user": "b"})
    assert bench.started(first, skipped, other) == [True, False, True]
    (dropped,) = bench.drops(skipped)
    assert (dropped.reason.value, dropped.run_id) == ("Singleton", only(bench, first))


def test_S2_of_fifty_at_once_exactly_one_goes_on(bench: FlowBench) -> None:
    bench.register(controlled(singleton=CANCEL))
    inputs = [given_.EventsReceived((bench.event("go", {"user": "a"}),)) for _ in range(50)]
    bench.submit_all([*inputs[:20]])
    for one in inputs[20:]:
        bench.submit(one)
    statuses = [run.status for run in bench.runs()]
    assert statuses.count(RunStatus.CANCELLED) == 49
    bench.finish(bench.job())
    assert [run.status for run in bench.runs()].count(RunStatus.COMPLETED) == 1


class LeftMeanwhile(MemoryStore):
    """A store whose rows change between two looks: who was counted is gone when it is asked for."""

    def load(self, need: Need, view: View) -> None:
        for key in need.holders:
            view.flow.see_holders(key, ())
        super().load(need, view)


@pytest.mark.parametrize("singleton", [SKIP, CANCEL])
def test_who_left_between_two_looks_is_in_nobodys_way(singleton: Singleton) -> None:
    bench = FlowBench(store=LeftMeanwhile())
    bench.register(controlled(singleton=singleton))
    sent = [bench.send("go", {"user": "a"}) for _ in range(2)]
    assert bench.started(*sent) == [True, True]


@pytest.mark.parametrize("singleton", [SKIP, CANCEL])
@pytest.mark.parametrize("data", [{"user": False}, {}])
def test_S3_a_key_that_is_false_locks_nothing(
    bench: FlowBench, singleton: Singleton, data: object
) -> None:
    bench.register(controlled(singleton=singleton))
    sent = [bench.send("go", data) for _ in range(3)]
    assert bench.started(*sent) == [True] * 3
    assert len(bench.claim()) == 3


def test_S4_the_lock_is_held_through_sleeps_waits_and_retries(bench: FlowBench) -> None:
    bench.register(controlled(singleton=SKIP))
    bench.send("go", {"user": "a"})
    failure = Failure(name="E", message="m")
    for operation in (
        Sleep(id=step_hash("nap"), name="nap", until="10s"),
        WaitForEvent(id=step_hash("w"), name="w", event="x", timeout="10s"),
        StepError(id=step_hash("s"), name="s", failure=failure),
    ):
        bench.reply(bench.job(), progressed(operation))
        bench.pass_time(5 * SECOND)
        bench.restart()
        event = bench.send("go", {"user": "a"})
        assert bench.reasons(event) == ["Singleton"]
        bench.pass_time(60 * SECOND)
        bench.claim(capacity=0)
    bench.finish(bench.job())
    assert bench.started(bench.send("go", {"user": "a"})) == [True]


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_S5_the_commit_that_ends_the_run_frees_the_lock(bench: FlowBench, end: str) -> None:
    bench.register(controlled(singleton=SKIP, retries=0))
    run = only(bench, bench.send("go", {"user": "a"}))
    job = bench.job()
    lease = job.lease
    outcome = broke() if end == "fail" else returned()
    reply = given_.ReplyReceived(lease.id, lease.run_id, lease.key, outcome)
    ending = CancelAsked(run) if end == "cancel" else reply
    event = bench.event("go", {"user": "a"})
    bench.submit_all([ending, given_.EventsReceived((event,))])
    assert bench.run(run).ended
    assert bench.started(event.id) == [True]
    assert [slot.run_id for slot in bench.reader.slots(f'singleton:{FN}:"a"')] == [
        only(bench, event.id)
    ]


def test_S6_no_lock_outlives_its_run(bench: FlowBench) -> None:
    bench.register(controlled(singleton=CANCEL))
    for number in range(6):
        bench.send("go", {"user": number % 2})
        if number % 2:
            bench.restart()
        for job in bench.claim():
            if number % 3 == 0:
                bench.finish(job)
        live = {run.id for run in bench.runs() if not run.ended}
        held = {
            slot.run_id
            for user in ("0.0", "1.0", "0", "1")
            for slot in bench.reader.slots(f"singleton:{FN}:{user}")
        }
        assert held == live


def test_S7_what_a_cancelled_run_still_answers_is_discarded(bench: FlowBench) -> None:
    bench.register(controlled(singleton=CANCEL))
    old = only(bench, bench.send("go", {"user": "a"}))
    job = bench.job()
    bench.send("go", {"user": "a"})
    assert bench.status(old) is RunStatus.CANCELLED
    assert bench.reply(job, returned(1)).verdict is Verdict.ALREADY
    assert bench.run(old).output is None


def test_S8_so_many_at_a_time(bench: FlowBench) -> None:
    bench.deploy(controlled(singleton=Singleton("skip", limit=2)))
    sent = [bench.send("go") for _ in range(3)]
    assert bench.started(*sent) == [True, True, False]
    bench.deploy(controlled(singleton=Singleton("cancel", limit=2)))
    third = bench.send("go")
    assert bench.status(only(bench, sent[0])) is RunStatus.CANCELLED
    assert [bench.status(only(bench, one)) for one in (sent[1], third)] == [RunStatus.SCHEDULED] * 2
    bench.deploy(controlled(singleton=Singleton("cancel", limit=1)))
    bench.send("go")
    assert [run.ended for run in bench.runs()] == [True, True, True, False]


@pytest.mark.parametrize("mode", ["skip", "cancel"])
def test_S9_a_rerun_follows_the_mode(bench: FlowBench, mode: str) -> None:
    bench.register(controlled(singleton=Singleton(mode)))
    run = only(bench, bench.send("go"))
    answer = bench.submit(RerunAsked(run))
    assert isinstance(answer, Done)
    if mode == "skip":
        assert answer.verdict is Verdict.REFUSED
        assert "singleton" in answer.reason
        return
    assert bench.status(run) is RunStatus.CANCELLED
    assert bench.status(answer.subject) is RunStatus.SCHEDULED


def test_a_skipped_invocation_is_told_at_once(bench: FlowBench) -> None:
    bench.register(function("parent", event="begin"), controlled(singleton=Singleton("skip")))
    bench.send("go")
    held = bench.job()
    event = bench.send("begin")
    invoke = InvokeFunction(id=step_hash("child"), name="child", function_id=FN)
    bench.reply(bench.job(), progressed(invoke))
    memo = bench.memos(only(bench, event))["child"]
    assert isinstance(memo, dict)
    assert "singleton" in memo["error"]["message"]
    bench.finish(held)


def test_two_children_of_one_parent_that_cancel_each_other(bench: FlowBench) -> None:
    """The first child ends while its parent's reply is decided, and resumes it in the middle."""
    bench.register(function("parent", event="begin"), controlled(singleton=Singleton("cancel")))
    event = bench.send("begin")
    invokes = [
        InvokeFunction(id=step_hash(f"c{n}"), name=f"c{n}", function_id=FN) for n in range(2)
    ]
    bench.reply(bench.job(), progressed(*invokes))
    (parent,) = bench.runs_of(event)
    memos = bench.memos(parent.id)
    assert "cancelled" in str(memos["c0"])
    again, child = sorted(bench.claim(), key=lambda job: job.run.id != parent.id)
    bench.finish(child, 5)
    assert bench.memos(parent.id)["c1"] == {"data": 5}
    bench.finish(again)
    assert bench.status(parent.id) is RunStatus.COMPLETED


def test_a_singleton_that_invokes_itself_and_cancels_is_gone(bench: FlowBench) -> None:
    bench.register(controlled(singleton=Singleton("cancel")))
    run = only(bench, bench.send("go"))
    invoke = InvokeFunction(id=step_hash("c"), name="c", function_id=FN)
    bench.reply(bench.job(), progressed(invoke))
    assert bench.status(run) is RunStatus.CANCELLED
    bench.finish(bench.job())
    assert len(bench.runs()) == 2
