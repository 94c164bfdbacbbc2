"""Runs that wait in lanes, where the due items of an app do not show them, and will not move by
themselves: nobody serves their function, or it rests. Pure but for what the reader reads."""

from collections.abc import Callable, Iterable

from stepwell.server.engine.name.lane import is_lane, lane_of
from stepwell.server.engine.row.run import Item, ItemKind, Run, RunStatus
from stepwell.server.query.rest import Hindrance, Rest
from stepwell.server.query.waiting import RUNS_MAX
from stepwell.server.store.port import Reader, RunFilter, RunTime

GOING = (RunStatus.SCHEDULED, RunStatus.RUNNING)


def in_lanes(
    reader: Reader, functions: Iterable[str], why: Callable[[Run], Rest | None], now_ms: int
) -> list[Run]:
    """Of each function that is hindered, the runs with a call that would begin otherwise, the
    oldest first."""
    found: list[Run] = []
    for function in sorted(functions):
        first = reader.runs(_going(function, 1))
        hindered = why(first[0]) if first else None
        if hindered is None or hindered.reason is Hindrance.BUSY:
            continue
        is_paused = hindered.reason is Hindrance.PAUSED
        runs = reader.runs(_going(function, RUNS_MAX))
        calls = reader.open_items([run.id for run in runs])
        found += [
            run
            for run in runs
            if any(_waits(item, now_ms, plain=is_paused) for item in calls.get(run.id, ()))
        ]
    return found


def _going(function: str, limit: int) -> RunFilter:
    return RunFilter(
        statuses=GOING, functions=(function,), time=RunTime.QUEUED, ascending=True, limit=limit
    )


def _waits(item: Item, now_ms: int, *, plain: bool) -> bool:
    """Whether a call would begin; of a paused function, also one that nobody has looked at yet."""
    if item.kind is not ItemKind.CALL or not (plain or is_lane(item.queue)):
        return False
    is_ranked = is_lane(item.queue) and lane_of(item.queue).is_ranked
    return is_ranked or item.due_ms <= now_ms
