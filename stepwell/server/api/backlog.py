"""The runs of each function that have not begun: how many, since when, and what hinders them.

Counts come from memory; the oldest run of each function is a look-up in an index.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.reach import gone_since, reach_of
from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.query.rest import Hindrance, rest
from stepwell.server.query.room import rests
from stepwell.server.store.port import RunFilter

PAUSED = "paused"
NOTHING_HINDERS = "none"


class UnderWay(NamedTuple):
    """Runs that are called now: how many of each function for the first time, and all by their id.
    What is stored does not say that the former have begun."""

    first: Mapping[str, int]
    begun: frozenset[str]

    @classmethod
    def of(cls, called: Iterable[Run]) -> "UnderWay":
        """Of the runs a dispatcher calls."""
        runs = list(called)
        first = Counter(run.function for run in runs if not run.started_ms)
        return cls(first, frozenset(run.id for run in runs))


class Backlog(NamedTuple):
    """The runs of a function that have not begun: how many, since when, and what hinders them."""

    function: str
    app: str
    reason: str
    runs: int
    since_ms: int


def backlogs(
    deps: ApiDeps, under_way: UnderWay, most: int, live: Mapping[tuple[str, RunStatus], int]
) -> list[Backlog]:
    """What waits, function by function; those with the most first, so many at most. `live` is what
    the reader says of it: to count what goes on may mean to look at each."""
    counts = {
        function: count - under_way.first.get(function, 0)
        for (function, status), count in live.items()
        if status is RunStatus.SCHEDULED
    }
    gone = gone_since(deps)
    fullest = sorted(counts.items(), key=lambda entry: -entry[1])[:most]
    told = (_backlog(deps, function, count, under_way, gone) for function, count in fullest)
    return [one for one in told if one is not None]


def backlog_of(
    deps: ApiDeps, function: str, under_way: UnderWay, live: Mapping[tuple[str, RunStatus], int]
) -> Backlog | None:
    """What waits of one function; None if nothing does."""
    stored = live.get((function, RunStatus.SCHEDULED), 0)
    count = stored - under_way.first.get(function, 0)
    return _backlog(deps, function, count, under_way, gone_since(deps))


def _backlog(
    deps: ApiDeps, function: str, count: int, under_way: UnderWay, gone: Mapping[str, int]
) -> Backlog | None:
    oldest = _oldest(deps, function, under_way) if count > 0 else None
    if oldest is None:
        return None
    return Backlog(function, oldest.app, _reason(deps, oldest, gone), count, oldest.queued_ms)


def _oldest(deps: ApiDeps, function: str, under_way: UnderWay) -> Run | None:
    wanted = RunFilter(
        statuses=(RunStatus.SCHEDULED,),
        functions=(function,),
        ascending=True,
        limit=under_way.first.get(function, 0) + 1,
    )
    return next((run for run in deps.reader.runs(wanted) if run.id not in under_way.begun), None)


def _reason(deps: ApiDeps, run: Run, gone: Mapping[str, int]) -> str:
    if run.function in deps.ledger.catalog.paused:
        return PAUSED
    hindered = rest(run, reach_of(deps, run.app, run.function, gone))
    if hindered is not None:
        return hindered.reason.value
    listing = deps.ledger.catalog.listing(run.function)
    items = deps.reader.items(run.id)
    limited = rests(deps.reader, run, listing, deps.clock.now_ms(), items)
    return Hindrance.LIMIT.value if limited else NOTHING_HINDERS
