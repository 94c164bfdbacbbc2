"""A schedule fires: one run per occurrence, and the next occurrence is planned in the same commit.

An occurrence is an event whose id is its scheduled time, so two schedules of one function that
coincide start one run. What was missed while no server ran follows `Rules.cron_catch_up`.
Source: server.md 2.7, http.md 6.12.
"""

from datetime import UTC, datetime

from stepwell.cron import Schedule, jitter_ms, next_after, parse
from stepwell.server.engine import record as fact
from stepwell.server.engine.catalog import Listing, Trigger
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.event_row import event_row
from stepwell.server.engine.row import Item, ItemKind, Run
from stepwell.server.engine.start import begin, run_id_for
from stepwell.wire.duration import parse_duration_ms
from stepwell.wire.event import SCHEDULED_TIMER
from stepwell.wire.identifier import derived_ulid
from stepwell.wire.lifecycle import scheduled_timer

CATCH_UP_MAX = 100
"""Occurrences started by one decision when all are caught up; the rest follow at once."""


def schedule_id(slug: str) -> str:
    """What the items of a function's schedules hang on, in place of a run."""
    return f"cron:{slug}"


def scheduled_item(slug: str, trigger: Trigger, *, after_ms: int) -> Item | None:
    """The item for the first occurrence after a time; None if the schedule never fires."""
    at_ms = _next_ms(parse(trigger.cron), after_ms)
    if at_ms is None:
        return None
    jitter = parse_duration_ms(trigger.jitter) if trigger.jitter else 0
    return Item(
        run_id=schedule_id(slug),
        key=trigger.cron,
        kind=ItemKind.CRON,
        due_ms=at_ms + (jitter_ms(slug, at_ms, jitter) if jitter else 0),
        target=slug,
        detail=str(at_ms).encode(),
    )


def fire(draft: Draft, item: Item) -> None:
    """Start the run of an occurrence that is due, and plan the next."""
    listing = draft.view.catalog.listing(item.target)
    trigger = next((t for t in listing.crons if t.cron == item.key), None) if listing else None
    if listing is None or trigger is None:
        draft.add(fact.ItemDone(item.run_id, item.key))
        return
    due = _occurrences(parse(trigger.cron), int(item.detail), draft.now.ms)
    match draft.rules.cron_catch_up:
        case "skip":
            chosen = due if len(due) == 1 else []
        case "one":
            chosen = due[-1:]
        case "all":
            chosen = due[:CATCH_UP_MAX]
    for at_ms in chosen:
        _start(draft, listing, trigger, at_ms)
    last = chosen[-1] if draft.rules.cron_catch_up == "all" else due[-1]
    following = scheduled_item(listing.slug, trigger, after_ms=last)
    if following is None:
        draft.add(fact.ItemDone(item.run_id, item.key))
    else:
        draft.add(fact.ItemMoved(following))
        draft.wake(following.due_ms)


def _occurrences(schedule: Schedule, first_ms: int, now_ms: int) -> list[int]:
    """Every occurrence from the planned one up to now, the latest thousand of them."""
    found = [first_ms]
    while len(found) < 1_000:
        following = _next_ms(schedule, found[-1])
        if following is None or following > now_ms:
            break
        found.append(following)
    return found


def _next_ms(schedule: Schedule, after_ms: int) -> int | None:
    following = next_after(schedule, datetime.fromtimestamp(after_ms / 1000, UTC))
    return None if following is None else round(following.timestamp() * 1000)


def _start(draft: Draft, listing: Listing, trigger: Trigger, at_ms: int) -> None:
    event_id = derived_ulid(at_ms, listing.slug, SCHEDULED_TIMER)
    fired = scheduled_timer(trigger.cron, at_ms, draft.now.ms)
    event = event_row(event_id, fired, at_ms)
    run_id = run_id_for(listing.slug, event)
    if draft.run(run_id) is not None:
        return
    draft.add(fact.EventStored(event))
    run = Run(
        id=run_id,
        function=listing.slug,
        app=listing.app,
        event_ids=(event_id,),
        queued_ms=draft.now.ms,
        cron=trigger.cron,
    )
    begin(draft, listing, run, event)
