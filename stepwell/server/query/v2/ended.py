"""What became of runs that ended lately: alike errors together, and how long each function took, in
the shape of the REST API's second version. Pure but for what the reader reads.

Nothing is asked of the runs: they were counted as they ended.
"""

from collections.abc import Iterable, Sequence

import msgspec

from stepwell.server.query.v2.run import InstantV2, NamedV2, app_ref, function_ref
from stepwell.server.store.counting import HOUR_MS, KEPT_MS, MINUTE_MS
from stepwell.server.store.ended_counts import OTHERS, both, middle_of
from stepwell.server.store.port import (
    DurationCount,
    EndedFilter,
    FailureCount,
    Reader,
)
from stepwell.wire.duration import format_instant

SLOW_SHARE = 0.95
OTHERS_NAME = "Others"
OTHERS_MESSAGE = "Errors of more kinds than are told apart"


class FailureV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Runs of a function that failed alike: with an error of one name, whose messages differ by no
    more than numbers and ids. Name and message are those of the latest, which is `runId`; of the
    message there are 200 characters at most."""

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
    hundred at most `slowMs`, each told to a sixteenth of itself. `runId` is the longest."""

    function: NamedV2
    app: NamedV2
    runs: int
    median_ms: int
    slow_ms: int
    run_id: str


# -- failures -------------------------------------------------------------------------------------


def failures_v2(reader: Reader, wanted: EndedFilter, now_ms: int) -> list[FailureV2]:
    """What runs failed with since `wanted.since_ms`, the most frequent first: from the minute on
    that holds it, or, where minutes are kept no longer, from the hour."""
    alike: dict[tuple[str, str, int], FailureCount] = {}
    for span_ms, part in _parts(wanted, now_ms):
        for place, count in reader.failures(part, span_ms):
            key = place.app, place.function, place.kind
            known = alike.get(key)
            alike[key] = count if known is None else both(known, count)
    found = [_failure(*key, count) for key, count in alike.items()]
    return sorted(found, key=lambda one: (-one.count, one.function.name, one.name, one.message))


def _parts(wanted: EndedFilter, now_ms: int) -> Iterable[tuple[int, EndedFilter]]:
    """Minutes up to a whole hour, and hours from there on."""
    since_ms = wanted.since_ms
    hour_ms = since_ms - since_ms % HOUR_MS
    if since_ms >= now_ms - KEPT_MS[MINUTE_MS] + HOUR_MS:
        minute_ms = since_ms - since_ms % MINUTE_MS
        hour_ms += HOUR_MS
        yield MINUTE_MS, msgspec.structs.replace(wanted, since_ms=minute_ms, until_ms=hour_ms)
    yield HOUR_MS, msgspec.structs.replace(wanted, since_ms=hour_ms)


def _failure(app: str, function: str, kind: int, count: FailureCount) -> FailureV2:
    named = (OTHERS_NAME, OTHERS_MESSAGE) if kind == OTHERS else (count.name, count.message)
    return FailureV2(
        function=function_ref(function),
        app=app_ref(app),
        name=named[0],
        message=named[1],
        count=count.runs,
        first_at=format_instant(count.first_ms),
        last_at=format_instant(count.last_ms),
        run_id=count.run_id,
    )


# -- durations ------------------------------------------------------------------------------------


def durations_v2(reader: Reader, wanted: EndedFilter) -> list[DurationV2]:
    """How long completed runs took from the hour on that holds `wanted.since_ms`, the slowest
    function first."""
    since_ms = wanted.since_ms - wanted.since_ms % HOUR_MS
    mine: dict[tuple[str, str], list[tuple[int, DurationCount]]] = {}
    for place, count in reader.durations(msgspec.structs.replace(wanted, since_ms=since_ms)):
        mine.setdefault((place.app, place.function), []).append((place.bucket, count))
    found = [_duration(*key, sorted(counts)) for key, counts in mine.items()]
    return sorted(found, key=lambda one: (-one.slow_ms, one.function.name))


def _duration(app: str, function: str, counts: Sequence[tuple[int, DurationCount]]) -> DurationV2:
    runs = sum(count.runs for _, count in counts)
    longest = counts[-1][1]
    return DurationV2(
        function=function_ref(function),
        app=app_ref(app),
        runs=runs,
        median_ms=_took_ms(counts, (runs - 1) // 2),
        slow_ms=_took_ms(counts, int((runs - 1) * SLOW_SHARE + 0.5)),
        run_id=longest.run_id,
    )


def _took_ms(counts: Sequence[tuple[int, DurationCount]], rank: int) -> int:
    """How long the run took that so many were quicker than."""
    passed = 0
    for bucket, count in counts:
        passed += count.runs
        if rank < passed - 1:
            return min(middle_of(bucket), count.longest_ms)
        if rank == passed - 1:
            return count.longest_ms  # the last of its bucket
    return counts[-1][1].longest_ms
