"""A run begins: with its first item, and the waits that may cancel it.

Run ids are derived from function and event, so deciding twice names the same run. Whether it may
begin is asked before (`start_gate`).
"""

import msgspec

from stepwell.expr.dialect import ExpressionError
from stepwell.expr.verdict import never_true
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.deadline import await_start
from stepwell.server.engine.life.match import bind
from stepwell.server.engine.name.lease_id import since
from stepwell.server.engine.places.lane_choice import choose
from stepwell.server.engine.row.run import MAIN, EventRow, Item, ItemKind, Run, Wait, WaitKind
from stepwell.server.engine.state.catalog import Listing
from stepwell.wire.duration import parse_when
from stepwell.wire.identifier import derived_ulid, ulid_time_ms

CANCEL_VALID_MS = 366 * 86_400_000
CANCEL_MAX_MS = 100 * CANCEL_VALID_MS
"""For ever, as far as anybody is concerned; a larger number might not fit a row."""


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
    code, queue, due_ms = listing.config.code.version, listing.app, max(draft.now.ms, event.ts)
    if run.code != code:
        run = msgspec.structs.replace(run, code=code)
    if listing.plan is not None and listing.plan.claims:
        choice = choose(draft, listing, listing.plan, event)
        queue, due_ms = choice.first, choice.rank_ms
        run = msgspec.structs.replace(run, lane=choice.lane, slots=choice.slots)
    item = Item(
        run_id=run.id,
        key=MAIN,
        kind=ItemKind.CALL,
        due_ms=due_ms,
        queue=queue,
        detail=since(draft.now, index=draft.starts),
    )
    draft.start(run, item)
    if listing.plan is not None and listing.plan.start_ms and not run.batch:
        await_start(draft, run, listing.plan.start_ms, max(draft.now.ms, event.ts))
    for index, cancel in enumerate(listing.cancels):
        wait = Wait(
            run_id=run.id,
            step_id=f"cancel:{index}",
            kind=WaitKind.CANCEL,
            name=cancel.event,
            opened_ms=draft.now.ms,
            until_ms=_armed_until(draft, cancel.timeout),
        )
        bound = _bound(draft, wait, cancel.condition, event)
        if bound is not None:
            draft.open(bound)


def _bound(draft: Draft, wait: Wait, source: str, event: EventRow) -> Wait | None:
    """The wait over the run's own event; None if nothing can end it."""
    if not source:
        return wait
    try:
        bound = bind(wait, source, draft.decoded(event), draft.compiled)
    except ExpressionError:
        return None
    return bound if never_true(draft.compiled(bound.condition), {}) is None else None


def _armed_until(draft: Draft, timeout: str) -> int:
    if timeout:
        try:
            return min(parse_when(timeout, draft.now.ms), draft.now.ms + CANCEL_MAX_MS)
        except ValueError:
            pass
    return draft.now.ms + CANCEL_VALID_MS
