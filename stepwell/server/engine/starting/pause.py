"""A function rests, and goes on.

While it is paused its events start no runs (each leaves a record that says so), and nothing of it
is called: what is under way may end, then its runs are frozen where they stand, without a slot and
without being looked at. Frozen runs are kept for a week; then they are cancelled.
"""

import msgspec

from stepwell.server.engine.draft import Draft, LookAgain
from stepwell.server.engine.life.cancel import cancel
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import Done, FunctionPaused, FunctionResumed, Verdict
from stepwell.server.engine.message.need import Live, Need
from stepwell.server.engine.name.lane import pause_key
from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.row.run import Item, ItemKind
from stepwell.server.engine.rules import DAY_MS

FROZEN_MS = 7 * DAY_MS
"""So long frozen runs are kept."""

REMEMBERED_MS = DAY_MS
"""So long a function that goes on remembers when it was told to, in case an older word comes."""

FOR_EVER_MS = 2**62
ITEM = "pause"
CANCELLED_MAX = 200
"""So many runs are cancelled by one decision; the rest follows at once."""

PAUSED = b"paused"


def pause(draft: Draft, given: FunctionPaused) -> Done:
    """The function rests."""
    refused = _too_late(draft, given.function, given.at_ms)
    if refused is not None:
        return refused
    was_paused = given.function in draft.view.catalog.paused
    at_ms, key = given.at_ms or draft.now.ms, pause_key(given.function)
    draft.flow.put(FlowKey(key, KeyKind.PAUSE, FOR_EVER_MS, at_ms, PAUSED))
    due_ms = draft.now.ms + (FROZEN_MS if given.running == "freeze" else 0)
    if not was_paused or given.running == "cancel":
        draft.put(Item(key, ITEM, ItemKind.PAUSE, due_ms, target=given.function))
    return Done(Verdict.ALREADY if was_paused else Verdict.APPLIED, given.function)


def resume_function(draft: Draft, given: FunctionResumed) -> Done:
    """The function goes on, and its frozen runs with it."""
    refused = _too_late(draft, given.function, given.at_ms)
    if refused is not None:
        return refused
    was_paused = given.function in draft.view.catalog.paused
    at_ms, key = given.at_ms or draft.now.ms, pause_key(given.function)
    draft.flow.put(FlowKey(key, KeyKind.PAUSE, draft.now.ms + REMEMBERED_MS, at_ms))
    draft.done(key, ITEM)
    draft.add(fact.LanesRoused(key, FOR_EVER_MS))
    draft.wake(draft.now.ms)
    return Done(Verdict.APPLIED if was_paused else Verdict.ALREADY, given.function)


def _too_late(draft: Draft, function: str, at_ms: int) -> Done | None:
    """What to say if there is no such function, or a later word about it."""
    if draft.view.catalog.listing(function) is None:
        return Done(Verdict.GONE, function, f"there is no function {function}")
    row = draft.flow.row(pause_key(function))
    if row is not None and at_ms and at_ms < row.value:
        return Done(Verdict.ALREADY, function, "a later word about this function came before")
    return None


def end_frozen(draft: Draft, item: Item) -> None:
    """A function has rested too long, or its runs were to end: cancel them, some at a time."""
    after = item.detail.decode()
    live = Live(item.target, after, CANCELLED_MAX)
    if not draft.view.flow.sees_live(live):
        raise LookAgain(Need(live=live))
    found = draft.view.flow.live(live)
    draft.each(found, lambda run_id: _cancel(draft, run_id))
    if len(found) < CANCELLED_MAX:
        draft.done(item.run_id, item.key)
        return
    rest = msgspec.structs.replace(item, due_ms=draft.now.ms, detail=found[-1].encode())
    draft.move(rest)


def _cancel(draft: Draft, run_id: str) -> None:
    run = draft.run(run_id)
    if run is not None and not run.ended:
        cancel(draft, run)
