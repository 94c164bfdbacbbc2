"""Lists of runs and events: the conditions that a filter stands for, each only where it says
something, so that the database may choose an index by them."""

from typing import TypeAlias

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.store.port import EventFilter, RunFilter, RunTime
from stepwell.server.store.postgres.connection import SQL
from stepwell.server.store.reading import INTERNAL
from stepwell.server.store.row import DEFERRED

HIDDEN = 3
"""The last columns of a run as it is asked for: what is stored of it, and its lease."""
PARTS_MAX = 40
"""So many parts of a list are looked for one by one."""

Asked: TypeAlias = tuple[bytes, dict[str, object]]
"""A statement and its parameters."""

_COLUMN = {
    RunTime.QUEUED: b"queued_ms",
    RunTime.STARTED: b"started_ms",
    RunTime.ENDED: b"ended_ms",
}


def runs_asked(wanted: RunFilter) -> Asked:
    """A page of runs, as readers see them: the first of each part, each found in the order of an
    index, and the first of all of those."""
    after = b">" if wanted.ascending else b"<"
    way = b"ASC" if wanted.ascending else b"DESC"
    asked: dict[str, object] = {"since": wanted.since_ms, "limit": wanted.limit}
    # The former is what some indexes have as their condition.
    bounds = [b"{time} > 0", b"{time} >= %(since)s"]
    if wanted.until_ms is not None:
        bounds.append(b"{time} < %(until)s")
        asked["until"] = wanted.until_ms
    if wanted.deferred is not None:
        bounds.append(b"(flags & %(flag)s <> 0) = %(deferred)s")
        asked |= {"flag": DEFERRED, "deferred": wanted.deferred}
    if wanted.after is not None:
        bounds.append(b"({time}, id) " + after + b" (%(at_ms)s, %(id)s)")
        asked |= {"at_ms": wanted.after.at_ms, "id": wanted.after.id}
    ending = b" ORDER BY {time} " + way + b", id " + way + b" LIMIT %(limit)s"
    standings = _standings(wanted)
    places = _places(wanted, asked, len(standings))
    parts = [
        b"(SELECT * FROM seen WHERE "
        + b" AND ".join([*standing, *place, *bounds]).replace(b"{time}", time)
        + ending.replace(b"{time}", time)
        + b")"
        for standing, time in standings
        for place in places
    ]
    whole = ending.replace(b"{time}", _COLUMN[wanted.time])
    return SQL["runs"] + b" (" + b" UNION ALL ".join(parts) + b") AS found" + whole, asked


def _standings(wanted: RunFilter) -> list[tuple[list[bytes], bytes]]:
    """What is said of the status, in parts of which each stands together in an index; and which
    column tells the time in each. That a run is called for the first time, its lease says alone."""
    time = _COLUMN[wanted.time]
    is_started = wanted.time is RunTime.STARTED
    stored = b"stored_started_ms" if is_started else time
    first_calls = ([b"stored_status = 100", b"lease_id IS NOT NULL"], time)
    if not wanted.statuses:
        return [([], stored), first_calls] if is_started else [([], stored)]
    found: list[tuple[list[bytes], bytes]] = []
    for status in dict.fromkeys(wanted.statuses):
        if status is RunStatus.SCHEDULED:
            # Most have no lease: said so that the database expects it, and keeps to the index.
            found.append(([b"stored_status = 100", b"(lease_id IS NOT NULL)::int <> 1"], stored))
        else:
            found.append(([b"stored_status = %d" % int(status)], stored))
        if status is RunStatus.RUNNING:
            found.append(first_calls)
    return found


def _places(wanted: RunFilter, asked: dict[str, object], standings: int) -> list[list[bytes]]:
    """What is said of function and app, in parts of which each stands together in an index."""
    found: list[bytes] = []
    names = wanted.functions or wanted.apps
    column = b"function" if wanted.functions else b"app"
    if wanted.functions and wanted.apps:
        found.append(b"app = ANY(%(apps)s)")
        asked["apps"] = list(wanted.apps)
    if not names:
        return [found]
    distinct = list(dict.fromkeys(names))
    if len(distinct) * standings > PARTS_MAX:
        asked["names"] = distinct
        return [[*found, column + b" = ANY(%(names)s)"]]
    asked |= {f"name{n}": name for n, name in enumerate(distinct)}
    return [[*found, column + b" = %%(name%d)s" % n] for n in range(len(distinct))]


def run_asked(run_id: str) -> Asked:
    """One run, as readers see it."""
    return SQL["runs"] + b" seen WHERE id = %(id)s", {"id": run_id}


def runs_of_event_asked(event_id: str) -> Asked:
    """The runs an event started, as readers see them."""
    condition = (
        b" seen WHERE id IN (SELECT id FROM stepwell.run WHERE event_id = %(event_id)s"
        b" UNION SELECT run_id FROM stepwell.run_event WHERE event_id = %(event_id)s) ORDER BY id"
    )
    return SQL["runs"] + condition, {"event_id": event_id}


def events_asked(wanted: EventFilter) -> Asked:
    """A page of events, the latest first."""
    conditions = [b"received_ms >= %(since)s"]
    asked: dict[str, object] = {"since": wanted.since_ms, "limit": wanted.limit}
    if wanted.name:
        conditions.append(b"name = %(name)s")
        asked["name"] = wanted.name
    elif not wanted.internal:
        conditions.append(b"NOT starts_with(name, %(internal)s)")
        asked["internal"] = INTERNAL
    if wanted.until_ms is not None:
        conditions.append(b"received_ms < %(until)s")
        asked["until"] = wanted.until_ms
    if wanted.after is not None:
        conditions.append(b"(received_ms, id) < (%(at_ms)s, %(id)s)")
        asked |= {"at_ms": wanted.after.at_ms, "id": wanted.after.id}
    ending = b" ORDER BY received_ms DESC, id DESC LIMIT %(limit)s"
    return SQL["events"] + b" " + b" AND ".join(conditions) + ending, asked
