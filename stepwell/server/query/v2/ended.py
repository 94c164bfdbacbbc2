"""What became of runs that ended lately: alike errors together, and how long each function took, in
the shape of the REST API's second version. Pure but for what the reader reads.

Runs are looked at one by one, the latest first, as many and as long as the asker allows.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.query.v2.run import InstantV2, NamedV2, app_ref, function_ref
from stepwell.server.store.port import Reader, RunFilter, RunTime
from stepwell.server.store.reading import mark_of
from stepwell.wire.duration import format_instant
from stepwell.wire.failure import Failure, decode_failure, shortened

PAGE = 100
"""So many are read at a time; between them it is asked whether time is up."""
MESSAGE_CHARS_MAX = 500
SLOW_SHARE = 0.95

_VARIES = re.compile(
    r"0x[0-9a-f]+|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-hjkmnp-tv-z]{26}\b"
    r"|\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d+",
    re.IGNORECASE,
)
"""What tells one error from another like it: numbers, addresses and ids."""


class FailureV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Runs of a function that failed alike: with an error of one name, whose messages differ by no
    more than numbers and ids. Name and message are those of the latest, which is `runId`."""

    function: NamedV2
    app: NamedV2
    name: str
    message: str
    count: int
    first_at: InstantV2
    last_at: InstantV2
    run_id: str


class DurationV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How long runs of a function took from start to end: half of them at most `medianMs`, 95 of a
    hundred at most `slowMs`. `runId` is the longest."""

    function: NamedV2
    app: NamedV2
    runs: int
    median_ms: int
    slow_ms: int
    run_id: str


class Looked(NamedTuple):
    """Runs that ended, the latest first; `partial` says that there are more."""

    runs: Sequence[Run]
    partial: bool


def looked_at(reader: Reader, wanted: RunFilter, goes_on: Callable[[], bool]) -> Looked:
    """At most `wanted.limit` runs of the list, which is that of their ends."""
    found: list[Run] = []
    for page in _pages(reader, wanted):
        found += page
        if len(found) >= wanted.limit or (len(page) == PAGE and not goes_on()):
            return Looked(found[: wanted.limit], partial=True)
    return Looked(found, partial=False)


def _pages(reader: Reader, wanted: RunFilter) -> Iterator[list[Run]]:
    after = wanted.after
    while True:
        page = reader.runs(
            msgspec.structs.replace(wanted, time=RunTime.ENDED, after=after, limit=PAGE)
        )
        yield page
        if len(page) < PAGE:
            return
        after = mark_of(page[-1], RunTime.ENDED)


def failures_v2(runs: Sequence[Run]) -> list[FailureV2]:
    """Failed runs, alike ones together, the most frequent first. `runs` are the latest first."""
    alike: dict[tuple[str, str, str], list[Run]] = {}
    told: dict[tuple[str, str, str], Failure] = {}
    for run in runs:
        if run.status is not RunStatus.FAILED or run.output is None:
            continue
        failure = decode_failure(run.output)
        key = run.function, failure.name, pattern_of(failure.message)
        alike.setdefault(key, []).append(run)
        told.setdefault(key, failure)
    found = [_failure(told[key], group) for key, group in alike.items()]
    return sorted(found, key=lambda one: -one.count)


def pattern_of(message: str) -> str:
    """What messages of one kind share: their first line, without numbers and ids."""
    return _VARIES.sub("…", message[:MESSAGE_CHARS_MAX].split("\n", 1)[0])


def _failure(failure: Failure, runs: Sequence[Run]) -> FailureV2:
    latest, first = runs[0], runs[-1]
    return FailureV2(
        function=function_ref(latest.function),
        app=app_ref(latest.app),
        name=failure.name,
        message=shortened(failure.message, MESSAGE_CHARS_MAX),
        count=len(runs),
        first_at=format_instant(first.ended_ms),
        last_at=format_instant(latest.ended_ms),
        run_id=latest.id,
    )


def durations_v2(runs: Sequence[Run]) -> list[DurationV2]:
    """How long completed runs took, the slowest function first."""
    mine: dict[str, list[Run]] = {}
    for run in runs:
        if run.status is RunStatus.COMPLETED and run.started_ms:
            mine.setdefault(run.function, []).append(run)
    found = [_duration(sorted(group, key=_took_ms)) for group in mine.values()]
    return sorted(found, key=lambda one: (-one.slow_ms, one.function.name))


def _duration(runs: Sequence[Run]) -> DurationV2:
    longest = runs[-1]
    return DurationV2(
        function=function_ref(longest.function),
        app=app_ref(longest.app),
        runs=len(runs),
        median_ms=_took_ms(runs[(len(runs) - 1) // 2]),
        slow_ms=_took_ms(runs[int((len(runs) - 1) * SLOW_SHARE + 0.5)]),
        run_id=longest.id,
    )


def _took_ms(run: Run) -> int:
    return max(run.ended_ms - run.started_ms, 0)
