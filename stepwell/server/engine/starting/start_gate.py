"""May a function start for an event: now, later together with others, or not at all?

The order of the checks before a run exists: one run per function and event id
in 24 hours, batch, rate limit, debounce, singleton, backlog. What starts no run because of a limit
leaves a record that says why, in the same commit.
"""

from typing import TypeAlias

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.cancel import cancel_because
from stepwell.server.engine.name.lane import pause_key
from stepwell.server.engine.places.room import UNKNOWN_FUNCTION_DELAY_MS
from stepwell.server.engine.row.flow import DropReason, FlowKey, HoldKind, KeyKind, Slot
from stepwell.server.engine.row.run import EventRow, Item, Run
from stepwell.server.engine.starting.backlog import room_for
from stepwell.server.engine.starting.drop import drop, tell_parents
from stepwell.server.engine.starting.hold import Joined, close, join_batch, join_debounce
from stepwell.server.engine.starting.start import begin, run_id_for, started_lately
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.flow import batch as batches
from stepwell.server.flow import rate_limit, singleton
from stepwell.server.flow.key import INVALID, selective, strict
from stepwell.server.flow.plan import NO_PLAN, Plan
from stepwell.wire.event import DEFERRED_SCHEDULE, FUNCTION_FAILED, FUNCTION_FINISHED
from stepwell.wire.identifier import derived_ulid


class Begun(msgspec.Struct, frozen=True):
    """A run began."""

    run_id: str


class PutOff(msgspec.Struct, frozen=True):
    """The event is in a hold, which will start a run."""

    key: str


class Refused(msgspec.Struct, frozen=True):
    """No run will begin for this event."""

    reason: DropReason
    until_ms: int = 0
    run_id: str = ""


Admission: TypeAlias = Begun | PutOff | Refused


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
    attempt(draft, listing, run, event)


def attempt(draft: Draft, listing: Listing, run: Run, event: EventRow) -> Admission:
    """Start a run for an event, as far as the function's flow control lets it."""
    if listing.slug in draft.view.catalog.paused:
        return _paused(draft, run)
    plan = listing.plan
    if plan is None:
        begin(draft, listing, run, event)
        return Begun(run.id)
    if plan.batch is not None:
        return _in_batch(draft, listing, plan.batch, run, event)
    if plan.rate is not None:
        refused = _over_rate(draft, listing, plan.rate, event)
        if refused is not None:
            return refused
    if plan.debounce is not None:
        value = strict(plan.debounce.key, draft.evaluating(event))
        key = f"debounce:{listing.slug}:{INVALID if value is None else value}"
        joined = join_debounce(draft, listing, plan.debounce, key, run, event)
        return _after_joining(draft, listing, joined)
    return enter(draft, listing, plan, run, event)


def enter(draft: Draft, listing: Listing, plan: Plan, run: Run, event: EventRow) -> Admission:
    """The checks that come last: those of a run that is about to begin."""
    if listing.slug in draft.view.catalog.paused:
        return _paused(draft, run)
    going: tuple[Slot, ...] = ()
    if plan.singleton is not None:
        locked = _locked(draft, plan.singleton, run, event)
        if isinstance(locked, Refused):
            return locked
        run, going = locked.run, locked.going
    if plan.backlog is not None:
        # Asked before anybody is cancelled for a run that might be skipped.
        ids = frozenset(slot.run_id for slot in going)
        waiting = room_for(draft, plan.backlog, run, event, ids)
        if waiting is None:
            return Refused(DropReason.BACKLOG)
        run = waiting
    for slot in going:
        holder = draft.run(slot.run_id)
        if holder is not None and not holder.ended:
            cancel_because(draft, holder, "singleton", REPLACED)
    begin(draft, listing, run, event)
    for key in run.places:
        draft.flow.take(Slot(key, run.id, draft.now.ms, draft.place()))
    return Begun(run.id)


def start_again(draft: Draft, listing: Listing, run: Run, event: EventRow) -> Admission:
    """Start a run for an event that was skipped: what limits how often events are admitted is
    passed by, what groups them is not."""
    plan = listing.plan or NO_PLAN
    if plan.batch is None:
        return enter(draft, listing, plan, run, event)
    # It may have been in a batch before, which was skipped as a whole.
    return _in_batch(draft, listing, plan.batch, run, msgspec.structs.replace(event, key=""))


REPLACED = "it was cancelled: a newer run of its singleton took its place"


def _paused(draft: Draft, run: Run) -> Refused:
    drop(draft, run.function, run.event_ids, DropReason.PAUSED, key=pause_key(run.function))
    return Refused(DropReason.PAUSED)


def _in_batch(
    draft: Draft, listing: Listing, batch: batches.Batch, run: Run, event: EventRow
) -> Admission:
    evaluate = draft.evaluating(event)
    value = strict(batch.key, evaluate)
    if value is None or not batches.joins(batch, evaluate):
        return enter(draft, listing, listing.plan or NO_PLAN, run, event)
    key = f"batch:{listing.slug}:{value}"
    return _after_joining(draft, listing, join_batch(draft, listing, batch, key, run, event))


def _after_joining(draft: Draft, listing: Listing, joined: Joined) -> Admission:
    """What is full starts at once."""
    if joined.reason is not None:
        return Refused(joined.reason)
    return _start_held(draft, listing, joined.key) if joined.is_full else PutOff(joined.key)


def _over_rate(
    draft: Draft, listing: Listing, rate: rate_limit.RateLimit, event: EventRow
) -> Refused | None:
    value = selective(rate.key, draft.evaluating(event))
    if value is None:
        return None
    key = f"{rate.word}:{listing.slug}:{rate.key.mark}:{value}"
    row = draft.flow.row(key)
    kind = KeyKind.WINDOW if rate.exact else KeyKind.RATE
    known = row if row is not None and row.kind is kind else FlowKey(key, kind, 0)
    judged = rate_limit.judge(rate, known.value, known.data, draft.now.ms)
    if judged.admitted:
        draft.flow.put(FlowKey(key, kind, judged.until_ms, judged.value, judged.data))
        return None
    reason = DropReason.IDEMPOTENCY if rate.idempotency else DropReason.RATE_LIMIT
    drop(draft, listing.slug, (event.id,), reason, key=key, until_ms=judged.next_ms)
    return Refused(reason, judged.next_ms)


class _Locked(msgspec.Struct, frozen=True):
    """The run with its singleton's key, and the places of those that end to make room for it."""

    run: Run
    going: tuple[Slot, ...] = ()


def _locked(
    draft: Draft, only: singleton.Singleton, run: Run, event: EventRow
) -> _Locked | Refused:
    """Whether a singleton has room for a run, or makes room."""
    value = selective(only.key, draft.evaluating(event))
    if value is None:
        return _Locked(run)
    key = f"singleton:{run.function}:{value}"
    excess = singleton.in_excess(only, draft.flow.taken(key))
    if not excess:
        return _Locked(msgspec.structs.replace(run, lock=key))
    holders = draft.flow.holders(key)
    if not holders:
        # Who was counted has left since, at another server.
        return _Locked(msgspec.structs.replace(run, lock=key))
    if not only.cancels:
        other = holders[0].run_id
        drop(draft, run.function, run.event_ids, DropReason.SINGLETON, key=key, run_id=other)
        return Refused(DropReason.SINGLETON, run_id=other)
    return _Locked(msgspec.structs.replace(run, lock=key), tuple(holders[:excess]))


# -- holds ----------------------------------------------------------------------------------------


def fire(draft: Draft, item: Item) -> None:
    """A hold has waited long enough."""
    hold = draft.flow.hold(item.run_id)
    if hold is None:
        draft.done(item.run_id, item.key)
        return
    listing = draft.view.catalog.listing(hold.function)
    if listing is None:
        later = draft.now.ms + UNKNOWN_FUNCTION_DELAY_MS
        draft.move(msgspec.structs.replace(item, due_ms=later))
        return
    _start_held(draft, listing, hold.key)


def _start_held(draft: Draft, listing: Listing, key: str) -> Admission:
    """Start the run of a hold with whatever is in it."""
    hold = draft.flow.hold(key)
    assert hold is not None, key
    gathered = close(draft, hold)
    first, last = gathered.event_ids[0], gathered.event_ids[-1]
    event = draft.body(first)
    assert event is not None, first
    is_batch = hold.kind is HoldKind.BATCH
    alone = first == last and not is_batch
    run = Run(
        id=derived_ulid(draft.now.ms, listing.slug, last),
        function=listing.slug,
        app=listing.app,
        event_ids=gathered.event_ids,
        queued_ms=draft.now.ms,
        parent=gathered.parent,
        dedup=event.key if alone else "",
        quiet=event.name in (FUNCTION_FAILED, FUNCTION_FINISHED),
        deferred=event.name == DEFERRED_SCHEDULE,
        batch=derived_ulid(hold.opened_ms, hold.key, first) if is_batch else "",
    )
    admission = enter(draft, listing, listing.plan or NO_PLAN, run, event)
    if isinstance(admission, Refused):
        tell_parents(draft, run.parent, admission.reason)
    return admission
