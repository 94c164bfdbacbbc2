"""Events start functions: once each, on time, and not again for the same id within a day."""

import pytest

from stepwell.server.engine.message.input import Accepted, EventsReceived, PruneAsked
from stepwell.server.engine.row.run import MAIN
from stepwell.server.engine.rules import DAY_MS, Rules
from stepwell.wire.function_config import Trigger
from tests.bench import NOW_MS, Bench, function, names, returned


def test_a_function_starts_once_however_many_triggers_match() -> None:
    both = (Trigger(event="a/*"), Trigger(event="a/b"), Trigger(event="other"))
    bench = Bench()
    bench.register(function(triggers=both))
    bench.send("a/b")
    bench.send("a/c")
    bench.send("a")
    bench.send("b/a")
    assert len(bench.runs()) == 2


@pytest.mark.parametrize(
    ("pattern", "name", "starts"),
    [
        ("user.*", "user.created", 1),
        ("user.*", "user", 0),
        ("user/*", "user/a.b", 1),
        ("user/a.*", "user/a.b", 1),
        ("a/b/*", "a/b/c", 1),
        ("*", "anything", 0),
    ],
)
def test_e_95_patterns(pattern: str, name: str, starts: int) -> None:
    bench = Bench()
    bench.register(function(event=pattern))
    bench.send(name)
    assert len(bench.runs()) == starts


@pytest.mark.parametrize(
    ("condition", "data", "starts"),
    [
        ("event.data.n > 3", {"n": 4}, 1),
        ("event.data.n > 3", {"n": 3}, 0),
        ("event.data.n > 3", {}, 0),
        ("event.data.n > 3", {"n": "text"}, 0),
        ("event.data.n", {"n": 4}, 0),
        ("date(event.data.due) < now()", {"due": "2026-01-01T00:00:00Z"}, 1),
        ("date(event.data.due) < now_plus(duration('1h'))", {"due": "2030-01-01T00:00:00Z"}, 0),
    ],
)
def test_e_92_conditions(condition: str, data: object, starts: int) -> None:
    bench = Bench()
    bench.register(function(event="go", condition=condition))
    bench.send("go", data)
    assert len(bench.runs()) == starts


def test_e_7_an_event_of_the_future_waits_for_its_time() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    bench.send("go", ts=NOW_MS + 60_000)
    assert bench.claim() == []
    assert bench.next_due_ms == NOW_MS + 60_000
    bench.pass_time(60_000)
    assert len(bench.claim()) == 1


def test_the_same_sender_id_starts_once_a_day() -> None:
    bench = Bench()
    bench.register(function(event="go"), function("late", event="other"))
    bench.send("go", key="k")
    bench.send("go", key="k")
    bench.send("go", key="another")
    assert len(bench.runs()) == 2
    # Another function has not met the id before.
    bench.send("other", key="k")
    assert len(bench.runs()) == 3
    bench.pass_time(DAY_MS - 1)
    bench.send("go", key="k")
    assert len(bench.runs()) == 3
    bench.pass_time(1)
    bench.send("go", key="k")
    assert len(bench.runs()) == 4
    bench.send("go", key="k")
    assert len(bench.runs()) == 4


def test_the_same_sender_id_starts_once_a_day_however_little_is_kept() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    bench.send("go", key="order-1")
    bench.send("go")
    for job in bench.claim():
        bench.reply(job, returned())
    bench.pass_time(3_600_000)
    bench.submit(PruneAsked(bench.now_ms, 10))
    assert [run.dedup for run in bench.runs()] == ["order-1"]
    bench.send("go", key="order-1")
    assert len(bench.runs()) == 1
    bench.pass_time(DAY_MS)
    bench.submit(PruneAsked(bench.now_ms, 10))
    assert bench.runs() == []


def test_the_same_sender_id_twice_in_one_request_starts_once() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    first, second = bench.event("go", key="k"), bench.event("go", key="k")
    answer = bench.submit(EventsReceived((first, second)))
    assert answer == Accepted((first.id, second.id))
    assert len(bench.runs()) == 1
    assert len(bench.store.disk.events) == 2


def test_an_event_received_again_under_our_id_changes_nothing() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    event = bench.event("go")
    for _ in range(2):
        answer = bench.submit(EventsReceived((event, event), fresh=False))
        assert answer == Accepted((event.id, event.id))
    assert bench.records == []
    assert len(bench.runs()) == 1


def test_a_decision_starts_so_many_runs_and_leaves_the_rest_to_the_next() -> None:
    bench = Bench(Rules(starts_per_decision_max=10))
    bench.register(function(event="go"))
    events = tuple(bench.event("go") for _ in range(35))
    bench.submit(EventsReceived(events))
    assert names(bench.records).count("RunStarted") == 10
    assert len(bench.store.disk.events) == 35
    jobs = bench.claim(limit=20, capacity=100)
    assert names(bench.records).count("RunStarted") + 10 <= 35
    for _ in range(3):
        jobs += bench.claim(limit=20, capacity=100)
    assert len(bench.runs()) == 35
    assert len({job.run.id for job in jobs}) == 35
    assert [item.key for item in bench.store.disk.items if item.key != MAIN] == []


def test_a_postponed_event_whose_function_is_gone_starts_nothing() -> None:
    bench = Bench(Rules(starts_per_decision_max=0))
    bench.register(function(event="go"))
    bench.send("go")
    bench.register(checksum="2")
    assert bench.claim() == []
    assert bench.runs() == []


def test_many_listeners_of_one_keyed_event_are_looked_up_together() -> None:
    """The engine's own events carry ids too: what has to be seen for them is asked for at once."""
    listeners = [function(f"l{n}", event="inngest/function.failed") for n in range(40)]
    bench = Bench()
    bench.begin(function(event="go", retries=0), *listeners)
    from tests.bench import broke

    bench.answer(broke())
    assert bench.looks <= 6
    assert len(bench.runs()) == 41
