"""Debounce: start later, once; never past the deadline; never losing what was sent."""

from random import Random

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import EventsReceived, WorkAsked
from stepwell.server.engine.row.run import RunStatus
from stepwell.wire.function_config import Debounce, Singleton
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction
from tests.bench import APP, NOW_MS, SEED, function, given_, progressed
from tests.flow.flow_bench import DAY, SECOND, FlowBench, controlled

FN = f"{APP}-work"


def queued(bench: FlowBench) -> list[int]:
    """When runs began, after the beginning."""
    return [run.queued_ms - NOW_MS for run in bench.runs()]


def test_D1_the_last_event_starts_one_run_a_period_after_it(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("2s")))
    sent: list[str] = []
    for ms in (0, 1_000, 1_500):
        bench.at(ms)
        sent.append(bench.send("go", {"ms": ms}))
    bench.tick_to(3_499, 100)
    assert bench.runs() == []
    bench.tick_to(3_500)
    (run,) = bench.runs()
    assert run.event_ids == (sent[2],)
    assert queued(bench) == [3_500]
    assert [bench.reasons(event) for event in sent] == [["Debounce"], ["Debounce"], []]
    assert bench.open_holds() == []
    bench.tick_to(60_000, 10_000)
    assert len(bench.runs()) == 1


def test_D2_a_steady_stream_starts_at_the_deadline(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("5s", timeout="10s")))
    sent: list[str] = []
    for second in range(15):
        bench.tick_to(second * SECOND)
        sent.append(bench.send("go"))
    assert queued(bench) == [10 * SECOND]
    assert bench.runs()[0].event_ids == (sent[9],)
    bench.tick_to(30 * SECOND)
    assert queued(bench) == [10 * SECOND, 19 * SECOND]
    assert bench.all_accounted(FN, *sent)


def test_D3_by_their_own_time_older_events_change_nothing(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("2s")))
    newest = bench.send("go", ts=NOW_MS + 500)
    bench.at(1_000)
    old = bench.send("go", ts=NOW_MS)
    assert bench.reasons(old) == ["DebounceOld"]
    bench.tick_to(2_000)
    assert bench.started(newest, old) == [True, False]
    equal = [bench.send("go", ts=NOW_MS + 1) for _ in range(2)]
    bench.tick_to(4_000)
    assert bench.started(*equal) == [False, True]


def test_D4_an_event_while_one_fires_is_in_that_run_or_in_the_next(bench: FlowBench) -> None:
    """Whatever the order of an event and of the firing, in one commit or in several."""
    draw = Random(4)
    bench.register(controlled(debounce=Debounce("1s")))
    sent: list[str] = []
    for _ in range(60):
        events = [bench.event("go") for _ in range(draw.randrange(4))]
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
    bench.pass_time(2_000)
    bench.claim(capacity=0)
    assert bench.open_holds() == []
    ran = [event_id for run in bench.runs() for event_id in run.event_ids]
    dropped = [event for event in sent if bench.reasons(event) == ["Debounce"]]
    assert sorted(ran + dropped) == sorted(sent)


def test_D5_the_hold_and_its_timer_are_one_commit(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("2s")))
    event = bench.send("go")
    kinds = {type(record) for record in bench.records}
    assert {fact.HoldPut, fact.ItemAdded, fact.EventStored} <= kinds
    bench.restart()
    bench.tick_to(2_000)
    assert bench.started(event) == [True]


def test_D6_of_a_thousand_keys_only_those_due_are_looked_at(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("1m", key="event.data.user")))
    for user in range(300):
        bench.at(user)
        bench.send("go", {"user": user})
    bench.at(60_004)
    bench.claim(capacity=0)
    assert len(bench.runs()) == 5
    assert len(bench.open_holds()) == 295
    assert bench.next_due_ms == NOW_MS + 60_005


def test_D8_all_events_can_be_collected(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("2s", collect="all", max_events=4, timeout="10s")))
    late, early, same = (bench.send("go", ts=NOW_MS + ts) for ts in (5, 1, 5))
    bench.at(1_000)
    assert bench.runs() == []
    bench.tick_to(2_000)
    (run,) = bench.runs()
    assert run.event_ids == (early, late, same)
    full = [bench.send("go", ts=bench.now_ms) for _ in range(6)]
    assert [len(run.event_ids) for run in bench.runs()] == [3, 4]
    bench.tick_to(5_000)
    assert [len(run.event_ids) for run in bench.runs()] == [3, 4, 2]
    assert bench.started(*full) == [True] * 6


def test_D8_bytes_close_a_collection(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("1h", collect="all", max_bytes=1_900)))
    sent = [bench.send("go", {"text": "x" * 900}) for _ in range(3)]
    assert bench.started(*sent) == [True, True, False]


def test_D9_what_is_held_starts_once_even_if_the_debounce_is_gone(bench: FlowBench) -> None:
    bench.deploy(controlled(debounce=Debounce("5s")))
    held = bench.send("go")
    bench.deploy(controlled())
    at_once = bench.send("go")
    assert bench.started(held, at_once) == [False, True]
    bench.tick_to(5_000)
    assert bench.started(held) == [True]
    assert len(bench.runs()) == 2


def test_a_function_that_went_away_is_waited_for(bench: FlowBench) -> None:
    bench.deploy(controlled(debounce=Debounce("5s")))
    held = bench.send("go")
    bench.deploy(function("other", event="x"))
    bench.tick_to(20_000)
    assert bench.started(held) == [False]
    bench.deploy(controlled(debounce=Debounce("5s")))
    bench.tick_to(60_000)
    assert bench.started(held) == [True]


def test_an_event_sent_again_under_its_id_counts_once(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("2s")))
    first = bench.send("go", key="a")
    bench.at(1_500)
    bench.send("go", key="a")
    bench.tick_to(2_000)
    assert bench.started(first) == [True]
    bench.send("go", key="a")
    bench.tick_to(10_000)
    assert len(bench.runs()) == 1


def test_a_key_that_cannot_be_had_is_one_key(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("2s", key="int(event.data.n)")))
    for number in ("x", "y"):
        bench.send("go", {"n": number})
    assert [hold.key for hold in bench.open_holds()] == [f"debounce:{FN}:<invalid>"]


def test_the_singleton_is_decided_when_the_debounce_fires(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("1s"), singleton=Singleton("skip")))
    first = bench.send("go")
    bench.tick_to(1_000)
    second = bench.send("go")
    bench.tick_to(2_000)
    assert bench.started(first, second) == [True, False]
    assert bench.reasons(second) == ["Singleton"]


def test_invocations_are_debounced_and_told(bench: FlowBench) -> None:
    bench.register(function("parent", event="begin"), controlled(debounce=Debounce("2s")))
    parents: list[str] = []
    for _ in range(2):
        event = bench.send("begin")
        parents += [run.id for run in bench.runs_of(event)]
        invoke = InvokeFunction(id=step_hash("child"), name="child", function_id=FN)
        bench.reply(bench.job(), progressed(invoke))
    memo = bench.memos(parents[0])["child"]
    assert isinstance(memo, dict)
    assert "debounced" in memo["error"]["message"]
    assert bench.memos(parents[1]) == {}
    bench.finish(bench.job())
    bench.tick_to(2_000)
    bench.finish(bench.job(), "done")
    assert bench.memos(parents[1]) == {"child": {"data": "done"}}
    bench.finish(bench.job())
    assert [bench.status(run) for run in parents] == [RunStatus.COMPLETED] * 2


def test_events_in_a_hold_are_kept_however_old_they_are(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("7d")))
    held = bench.send("go")
    bench.at(6 * DAY)
    bench.submit(given_.PruneAsked(bench.now_ms, 10))
    bench.tick_to(7 * DAY, DAY)
    assert bench.started(held) == [True]
