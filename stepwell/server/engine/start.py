"""A trigger becomes a run, or is dropped because it started one already.

Run ids are derived from function and event, so deciding twice names the same run.
Source: server.md 1.7 (future events), 3.2, 3.3 (one run per function and event id in 24 hours).
"""

import msgspec

from stepwell.expr.dialect import ExpressionError
from stepwell.server.engine.catalog import Listing
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.lease_id import since
from stepwell.server.engine.match import bind
from stepwell.server.engine.row import MAIN, EventRow, Item, ItemKind, Run, Wait, WaitKind
from stepwell.wire.duration import parse_when
from stepwell.wire.event import DEFERRED_SCHEDULE, FUNCTION_FAILED, FUNCTION_FINISHED
from stepwell.wire.identifier import derived_ulid, ulid_time_ms

CANCEL_VALID_MS = 366 * 86_400_000
CANCEL_MAX_MS = 100 * CANCEL_VALID_MS
"""For ever, as far as anybody is concerned; a larger number might not fit a row."""


def start_for_event(draft: Draft, listing: Listing, event: EventRow) -> None:
    """Start a run of a function for an event it listens to, unless it has one for the event id."""
    if started_lately(draft, listing, event):
        return
    run = Run(
        id=run_id_for(listing.slug, event),
        function=listing.slug,
        app=listing.app,
        event_ids=(event.id,),
        queued_ms=draft.now.ms,
        dedup=event.key,
        quiet=event.name in (FUNCTION_FAILED, FUNCTION_FINISHED),
        deferred=event.name == DEFERRED_SCHEDULE,
    )
    begin(draft, listing, run, event)


def started_lately(draft: Draft, listing: Listing, event: EventRow) -> str:
    """The run the function had for the sender's event id within the window; empty without one."""
    known = draft.dedup(listing.slug, event.key) if event.key else None
    if known is None or ulid_time_ms(known) <= event.received_ms - draft.rules.dedup_window_ms:
        return ""
    return known


def run_id_for(slug: str, event: EventRow) -> str:
    """The id of the run that a function has for an event."""
    return derived_ulid(event.received_ms, slug, event.id)


def begin(draft: Draft, listing: Listing, run: Run, event: EventRow) -> None:
    """Make the run, its first item, and the waits that may cancel it."""
    item = Item(
        run_id=run.id,
        key=MAIN,
        kind=ItemKind.CALL,
        due_ms=max(draft.now.ms, event.ts),
        queue=listing.app,
        detail=since(draft.now),
    )
    draft.start(run, item)
    for index, cancel in enumerate(listing.cancels):
        wait = Wait(
            run_id=run.id,
            step_id=f"cancel:{index}",
            kind=WaitKind.CANCEL,
            name=cancel.event,
            opened_ms=draft.now.ms,
            until_ms=_armed_until(draft, cancel.timeout),
        )
        draft.open(_bound(draft, wait, cancel.condition, event))


def _bound(draft: Draft, wait: Wait, source: str, event: EventRow) -> Wait:
    if not source:
        return wait
    try:
        return bind(wait, source, draft.decoded(event))
    except ExpressionError:
        return msgspec.structs.replace(wait, condition="false")


def _armed_until(draft: Draft, timeout: str) -> int:
    if timeout:
        try:
            return min(parse_when(timeout, draft.now.ms), draft.now.ms + CANCEL_MAX_MS)
        except ValueError:
            pass
    return draft.now.ms + CANCEL_VALID_MS
