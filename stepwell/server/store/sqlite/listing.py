"""Lists of runs and events, each page read through an index: what it costs grows with the page, not
with the table.

The index of runs is by status, app and function, then time. So a list is a merge of short sorted
streams, one for each status and function that is wanted; events are merged by name.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import chain, islice
from typing import NamedTuple, TypeAlias

import msgspec

from stepwell.server.engine.row.run import MAIN, EventRow, Lease, Run, RunStatus
from stepwell.server.store.port import EventFilter, Mark, RunFilter, RunTime
from stepwell.server.store.reading import INTERNAL, as_seen, mark_of, wants_run
from stepwell.server.store.row import Value, event_of, run_of
from stepwell.server.store.sqlite.connection import SQL

AFTER_ALL = Mark(2**63 - 1, "\U0010ffff")
BEFORE_ALL = Mark(-1, "")
LAST_MS = 2**63 - 1
FEW = 2_000
"""So many runs are sorted at once."""
SOME = 20_000
"""So many runs are sorted by the database, which meets each of them for that."""
FIRST = 8
"""So many rows of a stream are read at first at least, and four times as many each time after."""
PAGE_MAX = 500
"""So many rows of a stream are read at a time at most."""
NEAR = 4_000
"""So many runs, in the order of a time, are passed over before anything else is tried."""

Leases: TypeAlias = Mapping[tuple[str, str], Lease]
Bounds: TypeAlias = dict[str, Value]


_BY_TIME = {
    (RunTime.ENDED, False): ("nth_end_down", "some_by_end_down", "runs_by_end_down"),
    (RunTime.ENDED, True): ("nth_end_up", "some_by_end_up", "runs_by_end_up"),
    (RunTime.STARTED, False): ("nth_start_down", "some_by_start_down", "runs_by_start_down"),
    (RunTime.STARTED, True): ("nth_start_up", "some_by_start_up", "runs_by_start_up"),
}
"""The statements for lists in the order of a time: which time the run has that comes after so many
others, and lists where some runs are wanted, and where many."""


class Found(NamedTuple):
    """An entry of a stream: where it stands, and the number of its row."""

    at_ms: int
    id: str
    seq: int


# -- runs -----------------------------------------------------------------------------------------


def list_runs(db: sqlite3.Connection, leases: Leases, wanted: RunFilter) -> list[Run]:
    """A page of runs, as readers see them."""
    if wanted.time is RunTime.QUEUED:
        return _by_queueing(db, leases, wanted)
    if wanted.statuses and not any(_may_have(status, wanted.time) for status in wanted.statuses):
        return []
    found = _near(db, leases, wanted)
    if found is None:
        found = _far(db, leases, wanted)
    if wanted.time is RunTime.ENDED:
        return found
    begun = [run for run in _leased(db, leases) if wants_run(wanted, run)]
    return _sorted([*begun, *found], wanted)


def _near(db: sqlite3.Connection, leases: Leases, wanted: RunFilter) -> list[Run] | None:
    """A page that is full before `NEAR` runs were passed over, or that is the last one."""
    nth, _, any_ = _BY_TIME[wanted.time, wanted.ascending]
    asked = {**_rest(wanted, _begin(wanted)), "passed": NEAR}
    edge = db.execute(SQL[nth], asked).fetchone()
    if edge is None:
        return _by_time(db, leases, wanted, SQL[any_])
    if wanted.ascending:
        narrowed = msgspec.structs.replace(wanted, until_ms=edge[0] + 1)
    else:
        narrowed = msgspec.structs.replace(wanted, since_ms=edge[0])
    found = _by_time(db, leases, narrowed, SQL[any_])
    return found if len(found) == wanted.limit else None


def _far(db: sqlite3.Connection, leases: Leases, wanted: RunFilter) -> list[Run]:
    """A page of runs that are rare among the others: those with a call under way aside."""
    few = _few(db, wanted)
    if few is not None:
        seen = (as_seen(run, leases.get((run.id, MAIN))) for run in _rows(db, few))
        return _sorted([run for run in seen if wants_run(wanted, run)], wanted)
    _, some, any_ = _BY_TIME[wanted.time, wanted.ascending]
    if _are_some(db, wanted):
        return _some(db, leases, wanted, SQL[some])
    return _by_time(db, leases, wanted, SQL[any_])


def _by_queueing(db: sqlite3.Connection, leases: Leases, wanted: RunFilter) -> list[Run]:
    """Which of the first two statuses a run has, its lease says: the row may not know yet."""
    begun = [run for run in _leased(db, leases) if wants_run(wanted, run)]
    running = {run_id for run_id, key in list(leases) if key == MAIN}
    found: list[Run] = []
    streams = _streams(db, wanted, wanted.limit)
    entries = merge(*streams, reverse=not wanted.ascending)
    # An entry is passed over that is among those that have begun.
    while len(found) < wanted.limit:
        page = list(islice(entries, wanted.limit - len(found)))
        if not page:
            break
        rows = _rows(db, page)
        seen = (as_seen(run, leases.get((run.id, MAIN))) for run in rows)
        found += [run for run in seen if run.id not in running and wants_run(wanted, run)]
    return _sorted([*found, *begun], wanted)


def _may_have(status: RunStatus, time: RunTime) -> bool:
    """Whether runs of a status can have come to a time."""
    return status.ended or (time is RunTime.STARTED and status is RunStatus.RUNNING)


def _few(db: sqlite3.Connection, wanted: RunFilter) -> list[Found] | None:
    """The runs a list is about, whatever their times, if they are few: they are sorted at once.
    Where they are many, enough of them are met soon in the order of the time itself."""
    of = RunFilter(wanted.statuses, wanted.functions, wanted.apps, deferred=wanted.deferred)
    found = list(islice(chain.from_iterable(_streams(db, of, FEW)), FEW + 1))
    return found if len(found) <= FEW else None


def _are_some(db: sqlite3.Connection, wanted: RunFilter) -> bool:
    """Whether the runs a list is about, whatever their times, are so many at most that to look at
    each costs less than to look for them among all others."""
    if not (wanted.statuses or wanted.apps or wanted.functions or wanted.deferred is not None):
        return False
    left = SOME
    for status in (int(status) for status in wanted.statuses or RunStatus):
        for app, function in _functions(db, status, wanted):
            of = {"status": status, "app": app, "function": function, "limit": left + 1}
            left -= db.execute(SQL["count_of_stream"], of).fetchone()[0]
            if left < 0:
                return False
    return True


def _some(db: sqlite3.Connection, leases: Leases, wanted: RunFilter, statement: str) -> list[Run]:
    """The first of each status and function, by a time of theirs, and the first of all of those."""
    rest = {**_rest(wanted, _begin(wanted)), "limit": wanted.limit, **_deferred(wanted)}
    found: list[Found] = []
    for status in (int(status) for status in wanted.statuses or RunStatus):
        for app, function in _functions(db, status, wanted):
            of = {"status": status, "app": app, "function": function, **rest}
            found += (Found(*row) for row in db.execute(statement, of))
    found.sort(reverse=not wanted.ascending)
    seen = (as_seen(run, leases.get((run.id, MAIN))) for run in _rows(db, found[: wanted.limit]))
    return _sorted([run for run in seen if wants_run(wanted, run)], wanted)


def _deferred(wanted: RunFilter) -> Bounds:
    return {"deferred": -1 if wanted.deferred is None else int(wanted.deferred)}


def _leased(db: sqlite3.Connection, leases: Leases) -> list[Run]:
    """Runs with a call under way: as many as there are calls, however many runs."""
    ids = [run_id for run_id, key in list(leases) if key == MAIN]
    rows = db.execute(SQL["runs_of_ids"], (_json(ids),)) if ids else ()
    runs = (run_of(row)[0] for row in rows)
    return [as_seen(run, leases.get((run.id, MAIN))) for run in runs]


def _functions(db: sqlite3.Connection, status: int, wanted: RunFilter) -> Iterator[tuple[str, str]]:
    """Every app and function with runs of this status, as far as they are wanted."""
    for app, function in db.execute(SQL["functions_of_runs"], {"status": status}).fetchall():
        if (not wanted.apps or app in wanted.apps) and (
            not wanted.functions or function in wanted.functions
        ):
            yield app, function


def _between(since_ms: int, until_ms: int | None, mark: Mark, *, ascending: bool) -> Bounds:
    """What remains of a list after a place, as one range of times: the index is entered there."""
    last_ms = LAST_MS if until_ms is None else until_ms - 1
    first_ms = max(since_ms, mark.at_ms) if ascending else since_ms
    last_ms = last_ms if ascending else min(last_ms, mark.at_ms)
    return {"from_ms": first_ms, "to_ms": last_ms, "at_ms": mark.at_ms, "id": mark.id}


def _begin(wanted: RunFilter) -> Mark:
    return wanted.after or (BEFORE_ALL if wanted.ascending else AFTER_ALL)


def _rest(wanted: RunFilter, mark: Mark) -> Bounds:
    since_ms = max(wanted.since_ms, 1)
    return _between(since_ms, wanted.until_ms, mark, ascending=wanted.ascending)


def _streams(db: sqlite3.Connection, wanted: RunFilter, size: int) -> Iterator[Iterator[Found]]:
    places: list[Bounds] = [
        {"status": status, "app": app, "function": function}
        for status in (int(status) for status in wanted.statuses or RunStatus)
        for app, function in _functions(db, status, wanted)
    ]
    first = _first(size, len(places))
    return (_stream(db, of, wanted, first) for of in places)


def _first(wanted: int, streams: int) -> int:
    """How many rows of each stream are read at first: twice its share of the page."""
    share = 2 * wanted // max(streams, 1)
    return min(max(share, FIRST), max(wanted, 1), PAGE_MAX)


def _stream(db: sqlite3.Connection, of: Bounds, wanted: RunFilter, size: int) -> Iterator[Found]:
    down, up = ("deferred_down", "deferred_up") if wanted.deferred else ("runs_down", "runs_up")
    statement = SQL[up if wanted.ascending else down]
    mark = _begin(wanted)
    while True:
        asked = {**of, **_rest(wanted, mark), "limit": size}
        page = [Found(*row) for row in db.execute(statement, asked)]
        yield from page
        if len(page) < size:
            return
        mark, size = Mark(page[-1].at_ms, page[-1].id), min(4 * size, PAGE_MAX)


def _rows(db: sqlite3.Connection, page: Iterable[Found]) -> list[Run]:
    seqs = [entry.seq for entry in page]
    return [run_of(row)[0] for row in db.execute(SQL["runs_of_seqs"], (_json(seqs),))]


def _by_time(
    db: sqlite3.Connection, leases: Leases, wanted: RunFilter, statement: str
) -> list[Run]:
    """By a time that has an index of its own; what else is wanted is looked for in its order, by
    the database: nearly none of what it passes over is wanted."""
    of: Bounds = {
        "statuses": _json([int(status) for status in wanted.statuses or RunStatus]),
        "apps": _json(wanted.apps),
        "functions": _json(wanted.functions),
        **_deferred(wanted),
    }
    mark = _begin(wanted)
    found: list[Run] = []
    size = min(max(wanted.limit, 1), PAGE_MAX)
    while len(found) < wanted.limit:
        asked = {**of, **_rest(wanted, mark), "limit": size}
        page = [run_of(row)[0] for row in db.execute(statement, asked)]
        seen = (as_seen(run, leases.get((run.id, MAIN))) for run in page)
        found += [run for run in seen if wants_run(wanted, run)]
        if len(page) < size:
            break
        mark, size = mark_of(page[-1], wanted.time), PAGE_MAX
    return found[: wanted.limit]


def _sorted(found: Iterable[Run], wanted: RunFilter) -> list[Run]:
    distinct = {run.id: run for run in found}.values()
    in_order = sorted(
        distinct, key=lambda run: mark_of(run, wanted.time), reverse=not wanted.ascending
    )
    return in_order[: wanted.limit]


# -- events ---------------------------------------------------------------------------------------


def list_events(db: sqlite3.Connection, wanted: EventFilter) -> list[EventRow]:
    """A page of events, the latest first."""
    names = [wanted.name] if wanted.name else _names(db, internal=wanted.internal)
    first = _first(wanted.limit, len(names))
    streams = [_stream_of_name(db, name, wanted, first) for name in names]
    page = list(islice(merge(*streams, reverse=True), wanted.limit))
    seqs = _json([entry.seq for entry in page])
    rows = [event_of(row) for row in db.execute(SQL["events_of_seqs"], (seqs,))]
    return sorted(rows, key=lambda event: (event.received_ms, event.id), reverse=True)


def _names(db: sqlite3.Connection, *, internal: bool) -> list[str]:
    names = [name for (name,) in db.execute(SQL["names_of_events"])]
    return [name for name in names if internal or not name.startswith(INTERNAL)]


def _stream_of_name(
    db: sqlite3.Connection, name: str, wanted: EventFilter, size: int
) -> Iterator[Found]:
    mark = wanted.after or AFTER_ALL
    while True:
        rest = _between(wanted.since_ms, wanted.until_ms, mark, ascending=False)
        asked = {**rest, "name": name, "limit": size}
        page = [Found(*row) for row in db.execute(SQL["events_of_name"], asked)]
        yield from page
        if len(page) < size:
            return
        mark, size = Mark(page[-1].at_ms, page[-1].id), min(4 * size, PAGE_MAX)


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
