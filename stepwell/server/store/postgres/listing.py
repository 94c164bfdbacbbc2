"""Lists of runs and events: the conditions that a filter stands for, each only where it says
something, so that the database may choose an index by them."""

from typing import TypeAlias

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.store.port import EventFilter, RunFilter, RunTime
from stepwell.server.store.postgres.connection import SQL
from stepwell.server.store.reading import INTERNAL
from stepwell.server.store.row import DEFERRED

Asked: TypeAlias = tuple[bytes, dict[str, object]]
"""A statement and its parameters."""

_COLUMN = {
    RunTime.QUEUED: b"queued_ms",
    RunTime.STARTED: b"started_ms",
    RunTime.ENDED: b"ended_ms",
}


def runs_asked(wanted: RunFilter) -> Asked:
    """A page of runs, as readers see them."""
    time = _COLUMN[wanted.time]
    order = b"ASC" if wanted.ascending else b"DESC"
    after = b">" if wanted.ascending else b"<"
    # The statement says which run is seen how; which rows can be is said by what is stored.
    conditions = [time + b" > 0", time + b" >= %(since)s"]
    asked: dict[str, object] = {"since": wanted.since_ms, "limit": wanted.limit}
    if wanted.until_ms is not None:
        conditions.append(time + b" < %(until)s")
        asked["until"] = wanted.until_ms
    if wanted.statuses:
        conditions += [b"status = ANY(%(statuses)s)", b"stored_status = ANY(%(stored)s)"]
        asked["statuses"] = [int(status) for status in wanted.statuses]
        asked["stored"] = sorted({stored for one in wanted.statuses for stored in _stored(one)})
    if wanted.functions:
        conditions.append(b"function = ANY(%(functions)s)")
        asked["functions"] = list(wanted.functions)
    if wanted.apps:
        conditions.append(b"app = ANY(%(apps)s)")
        asked["apps"] = list(wanted.apps)
    if wanted.deferred is not None:
        conditions.append(b"(flags & %(flag)s <> 0) = %(deferred)s")
        asked |= {"flag": DEFERRED, "deferred": wanted.deferred}
    if wanted.after is not None:
        conditions.append(b"(" + time + b", id) " + after + b" (%(at_ms)s, %(id)s)")
        asked |= {"at_ms": wanted.after.at_ms, "id": wanted.after.id}
    ending = b" ORDER BY " + time + b" " + order + b", id " + order + b" LIMIT %(limit)s"
    return SQL["runs"] + b" " + b" AND ".join(conditions) + ending, asked


def _stored(status: RunStatus) -> tuple[int, ...]:
    """Which statuses the rows of runs may have that are seen with this one."""
    if status is RunStatus.RUNNING:
        return int(RunStatus.SCHEDULED), int(RunStatus.RUNNING)
    return (int(status),)


def run_asked(run_id: str) -> Asked:
    """One run, as readers see it."""
    return SQL["runs"] + b" id = %(id)s", {"id": run_id}


def runs_of_event_asked(event_id: str) -> Asked:
    """The runs an event started, as readers see them."""
    condition = (
        b" id IN (SELECT id FROM stepwell.run WHERE event_id = %(event_id)s"
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
