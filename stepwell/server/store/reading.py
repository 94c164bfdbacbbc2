"""What all stores agree on when they read: whose turn comes first, how a run looks while it is
called for the first time, which rows a filter wants. Pure."""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.name.lane import SEPARATOR, lane_of
from stepwell.server.engine.name.lease_id import place_in_order
from stepwell.server.engine.row.flow import Slot
from stepwell.server.engine.row.limit import limit_name
from stepwell.server.engine.row.run import EventRow, Item, ItemKind, Lease, Run, RunStatus
from stepwell.server.store.port import EventFilter, Mark, RunFilter, RunTime

INTERNAL = "inngest/"
"""How the names of the server's own events begin."""


def counts_under(lease: Lease, limit: str) -> bool:
    """Whether a call counts under a named limit."""
    return any(limit_name(key) == limit for key in lease.keys)


def stands_under(lane: str, limit: str) -> bool:
    """Whether the calls of a lane stand under a named limit."""
    return any(limit_name(part.key) == limit for part in lane_of(lane).parts)


def order_of(item: Item) -> tuple[int, int, str, str]:
    """Whose turn comes first: what is due first, then in a lane what came first, then what belongs
    to the older run."""
    if SEPARATOR in item.queue and item.kind is ItemKind.CALL:
        return item.due_ms, place_in_order(item), item.run_id, item.key
    return item.due_ms, 0, item.run_id, item.key


def in_turn(slots: Iterable[Slot]) -> list[Slot]:
    """Runs with a place under a key, the longest there first."""
    return sorted(slots, key=lambda slot: (slot.place, slot.run_id))


def as_seen(run: Run, lease: Lease | None) -> Run:
    """The run as readers see it: running, since its first call began. `lease` is its main one."""
    if lease is None or run.status is not RunStatus.SCHEDULED:
        return run
    return msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=lease.granted_ms)


def mark_of(run: Run, time: RunTime) -> Mark:
    """Where a run, as seen, stands in lists of this order; time 0 if it has not come to it."""
    match time:
        case RunTime.QUEUED:
            return Mark(run.queued_ms, run.id)
        case RunTime.STARTED:
            return Mark(run.started_ms, run.id)
        case RunTime.ENDED:
            return Mark(run.ended_ms, run.id)


def wants_run(wanted: RunFilter, run: Run) -> bool:
    """Whether a run, as seen, is in the list. The end of the time is open."""
    mark = mark_of(run, wanted.time)
    return (
        mark.at_ms > 0
        and (not wanted.statuses or run.status in wanted.statuses)
        and (not wanted.functions or run.function in wanted.functions)
        and (not wanted.apps or run.app in wanted.apps)
        and wanted.deferred in (None, run.deferred)
        and mark.at_ms >= wanted.since_ms
        and (wanted.until_ms is None or mark.at_ms < wanted.until_ms)
        and (wanted.after is None or follows(mark, wanted.after, ascending=wanted.ascending))
    )


def follows(mark: Mark, after: Mark, *, ascending: bool) -> bool:
    """Whether one place comes after another in a list."""
    return mark > after if ascending else mark < after


def wants_event(wanted: EventFilter, event: EventRow) -> bool:
    """Whether an event passes the filter. Internal events show when asked for, or by name."""
    return (
        (not wanted.name or event.name == wanted.name)
        and (wanted.internal or bool(wanted.name) or not event.name.startswith(INTERNAL))
        and event.received_ms >= wanted.since_ms
        and (wanted.until_ms is None or event.received_ms < wanted.until_ms)
        and (wanted.after is None or (event.received_ms, event.id) < wanted.after)
    )
