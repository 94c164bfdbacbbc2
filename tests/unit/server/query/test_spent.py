"""Where the time of a run went."""

import msgspec
import pytest

from stepwell.server.query.timeline import Span, SpanStatus
from stepwell.server.query.v2.spent import spent_v2

DONE, WAITS = SpanStatus.COMPLETED, SpanStatus.WAITING
BEGAN, NOW = 1_000_000, 1_100_000


def span(kind: str, begin: int, end: int, *children: Span) -> Span:
    """From and until so many milliseconds after the run began; until 0 it goes on."""
    ended = BEGAN + end if end else 0
    status = DONE if end else WAITS
    return Span(
        kind, kind, status, started_ms=BEGAN + begin, ended_ms=ended, children=tuple(children)
    )


def spent(*children: Span, end: int = 1_000, queued: int = 40) -> dict[str, int]:
    run = Span(
        "f",
        "run",
        DONE if end else WAITS,
        queued_ms=BEGAN - queued,
        started_ms=BEGAN,
        ended_ms=BEGAN + end if end else 0,
        children=children,
    )
    told = msgspec.to_builtins(spent_v2(run, NOW))
    total = told.pop("queuedMs")
    assert total == queued
    assert sum(told.values()) == (end or NOW - BEGAN)
    return {name.removesuffix("Ms"): ms for name, ms in told.items() if ms}


@pytest.mark.parametrize(
    ("children", "told"),
    [
        ((), {"code": 1_000}),
        ((span("StepRun", 100, 300),), {"code": 200, "between": 800}),
        (
            (span("StepRun", 0, 400), span("StepRun", 200, 500), span("StepRun", 450, 1_200)),
            {"code": 1_000},
        ),
        (
            (span("Sleep", 0, 600), span("StepRun", 500, 700), span("AIGateway", 650, 900)),
            {"waiting": 500, "code": 200, "requests": 200, "between": 100},
        ),
        (
            (span("StepRun", 800, 900, span("attempt", 100, 100), span("attempt", 400, 400)),),
            {"retrying": 700, "code": 100, "between": 200},
        ),
        (
            (span("attempt", 200, 200), span("StepRun", 500, 600)),
            {"retrying": 300, "code": 100, "between": 600},
        ),
    ],
    ids=["no steps", "one step", "at once", "sleep and request", "tried again", "function failed"],
)
def test_each_moment_counts_once(children: tuple[Span, ...], told: dict[str, int]) -> None:
    assert spent(*children) == told


def test_a_run_that_goes_on_is_told_until_now() -> None:
    assert spent(span("event", 100, 0), end=0) == {"waiting": 99_900, "between": 100}


def test_a_run_that_has_not_begun_has_waited() -> None:
    run = Span("f", "run", SpanStatus.QUEUED, queued_ms=NOW - 500)
    assert set(msgspec.to_builtins(spent_v2(run, NOW)).values()) == {500, 0}


def test_a_run_that_was_cancelled_before_it_began_has_waited_until_then() -> None:
    run = Span("f", "run", SpanStatus.CANCELLED, queued_ms=NOW - 500, ended_ms=NOW - 100)
    told = spent_v2(run, NOW)
    assert (told.queued_ms, told.code_ms, told.between_ms) == (400, 0, 0)
