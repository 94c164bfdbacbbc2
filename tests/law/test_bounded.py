"""No decision is larger than the limits in `Rules`, however much arrives or waits; what is left
over is done by the next, and nothing is lost or done twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.server.engine.message.input import EventsReceived
from stepwell.server.engine.row.run import MAIN
from stepwell.server.engine.rules import Rules
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import WaitForEvent
from tests.bench import Bench, function, names, progressed

W = step_hash("w")


@settings(max_examples=25, deadline=None)
@given(
    events=st.integers(1, 40),
    listeners=st.integers(1, 4),
    starts_max=st.integers(0, 12),
    limit=st.integers(1, 10),
)
def test_starts(events: int, listeners: int, starts_max: int, limit: int) -> None:
    bench = Bench(Rules(starts_per_decision_max=starts_max))
    bench.register(*(function(f"f{n}", event="go") for n in range(listeners)))
    given_events = tuple(bench.event("go") for _ in range(events))
    bench.submit(EventsReceived(given_events))
    assert names(bench.records).count("RunStarted") < starts_max + listeners
    for _ in range(events * listeners):
        bench.claim(limit=limit, capacity=0)
        assert names(bench.records).count("RunStarted") <= limit * listeners
    started = [(run.function, run.event_ids) for run in bench.runs()]
    assert len(set(started)) == len(started) == events * listeners


@settings(max_examples=25, deadline=None)
@given(
    waits=st.integers(0, 30),
    waits_max=st.integers(1, 12),
    matching=st.integers(1, 3),
    sent=st.integers(1, 2),
)
def test_waits(waits: int, waits_max: int, matching: int, sent: int) -> None:
    bench = Bench(Rules(waits_per_decision_max=waits_max))
    bench.register(function(event="go"))
    for n in range(waits):
        bench.send("go", {"n": n % matching})
    condition = "async.data.n == event.data.n" if matching > 1 else ""
    wait = WaitForEvent(id=W, name="w", event="news", timeout="1h", condition=condition)
    for job in bench.claim():
        bench.reply(job, progressed(wait))
    for _ in range(sent):
        bench.send("news", {"n": 0})
        assert names(bench.records).count("WaitClosed") <= waits_max
    for _ in range(waits // waits_max + 2):
        bench.claim(capacity=0)
        assert names(bench.records).count("WaitClosed") <= waits_max * sent
    over = [run for run in bench.runs() if bench.steps(run.id)]
    assert len(over) == sum(n % matching == 0 for n in range(waits))
    left = [item for item in bench.store.disk.items if item.key not in (MAIN, W)]
    assert left == []
