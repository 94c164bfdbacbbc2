"""How many runs came to each status, by minute and by hour: what a batch adds, and for how long it
is kept. The only place that counts runs for charts. Pure.

A run counts once for each status it came to, in the minute and the hour of the time that its row
says. So what is counted is what one would count in the rows of all runs there ever were.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.port import CountBy, CountFilter, CountPlace, RunCount

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
KEPT_MS: Mapping[int, int] = {MINUTE_MS: 48 * HOUR_MS, HOUR_MS: 90 * 24 * HOUR_MS}
"""For how long counts are kept, by the length of their time, before the newest minute."""
FORGOTTEN_MAX = 1_000
"""So many old counts of each length go at a time, so that no commit takes long."""

CountKey: TypeAlias = tuple[int, int, str, str]
"""The length of a time, when it begins, an app and a function."""

_QUEUED, _STARTED = 0, 1
_PART = {RunStatus.COMPLETED: 2, RunStatus.FAILED: 3, RunStatus.CANCELLED: 4}
_Minute: TypeAlias = tuple[int, str, str]


def counted(changes: Changes, before: Callable[[str], Run]) -> dict[CountKey, list[int]]:
    """What a batch adds, by minute and hour: runs queued, started, completed, failed and cancelled.
    `before` gives a run that the batch changes as it was."""
    minutes: dict[_Minute, list[int]] = {}
    for run in changes.started.values():
        _add(minutes, run, run.queued_ms, _QUEUED)
        _came_to(minutes, run, has_started=False)
    for run_id, run in changes.runs.items():
        was = before(run_id)
        if run.status is not was.status or run.started_ms != was.started_ms:
            _came_to(minutes, run, has_started=was.started_ms > 0)
    added: dict[CountKey, list[int]] = {}
    for (at_ms, app, function), parts in minutes.items():
        added[MINUTE_MS, at_ms, app, function] = parts
        hour = (HOUR_MS, at_ms - at_ms % HOUR_MS, app, function)
        known = added.get(hour)
        added[hour] = parts if known is None else _sum(known, parts)
    newest_ms = newest_minute(added)
    # What would go at once is not added. Nothing was old enough if all is of one minute.
    if len(minutes) > 1:
        return {key: parts for key, parts in added.items() if not is_old(key, newest_ms)}
    return added


def is_old(key: CountKey, newest_ms: int) -> bool:
    """Whether a count is kept no longer when so new a minute is counted."""
    span_ms, at_ms, _, _ = key
    return at_ms < newest_ms - KEPT_MS[span_ms]


def add_to(kept: dict[CountKey, list[int]], added: Mapping[CountKey, list[int]]) -> None:
    """Add what a batch adds, and forget what is old by then."""
    for key, parts in added.items():
        kept[key] = _sum(kept.get(key, [0, 0, 0, 0, 0]), parts)
    newest_ms = newest_minute(added)
    for span_ms in KEPT_MS:
        mine = (key for key in kept if key[0] == span_ms)
        for key in sorted(key for key in mine if is_old(key, newest_ms))[:FORGOTTEN_MAX]:
            del kept[key]


def _sum(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _came_to(minutes: dict[_Minute, list[int]], run: Run, *, has_started: bool) -> None:
    if run.started_ms and not has_started:
        _add(minutes, run, run.started_ms, _STARTED)
    if run.ended:
        _add(minutes, run, run.ended_ms, _PART[run.status])


def _add(minutes: dict[_Minute, list[int]], run: Run, at_ms: int, part: int) -> None:
    minute = (at_ms - at_ms % MINUTE_MS, run.app, run.function)
    parts = minutes.get(minute)
    if parts is None:
        parts = minutes[minute] = [0, 0, 0, 0, 0]
    parts[part] += 1


def newest_minute(added: Iterable[CountKey]) -> int:
    """The newest minute in which something was added."""
    return max((at_ms for span_ms, at_ms, _, _ in added if span_ms == MINUTE_MS), default=0)


def listed(kept: Mapping[CountKey, list[int]], wanted: CountFilter) -> list[RunCount]:
    """The counts that a filter is about, put together as it says."""
    found: dict[CountPlace, list[int]] = {}
    for (span_ms, at_ms, app, function), parts in kept.items():
        if span_ms != wanted.span_ms or not wanted.since_ms <= at_ms < wanted.until_ms:
            continue
        if wanted.apps and app not in wanted.apps:
            continue
        if wanted.functions and function not in wanted.functions:
            continue
        place = CountPlace(
            at_ms,
            "" if wanted.by is CountBy.TIME else app,
            function if wanted.by is CountBy.FUNCTION else "",
        )
        found[place] = _sum(found.get(place, [0, 0, 0, 0, 0]), parts)
    in_order = sorted(place for place in found if place > wanted.after)
    return [RunCount(place, *found[place]) for place in in_order[: wanted.limit]]
