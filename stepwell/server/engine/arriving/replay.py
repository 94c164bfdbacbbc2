"""Events that were skipped start their runs after all, because somebody asks for it.

What starts its run is skipped no longer: the record of it goes in the same commit, so that asking
twice starts nothing twice. As when a run is run again, rate limit, idempotency and debounce are
passed by; what the other controls refuse stays skipped.
"""

import msgspec

from stepwell.server.engine.draft import Draft, LookAgain
from stepwell.server.engine.message.input import Done, ReplayAsked, Replayed, Verdict
from stepwell.server.engine.message.need import Need, Skipped
from stepwell.server.engine.row.flow import Dropped
from stepwell.server.engine.row.run import EventRow, Run
from stepwell.server.engine.starting.start import started_lately
from stepwell.server.engine.starting.start_gate import Refused, start_again
from stepwell.server.engine.state.catalog import Listing
from stepwell.wire.event import (
    DEFERRED_SCHEDULE,
    FUNCTION_FAILED,
    FUNCTION_FINISHED,
    SCHEDULED_TIMER,
)
from stepwell.wire.identifier import derived_ulid


def replay(draft: Draft, given: ReplayAsked) -> Replayed | Done:
    """Start runs for the first events that a function skipped in a time."""
    listing = draft.view.catalog.listing(given.function)
    if listing is None:
        return Done(Verdict.GONE, given.function, f"there is no function {given.function}")
    if listing.slug in draft.view.catalog.paused:
        told = f"function {listing.slug} is paused: let it go on first"
        return Done(Verdict.REFUSED, listing.slug, told)
    # What is skipped once more by this very decision is not asked for again.
    until_ms = min(given.until_ms or draft.now.ms, draft.now.ms)
    limit = min(given.limit, draft.rules.starts_per_decision_max)
    page = Skipped(listing.slug, given.since_ms, until_ms, given.reasons, limit)
    if not draft.view.flow.sees_skipped(page):
        raise LookAgain(Need(skipped=page))
    found = draft.view.flow.skipped(page)
    started: list[str] = []
    seen: list[str] = []

    def start(dropped: Dropped) -> None:
        if seen and draft.is_tired:
            return
        seen.append(dropped.event_id)
        _start(draft, listing, dropped, started)

    draft.each(found, start)
    more = len(found) == limit or len(seen) < len(found)
    return Replayed(len(started), len(seen) - len(started), more=more)


def _start(draft: Draft, listing: Listing, dropped: Dropped, started: list[str]) -> None:
    event = draft.body(dropped.event_id)
    draft.flow.forget_drop(dropped)
    if event is None:
        return
    if started_lately(draft, listing, event):
        # Another event of the sender's id had its run meanwhile.
        draft.flow.drop(msgspec.structs.replace(dropped, at_ms=draft.now.ms))
        return
    admission = start_again(draft, listing, _run_for(draft, listing, event), event)
    if not isinstance(admission, Refused):
        started.append(event.id)


class _Data(msgspec.Struct, frozen=True):
    cron: str = ""


class _Scheduled(msgspec.Struct, frozen=True):
    """What the server itself sends when a schedule is due."""

    data: _Data = _Data()


def _run_for(draft: Draft, listing: Listing, event: EventRow) -> Run:
    cron = ""
    if event.name == SCHEDULED_TIMER:
        cron = msgspec.json.decode(event.body, type=_Scheduled).data.cron
    return Run(
        id=derived_ulid(draft.now.ms, listing.slug, event.id),
        function=listing.slug,
        app=listing.app,
        event_ids=(event.id,),
        queued_ms=draft.now.ms,
        dedup=event.key,
        cron=cron,
        quiet=event.name in (FUNCTION_FAILED, FUNCTION_FINISHED),
        deferred=event.name == DEFERRED_SCHEDULE,
    )
