"""Batches: start together, once each, none larger than it may be, none lost."""

from random import Random
from typing import cast

import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import EventsReceived, WorkAsked
from stepwell.wire.event import FUNCTION_FINISHED
from stepwell.wire.function_check import problems
from stepwell.wire.function_config import (
    Batch,
    Cancel,
    Debounce,
    FunctionConfig,
    Priority,
    Singleton,
    Trigger,
)
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction
from tests.bench import APP, SEED, function, given_, progressed
from tests.flow.flow_bench import SECOND, FlowBench, controlled

FN = f"{APP}-work"


def sizes(bench: FlowBench) -> list[int]:
    return [len(run.event_ids) for run in bench.runs()]


def test_B1_a_full_batch_starts_at_once(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(3, "10s")))
    sent = [bench.send("go", {"n": n}) for n in range(7)]
    assert sizes(bench) == [3, 3]
    assert [run.event_ids for run in bench.runs()] == [tuple(sent[:3]), tuple(sent[3:6])]
    assert len({run.batch for run in bench.runs()}) == 2
    (hold,) = bench.open_holds()
    assert (hold.count, hold.event_id) == (1, sent[6])
    state = bench.reader.call_state(bench.runs()[0])
    assert len(state.events) == 3


def test_B2_the_timeout_counts_from_the_first_event(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(10, "5s")))
    bench.send("go")
    bench.at(4 * SECOND)
    bench.send("go")
    bench.tick_to(4_999, 999)
    assert sizes(bench) == []
    bench.restart()
    bench.tick_to(5_000)
    assert sizes(bench) == [2]
    assert bench.open_holds() == []


def test_B3_ten_mebibytes_close_it_with_the_event_that_crossed(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(100, "10s")))
    text = "x" * (3 * 1024 * 1024 - 1_000)
    sent = [bench.send("go", {"text": text}) for _ in range(5)]
    assert sizes(bench) == [4]
    assert bench.started(*sent) == [True] * 4 + [False]


def test_B4_each_key_has_a_batch_of_its_own(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(2, "10s", key="event.data.user")))
    sent = [bench.send("go", {"user": user}) for user in ("a", "b", "a", "c", "b")]
    assert [set(run.event_ids) for run in bench.runs()] == [
        {sent[0], sent[2]},
        {sent[1], sent[4]},
    ]


@pytest.mark.parametrize("condition", ["event.data.batch == true", "event.data.batch"])
def test_B5_what_the_condition_does_not_take_runs_alone(bench: FlowBench, condition: str) -> None:
    bench.register(controlled(batch=Batch(2, "10s", condition=condition)))
    data = [{"batch": True}, {"batch": False}, {}, {"batch": "no"}, {"batch": True}]
    sent = [bench.send("go", one) for one in data]
    assert sizes(bench) == [1, 1, 1, 2]
    assert [run.batch != "" for run in bench.runs()] == [False, False, False, True]
    assert set(bench.runs()[3].event_ids) == {sent[0], sent[4]}


def test_B6_an_event_sent_again_under_its_id_is_in_it_once(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(2, "10s")))
    bench.send("go", key="a")
    bench.restart()
    bench.send("go", key="a")
    assert sizes(bench) == []
    bench.send("go", key="b")
    assert sizes(bench) == [2]
    bench.send("go", key="a")
    assert bench.open_holds() == []


def test_B7_an_event_is_in_exactly_one_batch(bench: FlowBench) -> None:
    """Whatever the order of events and of the timer, in one commit or in several."""
    draw = Random(7)
    bench.register(controlled(batch=Batch(3, "1s")))
    sent: list[str] = []
    for _ in range(60):
        events = [bench.event("go") for _ in range(draw.randrange(5))]
        sent += [event.id for event in events]
        inputs: list[given_.Input] = [EventsReceived((event,)) for event in events]
        inputs.insert(draw.randrange(len(inputs) + 1), WorkAsked(SEED, (), 10, 60_000))
        if draw.random() < 0.5:
            bench.submit_all(inputs)
        else:
            for one in inputs:
                bench.submit(one)
        assert bench.all_accounted(FN, *sent)
        bench.pass_time(draw.choice((0, 400, 999, 1_000, 1_001)))
        if draw.random() < 0.1:
            bench.restart()
    bench.pass_time(2_000)
    bench.claim(capacity=0)
    ran = [event_id for run in bench.runs() for event_id in run.event_ids]
    assert sorted(ran) == sorted(sent)
    assert max(sizes(bench)) <= 3


def test_B8_the_batch_and_its_timer_are_one_commit(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(3, "5s")))
    bench.send("go")
    kinds = {type(record) for record in bench.records}
    assert {fact.HoldPut, fact.EventHeld, fact.ItemAdded} <= kinds


def test_B9_many_events_at_once_split_into_batches_none_too_large(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(100, "5s")))
    events = tuple(bench.event("go") for _ in range(1_050))
    bench.submit(EventsReceived(events))
    assert sizes(bench) == [100] * 10
    bench.tick_to(5_000, 5_000)
    assert sizes(bench) == [100] * 10 + [50]
    ran = [event_id for run in bench.runs() for event_id in run.event_ids]
    assert sorted(ran) == sorted(event.id for event in events)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cancel", (Cancel("stop"),)),
        ("debounce", Debounce("5s")),
        ("singleton", Singleton("skip")),
        ("priority", Priority("1")),
    ],
)
def test_B10_what_cannot_be_combined_is_refused_by_name(field: str, value: object) -> None:
    config = FunctionConfig(
        id="a-b",
        name="b",
        url="http://x.test",
        triggers=(Trigger(event="go"),),
        batch=Batch(2, "5s"),
        **{field: value},  # type: ignore[arg-type]
    )
    (problem,) = problems(config)
    assert "batchEvents" in problem
    assert field in problem


def test_a_key_that_cannot_be_had_lets_the_event_run_alone(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(2, "10s", key="int(event.data.n)")))
    bench.send("go", {"n": "x"})
    assert sizes(bench) == [1]


MORE_THAN_LOOKS = 40


def test_the_end_of_a_large_batch_is_told(bench: FlowBench) -> None:
    listener = function("listener", event=FUNCTION_FINISHED)
    bench.register(controlled(batch=Batch(MORE_THAN_LOOKS, "5s")), listener)
    bench.submit(EventsReceived(tuple(bench.event("go") for _ in range(MORE_THAN_LOOKS))))
    bench.finish(bench.job())
    (told,) = bench.emitted(FUNCTION_FINISHED)
    assert len(cast("list[object]", told["events"])) == MORE_THAN_LOOKS


@pytest.mark.parametrize("count", [2, MORE_THAN_LOOKS])
def test_a_batch_of_invocations_answers_all_who_asked(bench: FlowBench, count: int) -> None:
    bench.register(function("parent", event="begin"), controlled(batch=Batch(count, "10s")))
    parents: list[str] = []
    for _ in range(count):
        event = bench.send("begin")
        parents += [run.id for run in bench.runs_of(event)]
        invoke = InvokeFunction(id=step_hash("child"), name="child", function_id=FN)
        bench.reply(bench.job(), progressed(invoke))
    bench.finish(bench.job(), "done")
    assert [bench.memos(run) for run in parents] == [{"child": {"data": "done"}}] * count
    for job in bench.claim():
        bench.finish(job)
