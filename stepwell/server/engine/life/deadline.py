"""A run that began too late, or took too long, is cancelled.

Each deadline is an item of the run from the moment it counts from: that of the start from the run's
beginning to its first call, that of the finish from there on, so that it strikes whatever the run
waits for.
"""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.cancel import cancel_because
from stepwell.server.engine.row.run import Item, ItemKind, Run
from stepwell.server.engine.state.catalog import Listing

START = "deadline:start"
FINISH = "deadline:finish"
"""Keys of the items. No step has such an id."""

_TOLD = {
    START: "it was cancelled: its first call did not begin within timeouts.start",
    FINISH: "it was cancelled: it did not end within timeouts.finish of its first call",
}


def await_start(draft: Draft, run: Run, start_ms: int, due_ms: int) -> None:
    """A run begins, and may wait for its first call so long."""
    draft.put(Item(run.id, START, ItemKind.DEADLINE, due_ms + start_ms))


def begun(draft: Draft, listing: Listing, run: Run) -> None:
    """A run's first call begins: it was not too late, and may take so long."""
    plan = listing.plan
    if plan is None or run.started_ms or not plan.has_deadlines:
        return
    if draft.item(run.id, START) is not None:
        draft.done(run.id, START)
    if plan.finish_ms and draft.item(run.id, FINISH) is None:
        draft.put(Item(run.id, FINISH, ItemKind.DEADLINE, draft.now.ms + plan.finish_ms))


def strike(draft: Draft, run: Run, item: Item) -> None:
    """A deadline has passed."""
    told = _TOLD.get(item.key, "it was cancelled: it took too long")
    cancel_because(draft, run, "deadline", told)
