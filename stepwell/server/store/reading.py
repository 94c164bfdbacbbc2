"""What all stores agree on when they read: whose turn comes first, how a run looks while it is
called for the first time, which rows a filter wants. Pure."""

import msgspec

from stepwell.server.engine.row import EventRow, Item, Lease, Run, RunStatus
from stepwell.server.store.port import EventFilter, RunFilter

INTERNAL = "inngest/"
"""How the names of the server's own events begin."""


def order_of(item: Item) -> tuple[int, str, str]:
    """Whose turn comes first: what is due first, then what belongs to the older run."""
    return item.due_ms, item.run_id, item.key


def as_seen(run: Run, lease: Lease | None) -> Run:
    """The run as readers see it: running, since its first call began. `lease` is its main one."""
    if lease is None or run.status is not RunStatus.SCHEDULED:
        return run
    return msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=lease.granted_ms)


def wants_run(wanted: RunFilter, run: Run) -> bool:
    """Whether a run, as seen, passes the filter. Times are those of queueing; the end is open."""
    return (
        (not wanted.statuses or run.status in wanted.statuses)
        and (not wanted.functions or run.function in wanted.functions)
        and (not wanted.apps or run.app in wanted.apps)
        and run.queued_ms >= wanted.since_ms
        and (wanted.until_ms is None or run.queued_ms < wanted.until_ms)
        and (not wanted.before or run.id < wanted.before)
    )


def wants_event(wanted: EventFilter, event: EventRow) -> bool:
    """Whether an event passes the filter. Internal events show when asked for, or by name."""
    return (
        (not wanted.name or event.name == wanted.name)
        and (wanted.internal or bool(wanted.name) or not event.name.startswith(INTERNAL))
        and event.received_ms >= wanted.since_ms
        and (wanted.until_ms is None or event.received_ms < wanted.until_ms)
        and (not wanted.before or event.id < wanted.before)
    )
