"""What runs ended with, counted as they end: how long completed ones took, by the hour, and what
failed ones failed with, by minute and by hour. The only place that counts either. Pure.

Durations are counted in buckets, eight for each power of two: a number read back from a bucket is
wrong by a sixteenth at most. Errors are alike if their name is the same, and their message but for
numbers and ids.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import cast

import msgspec

from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.counting import FORGOTTEN_MAX, HOUR_MS, KEPT_MS, MINUTE_MS
from stepwell.server.store.port import (
    DurationCount,
    DurationPlace,
    EndedFilter,
    FailureCount,
    FailurePlace,
)
from stepwell.wire.failure import decode_failure, shortened

KINDS_MAX = 50
"""So many kinds of errors of a function are told apart in a minute or an hour; others are counted
together, as kind `OTHERS`."""
OTHERS = 0
NAME_CHARS_MAX = 100
MESSAGE_CHARS_MAX = 200
LOOKED_CHARS = 500
"""So much of a message is looked at."""

_VARIES = re.compile(
    r"0x[0-9a-f]+|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-hjkmnp-tv-z]{26}\b"
    r"|\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d+",
    re.IGNORECASE,
)
"""What tells one error from another like it: numbers, addresses and ids."""


class EndedCounts(msgspec.Struct, frozen=True):
    """What a batch adds."""

    durations: dict[DurationPlace, DurationCount]
    failures: dict[FailurePlace, FailureCount]


def ended_counts(changes: Changes, before: Callable[[str], Run]) -> EndedCounts:
    """What a batch adds. `before` gives a run that the batch changes as it was."""
    durations: dict[DurationPlace, DurationCount] = {}
    failures: dict[FailurePlace, FailureCount] = {}
    for run_id in changes.ended:
        run = changes.runs.get(run_id)
        if run is None:
            run = changes.started.get(run_id)
        elif run_id not in changes.started and before(run_id).ended:
            continue
        if run is None:
            continue
        if run.status is RunStatus.COMPLETED and run.started_ms:
            _add_run(durations, run)
        elif run.status is RunStatus.FAILED and run.output is not None:
            for place, count in _failed(run, run.output):
                _add_failure(failures, place, count)
    return EndedCounts(durations, failures)


# -- durations ------------------------------------------------------------------------------------


def _add_run(counts: dict[DurationPlace, DurationCount], run: Run) -> None:
    took_ms = max(run.ended_ms - run.started_ms, 0)
    hour_ms = run.ended_ms - run.ended_ms % HOUR_MS
    place = DurationPlace(hour_ms, run.app, run.function, bucket_of(took_ms))
    _add_duration(counts, place, DurationCount(1, took_ms, run.id))


def bucket_of(took_ms: int) -> int:
    """The bucket that counts this time."""
    if took_ms < 8:
        return took_ms
    shift = took_ms.bit_length() - 4
    return 8 * shift + (took_ms >> shift)


def middle_of(bucket: int) -> int:
    """What a time in a bucket is told as: its middle, in milliseconds."""
    if bucket < 16:
        return bucket
    shift = bucket // 8 - 1
    return (8 + bucket % 8 << shift) + (1 << shift - 1)


def _add_duration(
    counts: dict[DurationPlace, DurationCount], place: DurationPlace, more: DurationCount
) -> None:
    known = counts.get(place)
    if known is None:
        counts[place] = more
        return
    _, longest_ms, run_id = more if more.longest_ms > known.longest_ms else known
    counts[place] = DurationCount(known.runs + more.runs, longest_ms, run_id)


# -- failures -------------------------------------------------------------------------------------


def _failed(run: Run, output: bytes) -> list[tuple[FailurePlace, FailureCount]]:
    failure = decode_failure(output)
    name = _storable(failure.name)[:NAME_CHARS_MAX]
    message = _storable(failure.message)
    kind = kind_of(name, message)
    short = shortened(message, MESSAGE_CHARS_MAX)
    count = FailureCount(name, short, 1, run.ended_ms, run.ended_ms, run.id)
    return [
        (FailurePlace(span, run.ended_ms - run.ended_ms % span, run.app, run.function, kind), count)
        for span in (MINUTE_MS, HOUR_MS)
    ]


def _storable(text: str) -> str:
    """A text that every database takes."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def kind_of(name: str, message: str) -> int:
    """A number that alike errors share, and others do not."""
    told = f"{name}\n{pattern_of(message)}".encode()
    return int.from_bytes(blake2b(told, digest_size=7).digest(), "big") + 1


def pattern_of(message: str) -> str:
    """What messages of one kind share: their first line, without numbers and ids."""
    return _VARIES.sub("…", message[:LOOKED_CHARS].split("\n", 1)[0])[:MESSAGE_CHARS_MAX]


def _add_failure(
    counts: dict[FailurePlace, FailureCount], place: FailurePlace, more: FailureCount
) -> None:
    known = counts.get(place)
    counts[place] = more if known is None else both(known, more)


def both(one: FailureCount, other: FailureCount) -> FailureCount:
    """Two counts of one kind together: name, message and run are the latest."""
    latest = other if (other.last_ms, other.run_id) >= (one.last_ms, one.run_id) else one
    first_ms = min(one.first_ms, other.first_ms)
    return latest._replace(runs=one.runs + other.runs, first_ms=first_ms)


# -- what is kept in memory -----------------------------------------------------------------------


def add_ended(kept: EndedCounts, added: EndedCounts) -> None:
    """Add what a batch adds."""
    for duration, took in added.durations.items():
        _add_duration(kept.durations, duration, took)
    for place, count in added.failures.items():
        mine = [one for one in kept.failures if one[:4] == place[:4] and one.kind != OTHERS]
        known = place in kept.failures or len(mine) < KINDS_MAX
        _add_failure(kept.failures, place if known else place._replace(kind=OTHERS), count)


def forget_ended(kept: EndedCounts, newest_ms: int) -> None:
    """Forget what is old when so new a minute is counted."""
    old_ms = newest_ms - KEPT_MS[HOUR_MS]
    for took in sorted(one for one in kept.durations if one.at_ms < old_ms)[:FORGOTTEN_MAX]:
        del kept.durations[took]
    for span_ms, kept_ms in KEPT_MS.items():
        mine = (one for one in kept.failures if one.span_ms == span_ms)
        old = sorted(one for one in mine if one.at_ms < newest_ms - kept_ms)
        for place in old[:FORGOTTEN_MAX]:
            del kept.failures[place]


def durations_in(
    kept: Mapping[DurationPlace, DurationCount], wanted: EndedFilter
) -> list[tuple[DurationPlace, DurationCount]]:
    """How many runs took how long, hours together."""
    found: dict[DurationPlace, DurationCount] = {}
    for place, count in kept.items():
        if _wants(wanted, place):
            _add_duration(found, place._replace(at_ms=0), count)
    return list(found.items())


def failures_in(
    kept: Mapping[FailurePlace, FailureCount], wanted: EndedFilter, span_ms: int
) -> list[tuple[FailurePlace, FailureCount]]:
    """What runs failed with, each minute and hour for itself."""
    return [
        (place, count)
        for place, count in kept.items()
        if place.span_ms == span_ms and _wants(wanted, place)
    ]


def _wants(wanted: EndedFilter, place: DurationPlace | FailurePlace) -> bool:
    return (
        wanted.since_ms <= place.at_ms < wanted.until_ms
        and (not wanted.apps or place.app in wanted.apps)
        and (not wanted.functions or place.function in wanted.functions)
    )


# -- rows -----------------------------------------------------------------------------------------


def duration_of(values: Sequence[object]) -> tuple[DurationPlace, DurationCount]:
    """From all columns of `duration_count`."""
    at_ms, app, function, bucket, runs, longest_ms, run_id = cast(
        "tuple[int, str, str, int, int, int, str]", values
    )
    place = DurationPlace(at_ms, app, function, bucket)
    return place, DurationCount(runs, longest_ms, run_id)


def failure_of(values: Sequence[object]) -> tuple[FailurePlace, FailureCount]:
    """From all columns of `failure_count`."""
    span_ms, at_ms, app, function, kind, *count = cast(
        "tuple[int, int, str, str, int, str, str, int, int, int, str]", values
    )
    place = FailurePlace(span_ms, at_ms, app, function, kind)
    return place, FailureCount(*cast("tuple[str, str, int, int, int, str]", tuple(count)))
