"""Starts that are put off: an event joins the hold of its key, whose item fires it.

The hold and its item are one commit, so that none is ever left without the other.
"""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.row.flow import DropReason, FlowKey, Held, Hold, HoldKind, KeyKind
from stepwell.server.engine.row.run import EventRow, Item, ItemKind, Run
from stepwell.server.engine.starting.drop import drop, tell_parents
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.flow import batch as batches
from stepwell.server.flow import debounce as debounces

ITEM = "hold"
"""The key of a hold's item; it hangs on the hold's key."""


class Joined(msgspec.Struct, frozen=True):
    """What became of an event that joined a hold, or came too late for it."""

    key: str
    is_full: bool = False
    reason: DropReason | None = None


def join_debounce(
    draft: Draft,
    listing: Listing,
    debounce: debounces.Debounce,
    key: str,
    run: Run,
    event: EventRow,
) -> Joined:
    """The latest event takes the place of the one before, or is kept beside it."""
    if _was_held(draft, listing, event):
        return Joined(key)
    now_ms, hold = draft.now.ms, draft.flow.hold(key)
    if hold is None:
        due_ms = debounces.due_ms(debounce, now_ms, now_ms)
        hold = _opened(draft, listing, HoldKind.DEBOUNCE, key, run, event, due_ms)
    elif debounce.collects:
        hold = _grown(hold, event, debounces.due_ms(debounce, hold.opened_ms, now_ms))
    elif event.ts < hold.ts:
        drop(draft, listing.slug, (event.id,), DropReason.DEBOUNCE_OLD, key=key)
        return Joined(key, reason=DropReason.DEBOUNCE_OLD)
    else:
        drop(draft, listing.slug, (hold.event_id,), DropReason.DEBOUNCE, key=key)
        tell_parents(draft, hold.parent, DropReason.DEBOUNCE)
        hold = msgspec.structs.replace(
            _grown(hold, event, debounces.due_ms(debounce, hold.opened_ms, now_ms)),
            event_id=event.id,
            parent=run.parent,
        )
    if debounce.collects:
        draft.flow.join(Held(key, draft.place(), event.id, event.ts, run.parent))
    _put(draft, hold)
    return Joined(key, debounces.is_full(debounce, hold.count, hold.size))


def join_batch(
    draft: Draft, listing: Listing, batch: batches.Batch, key: str, run: Run, event: EventRow
) -> Joined:
    """One more event is in the batch."""
    if _was_held(draft, listing, event):
        return Joined(key)
    hold = draft.flow.hold(key)
    if hold is None:
        due_ms = draft.now.ms + batch.timeout_ms
        hold = _opened(draft, listing, HoldKind.BATCH, key, run, event, due_ms)
    else:
        hold = _grown(hold, event, hold.due_ms)
    draft.flow.join(Held(key, draft.place(), event.id, event.ts, run.parent))
    _put(draft, hold)
    return Joined(key, batches.is_full(batch, hold.count, hold.size))


def _opened(
    draft: Draft,
    listing: Listing,
    kind: HoldKind,
    key: str,
    run: Run,
    event: EventRow,
    due_ms: int,
) -> Hold:
    return Hold(
        key=key,
        function=listing.slug,
        kind=kind,
        opened_ms=draft.now.ms,
        due_ms=due_ms,
        event_id=event.id,
        ts=event.ts,
        size=len(event.body),
        parent=run.parent,
    )


def _grown(hold: Hold, event: EventRow, due_ms: int) -> Hold:
    return msgspec.structs.replace(
        hold,
        ts=max(hold.ts, event.ts),
        due_ms=due_ms,
        count=hold.count + 1,
        size=hold.size + len(event.body),
    )


def _put(draft: Draft, hold: Hold) -> None:
    draft.flow.put_hold(hold)
    draft.put(Item(hold.key, ITEM, ItemKind.HOLD, hold.due_ms, target=hold.function))


def _was_held(draft: Draft, listing: Listing, event: EventRow) -> bool:
    """Whether an event of the sender's id is, or was, in a hold of the function: it counts once."""
    if not event.key:
        return False
    key = f"seen:{listing.slug}:{event.key}"
    row = draft.flow.row(key)
    if row is not None and row.until_ms > draft.now.ms:
        return True
    draft.flow.put(FlowKey(key, KeyKind.SEEN, draft.now.ms + draft.rules.dedup_window_ms))
    return False


class Gathered(msgspec.Struct, frozen=True):
    """What a hold starts with: its events in order, and the steps that wait for the run."""

    event_ids: tuple[str, ...]
    parent: str


def close(draft: Draft, hold: Hold) -> Gathered:
    """Empty a hold."""
    held = draft.flow.held(hold.key)
    if hold.kind is HoldKind.DEBOUNCE:
        held.sort(key=lambda one: (one.ts, one.place))
    draft.flow.close(hold.key)
    draft.done(hold.key, ITEM)
    if not held:
        return Gathered((hold.event_id,), hold.parent)
    parents = ",".join(one.parent for one in held if one.parent)
    return Gathered(tuple(one.event_id for one in held), parents)
