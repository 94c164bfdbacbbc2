"""cancelOn: which events cancel a run, in which of its states, and for how long."""

from collections.abc import Callable, Iterable

import msgspec
import pytest

from stepwell.server.engine.message.input import EventsReceived, Verdict
from stepwell.server.engine.row.run import RunStatus, Wait, WaitKind
from stepwell.server.engine.state.view import View
from stepwell.wire.function_check import problems
from stepwell.wire.function_config import Batch, Cancel, Concurrency, FunctionConfig, Trigger
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Sleep, WaitForEvent
from tests.bench import NOW_MS, broke, progressed, step_run
from tests.flow.flow_bench import HOUR, MINUTE, FlowBench, controlled

STOP = (Cancel("stop"),)


def status(bench: FlowBench, event: str) -> RunStatus:
    (run,) = bench.runs_of(event)
    return run.status


def armed(bench: FlowBench, event: str) -> list[Wait]:
    """What may cancel the run of an event."""
    (run,) = bench.runs_of(event)
    return bench.waits(run.id, WaitKind.CANCEL)


def test_X1_an_event_from_before_the_run_does_not_count(bench: FlowBench) -> None:
    bench.register(controlled(cancel=STOP))
    bench.send("stop", ts=NOW_MS + HOUR)
    event = bench.send("go")
    assert status(bench, event) is RunStatus.SCHEDULED
    bench.send("stop", ts=NOW_MS - HOUR)
    assert status(bench, event) is RunStatus.CANCELLED


def test_X1_within_one_commit_the_order_decides(bench: FlowBench) -> None:
    bench.register(controlled(cancel=STOP))
    before, go, after = bench.event("stop"), bench.event("go"), bench.event("stop")
    bench.submit_all([EventsReceived((before,)), EventsReceived((go,))])
    assert status(bench, go.id) is RunStatus.SCHEDULED
    again = bench.event("go")
    bench.submit_all([EventsReceived((again,)), EventsReceived((after,))])
    assert status(bench, again.id) is status(bench, go.id) is RunStatus.CANCELLED


def test_X2_what_starts_a_run_does_not_cancel_it(bench: FlowBench) -> None:
    bench.register(controlled(cancel=(Cancel("go"),)))
    first = bench.send("go")
    assert status(bench, first) is RunStatus.SCHEDULED
    second = bench.send("go")
    assert status(bench, first) is RunStatus.CANCELLED
    assert status(bench, second) is RunStatus.SCHEDULED


def test_X3_the_condition_sees_both_events(bench: FlowBench) -> None:
    bench.register(controlled(cancel=(Cancel("stop", "async.data.user == event.data.user"),)))
    amy, bob = (bench.send("go", {"user": user}) for user in ("amy", "bob"))
    bench.send("stop", {"user": "bob"})
    assert status(bench, amy) is RunStatus.SCHEDULED
    assert status(bench, bob) is RunStatus.CANCELLED
    bench.send("stop", {})
    assert status(bench, amy) is RunStatus.SCHEDULED


def test_X3_what_the_run_s_own_event_rules_out_is_not_stored(bench: FlowBench) -> None:
    condition = "event.data.urgent == false && async.data.user == event.data.user"
    bench.register(controlled(cancel=(Cancel("stop", condition), Cancel("halt"))))
    urgent = bench.send("go", {"user": "amy", "urgent": True})
    other = bench.send("go", {"user": "amy", "urgent": False})
    assert [wait.name for wait in armed(bench, urgent)] == ["halt"]
    assert [wait.name for wait in armed(bench, other)] == ["stop", "halt"]
    bench.send("stop", {"user": "amy"})
    assert status(bench, urgent) is RunStatus.SCHEDULED
    assert status(bench, other) is RunStatus.CANCELLED


@pytest.mark.parametrize("late_ms", [-1, 0])
def test_X4_it_is_armed_for_a_while_only(bench: FlowBench, late_ms: int) -> None:
    bench.register(controlled(cancel=(Cancel("stop", timeout="10m"),)))
    event = bench.send("go")
    bench.restart()
    bench.pass_time(10 * MINUTE + late_ms)
    bench.send("stop")
    expected = RunStatus.CANCELLED if late_ms < 0 else RunStatus.SCHEDULED
    assert status(bench, event) is expected


def _running(bench: FlowBench) -> None:
    bench.claim()


def _told(bench: FlowBench) -> None:
    bench.reply(bench.job(), progressed(step_run("a")))


def _asleep(bench: FlowBench) -> None:
    bench.reply(bench.job(), progressed(Sleep(id=step_hash("n"), name="n", until="1h")))


def _waiting(bench: FlowBench) -> None:
    wait = WaitForEvent(id=step_hash("w"), name="w", event="news", timeout="1h")
    bench.reply(bench.job(), progressed(wait))


def _between_tries(bench: FlowBench) -> None:
    bench.reply(bench.job(), broke())


def _blocked(bench: FlowBench) -> None:
    bench.send("go")
    bench.claim()


STATES: dict[str, Callable[[FlowBench], object]] = {
    "queued": lambda bench: None,
    "blocked behind a limit": _blocked,
    "running": _running,
    "between steps": _told,
    "asleep": _asleep,
    "waiting": _waiting,
    "between tries": _between_tries,
}


@pytest.mark.parametrize("state", STATES)
def test_X5_it_works_in_every_state(bench: FlowBench, state: str) -> None:
    bench.register(controlled(cancel=STOP, concurrency=(Concurrency(1),)))
    event = bench.send("go")
    STATES[state](bench)
    bench.restart()
    bench.send("stop")
    assert {run.status for run in bench.runs()} == {RunStatus.CANCELLED}
    (run,) = bench.runs_of(event)
    assert (bench.reader.items(run.id), bench.reader.waits(run.id)) == ([], [])
    bench.pass_time(2 * HOUR)
    assert bench.claim() == []


def test_X5_what_a_call_under_way_answers_is_discarded(bench: FlowBench) -> None:
    bench.register(controlled(cancel=STOP))
    bench.send("go")
    job = bench.job()
    bench.send("stop")
    assert bench.reply(job, progressed(step_run("a"))).verdict is Verdict.ALREADY
    assert bench.memos(job.run.id) == {}


def _config(**options: object) -> FunctionConfig:
    base = FunctionConfig(
        id="shop-work", name="work", url="http://app.test/", triggers=(Trigger("go"),)
    )
    return msgspec.structs.replace(base, **options)


def test_X7_five_conditions_at_most() -> None:
    assert problems(_config(cancel=tuple(Cancel(f"stop/{n}") for n in range(5)))) == []
    (problem,) = problems(_config(cancel=tuple(Cancel(f"stop/{n}") for n in range(6))))
    assert problem == "cancel has 6 entries: use at most 5"


def test_X8_a_batch_refuses_them() -> None:
    (problem,) = problems(_config(cancel=STOP, batch=Batch(2, "5s")))
    assert problem == "batchEvents cannot be combined with cancel: remove one of them"


def test_X9_a_match_looks_at_what_it_matches_only(
    bench: FlowBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.register(controlled(cancel=(Cancel("stop", "async.data.user == event.data.user"),)))
    events = [bench.event("go", {"user": number % 500}) for number in range(1_000)]
    for start in range(0, 1_000, 50):
        bench.submit(EventsReceived(tuple(events[start : start + 50])))
    looked: list[int] = []
    see = View.see_meeting

    def counted(view: View, event_id: str, after: str, waits: Iterable[Wait]) -> None:
        found = list(waits)
        looked.append(len(found))
        see(view, event_id, after, found)

    monkeypatch.setattr(View, "see_meeting", counted)
    bench.send("stop", {"user": 77})
    assert looked == [2]
    assert sum(run.status is RunStatus.CANCELLED for run in bench.runs()) == 2
    bench.send("stop", {"user": "nobody"})
    assert looked == [2, 0]
