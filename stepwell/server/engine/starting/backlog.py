"""A run waits for its first call in a bounded backlog: it has a place there until it is called.

A place is a `Slot`, as under any other key. What is too much is skipped, or takes the place of the
run that waits for longest.
"""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.cancel import cancel_because
from stepwell.server.engine.row.flow import DropReason, Slot
from stepwell.server.engine.row.run import EventRow, Run
from stepwell.server.engine.starting.drop import drop
from stepwell.server.flow.backlog import Backlog, in_excess
from stepwell.server.flow.key import shared

KIND = "backlog"
REPLACED = "it was cancelled: a newer run took its place in the backlog"

CANCELLED_MAX = 100
"""So many are cancelled for one that comes, after a limit was lowered; the next cancel the rest."""


def room_for(
    draft: Draft, backlog: Backlog, run: Run, event: EventRow, going: frozenset[str]
) -> Run | None:
    """The run with the key of its backlog, once there is room; None if it is skipped, which is
    recorded. Runs in `going` are about to end."""
    value = shared(backlog.key, draft.evaluating(event))
    key = f"backlog:{run.function}:{backlog.key.mark}:{value}"
    waiting = draft.flow.taken(key)
    if going:
        waiting -= sum(slot.run_id in going for slot in draft.flow.holders(key))
    excess = in_excess(backlog, waiting)
    if excess and not backlog.cancels:
        drop(draft, run.function, run.event_ids, DropReason.BACKLOG, key=key)
        return None
    if excess:
        oldest = [slot for slot in draft.flow.holders(key) if slot.run_id not in going]
        draft.each(oldest[: min(excess, CANCELLED_MAX)], lambda slot: _replace(draft, slot))
    return msgspec.structs.replace(run, backlog=key, in_backlog=True)


def _replace(draft: Draft, slot: Slot) -> None:
    run = draft.run(slot.run_id)
    if run is not None and not run.ended:
        cancel_because(draft, run, KIND, REPLACED)


def leave(draft: Draft, run: Run) -> Run:
    """The run's first call begins: its place in the backlog is free."""
    draft.flow.give_back(run.id, run.backlog)
    called = msgspec.structs.replace(run, in_backlog=False)
    draft.change(called)
    return called
