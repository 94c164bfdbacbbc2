"""U6: what was skipped starts its runs after all, exactly once, when somebody asks for it."""

import pytest

from stepwell.server.engine.message.input import (
    Done,
    FunctionPaused,
    FunctionResumed,
    ReplayAsked,
    Replayed,
    Verdict,
)
from stepwell.server.engine.row.flow import DropReason
from stepwell.server.engine.row.run import RunStatus
from stepwell.wire.function_config import Batch, Concurrency, RateLimit, Singleton, Trigger
from tests.bench import APP, NOW_MS, function
from tests.flow.flow_bench import MINUTE, SECOND, FlowBench, controlled

FN = f"{APP}-work"
PAUSED = (DropReason.PAUSED,)
ALL = tuple(DropReason)


def asked(
    since_ms: int = 0, until_ms: int = 0, reasons: tuple[DropReason, ...] = ALL, limit: int = 100
) -> ReplayAsked:
    return ReplayAsked(FN, since_ms, until_ms, reasons, limit)


def replayed(bench: FlowBench, given: ReplayAsked) -> tuple[int, int]:
    """How many started, and how many were skipped once more."""
    answer = bench.submit(given)
    assert isinstance(answer, Replayed), answer
    return answer.started, answer.skipped


def skipped(bench: FlowBench, count: int, every_ms: int = SECOND) -> list[str]:
    """Events of a function that was paused while they came, one after the other."""
    bench.submit(FunctionPaused(FN))
    events: list[str] = []
    for _ in range(count):
        events.append(bench.send("go"))
        bench.pass_time(every_ms)
    bench.submit(FunctionResumed(FN))
    return events


def test_U6_a_window_starts_exactly_what_was_skipped_in_it(bench: FlowBench) -> None:
    bench.register(controlled(), function("other", event="go"))
    events = skipped(bench, 6)
    ran = bench.send("go")
    bench.pass_time(SECOND)
    window = asked(NOW_MS + 1_000, NOW_MS + 4_000)
    assert replayed(bench, window) == (3, 0)
    mine = [[r for r in bench.runs_of(event) if r.function == FN] for event in events]
    assert [len(runs) for runs in mine] == [0, 1, 1, 1, 0, 0]
    assert [bench.reasons(event) for event in events[:2]] == [["FunctionPaused"], []]
    assert all(run.queued_ms == bench.now_ms for runs in mine for run in runs)
    assert len(bench.runs_of(ran)) == 2
    assert bench.all_accounted(FN, *events, ran)


@pytest.mark.parametrize("killed", [False, True])
def test_U6_doing_it_again_starts_nothing_again(bench: FlowBench, killed: bool) -> None:
    bench.register(controlled())
    events = skipped(bench, 5)
    assert replayed(bench, asked()) == (5, 0)
    if killed:
        bench.restart()
    assert replayed(bench, asked()) == (0, 0)
    assert bench.started(*events) == [True] * 5
    while jobs := bench.claim():
        for job in jobs:
            bench.finish(job)
    assert [run.status for run in bench.runs()] == [RunStatus.COMPLETED] * 5


def test_U6_two_who_ask_at_once_start_it_once(bench: FlowBench) -> None:
    bench.register(controlled())
    events = skipped(bench, 4)
    answers = bench.submit_all([asked(), asked()])
    assert answers == [Replayed(4, 0), Replayed(0, 0)]
    assert [len(bench.runs_of(event)) for event in events] == [1] * 4


def test_U6_in_pages(bench: FlowBench) -> None:
    bench.register(controlled())
    events = skipped(bench, 5)
    more: list[bool] = []
    for _ in range(3):
        answer = bench.submit(asked(limit=2))
        assert isinstance(answer, Replayed)
        more.append(answer.more)
    assert more == [True, True, False]
    assert bench.started(*events) == [True] * 5


def test_only_the_reasons_that_are_named(bench: FlowBench) -> None:
    bench.register(controlled(singleton=Singleton("skip")))
    bench.send("go")
    locked = bench.send("go")
    bench.pass_time(SECOND)
    (paused,) = skipped(bench, 1)
    bench.finish(bench.job())
    assert replayed(bench, asked(reasons=PAUSED)) == (1, 0)
    assert (bench.started(locked), bench.started(paused)) == ([False], [True])


def test_what_meets_a_singleton_stays_skipped_and_can_be_asked_for_again(bench: FlowBench) -> None:
    bench.register(controlled(singleton=Singleton("skip")))
    events = skipped(bench, 3)
    for rest in (2, 1, 0):
        assert replayed(bench, asked()) == (1, rest)
        reasons = [bench.reasons(event) for event in events]
        assert reasons.count(["Singleton"]) == rest
        bench.finish(bench.job())
        bench.pass_time(SECOND)
    assert bench.started(*events) == [True] * 3


def test_rate_limits_are_passed_by_and_limits_that_wait_hold(bench: FlowBench) -> None:
    bench.register(controlled(rate_limit=RateLimit(1, "1h"), concurrency=(Concurrency(1),)))
    events = [bench.send("go") for _ in range(4)]
    bench.pass_time(SECOND)
    assert replayed(bench, asked()) == (3, 0)
    assert bench.started(*events) == [True] * 4
    assert len(bench.claim()) == 1


def test_events_that_belong_in_batches_are_batched_again(bench: FlowBench) -> None:
    bench.register(controlled(batch=Batch(3, "5s")))
    bench.submit(FunctionPaused(FN))
    events = [bench.send("go", key=f"k{n}") for n in range(3)]
    bench.submit(FunctionResumed(FN))
    held = [bench.send("go", key=f"h{n}") for n in range(2)]
    bench.submit(FunctionPaused(FN))
    bench.tick_to(6_000)
    bench.submit(FunctionResumed(FN))
    bench.pass_time(1)
    assert [bench.reasons(event) for event in held] == [["FunctionPaused"]] * 2
    assert replayed(bench, asked()) == (5, 0)
    bench.tick_to(12_000)
    assert sorted(len(run.event_ids) for run in bench.runs()) == [2, 3]
    assert bench.started(*events, *held) == [True] * 5


def test_a_schedule_that_was_skipped_runs_as_a_schedule(bench: FlowBench) -> None:
    slug = f"{APP}-tick"
    bench.register(function("tick", triggers=(Trigger(cron="* * * * *"),)))
    bench.submit(FunctionPaused(slug))
    bench.tick_to(2 * MINUTE, MINUTE)
    bench.submit(FunctionResumed(slug))
    bench.pass_time(1)
    answer = bench.submit(ReplayAsked(slug, 0, 0, PAUSED, 100))
    assert isinstance(answer, Replayed)
    assert answer.started >= 1
    assert {run.cron for run in bench.runs()} == {"* * * * *"}


def test_an_event_whose_id_has_its_run_meanwhile_stays_skipped(bench: FlowBench) -> None:
    bench.register(controlled())
    bench.submit(FunctionPaused(FN))
    first = bench.send("go", key="order-1")
    bench.submit(FunctionResumed(FN))
    second = bench.send("go", key="order-1")
    bench.pass_time(1)
    assert replayed(bench, asked()) == (0, 1)
    assert replayed(bench, asked(until_ms=bench.now_ms)) == (0, 0)
    assert bench.started(first, second) == [False, True]
    assert bench.reasons(first) == ["FunctionPaused"]


def test_it_is_refused_while_the_function_is_paused(bench: FlowBench) -> None:
    bench.register(controlled())
    bench.submit(FunctionPaused(FN))
    event = bench.send("go")
    answer = bench.submit(asked())
    assert isinstance(answer, Done)
    assert (answer.verdict, answer.reason) == (
        Verdict.REFUSED,
        f"function {FN} is paused: let it go on first",
    )
    assert bench.reasons(event) == ["FunctionPaused"]
    gone = bench.submit(ReplayAsked("nobody", 0, 0, ALL, 1))
    assert isinstance(gone, Done)
    assert gone.verdict is Verdict.GONE
