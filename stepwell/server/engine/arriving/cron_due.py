"""A schedule fires: one run per occurrence, and the next occurrence is planned in the same commit.

An occurrence is an event whose id is its scheduled time, so two schedules of one function that
coincide start one run. What was missed while no server ran follows `Rules.cron_catch_up`.
"""

from datetime import UTC, datetime

import msgspec

from stepwell.cron import CronError, Schedule, jitter_ms, next_after, parse
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.name.cron_name import occurrence_id, schedule_id
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.run import Item, ItemKind, Run
from stepwell.server.engine.starting.start import run_id_for
from stepwell.server.engine.starting.start_gate import attempt
from stepwell.server.engine.state.catalog import Listing, Trigger
from stepwell.wire.duration import DurationError, parse_duration_ms
from stepwell.wire.lifecycle import scheduled_timer

CATCH_UP_MAX = 100
"""Occurrences started by one decision when all are caught up; the rest follow at once."""

LATE_MS = 60_000
"""An occurrence that could not start for so long was missed; a busy server is not late yet."""

MINUTE_MS = 60_000


def scheduled_item(slug: str, trigger: Trigger, *, after_ms: int) -> Item | None:
    """The item for the first occurrence after a time; None if the schedule never fires, and for
    one that cannot be understood (refused at registration, but an older version may have stored
    it)."""
    try:
        at_ms = _next_ms(parse(trigger.cron), after_ms)
        jitter = parse_duration_ms(trigger.jitter) if trigger.jitter else 0
    except (CronError, DurationError):
        return None
    if at_ms is None:
        return None
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
    schedule = _schedule(item.key)
    trigger = next((t for t in listing.crons if t.cron == item.key), None) if listing else None
    if listing is None or trigger is None or schedule is None:
        draft.done(item.run_id, item.key)
        return
    first_ms = int(item.detail)
    # Jitter puts every occurrence off: none is missed because of it, however long it is.
    late_ms = max(0, draft.now.ms - item.due_ms)
    until_ms, missed = first_ms + late_ms, late_ms > LATE_MS
    if draft.rules.cron_catch_up == "all":
        chosen = _first_occurrences(schedule, first_ms, until_ms)
        last = chosen[-1]
    else:
        last = _last_occurrence(schedule, first_ms, until_ms)
        chosen = [] if missed and draft.rules.cron_catch_up == "skip" else [last]
    draft.each(chosen, lambda at_ms: _start(draft, listing, trigger, at_ms))
    following = scheduled_item(listing.slug, trigger, after_ms=last)
    if following is None:
        draft.done(item.run_id, item.key)
        return
    if not missed and following.due_ms < draft.now.ms:
        following = msgspec.structs.replace(following, due_ms=draft.now.ms)
    draft.move(following)


def _first_occurrences(schedule: Schedule, first_ms: int, now_ms: int) -> list[int]:
    """The occurrences from the planned one up to now, the earliest of them."""
    found = [first_ms]
    while len(found) < CATCH_UP_MAX:
        following = _next_ms(schedule, found[-1])
        if following is None or following > now_ms:
            break
        found.append(following)
    return found


def _last_occurrence(schedule: Schedule, first_ms: int, now_ms: int) -> int:
    """The latest occurrence up to now, at least the planned one. Looked for from the end, because
    a server may have been away for a year of minutes."""
    last_ms, window_ms = first_ms, MINUTE_MS
    while now_ms - window_ms > first_ms:
        found = _next_ms(schedule, now_ms - window_ms)
        if found is not None and found <= now_ms:
            last_ms = found
            break
        window_ms *= 2
    following = _next_ms(schedule, last_ms)
    while following is not None and following <= now_ms:
        last_ms, following = following, _next_ms(schedule, following)
    return last_ms


def _schedule(cron: str) -> Schedule | None:
    try:
        return parse(cron)
    except CronError:
        return None


def _next_ms(schedule: Schedule, after_ms: int) -> int | None:
    following = next_after(schedule, datetime.fromtimestamp(after_ms / 1000, UTC))
    return None if following is None else round(following.timestamp() * 1000)


def _start(draft: Draft, listing: Listing, trigger: Trigger, at_ms: int) -> None:
    event_id = occurrence_id(listing.slug, at_ms)
    fired = scheduled_timer(trigger.cron, at_ms, draft.now.ms)
    event = event_row(event_id, fired, at_ms)
    run_id = run_id_for(listing.slug, event)
    if draft.run(run_id) is not None:
        return
    draft.accept(event)
    run = Run(
        id=run_id,
        function=listing.slug,
        app=listing.app,
        event_ids=(event_id,),
        queued_ms=draft.now.ms,
        cron=trigger.cron,
    )
    attempt(draft, listing, run, event)
