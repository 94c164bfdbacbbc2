"""Schedules in the shape of the REST API's second version: what comes, what was, what was missed.

Pure but for what the reader reads.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from stepwell.cron import CronError, Schedule, clock_change, last_before, parse
from stepwell.server.engine.name.cron_name import occurrence_id, schedule_id
from stepwell.server.engine.state.catalog import Catalog, Listing, Trigger
from stepwell.server.query.v2.run import InstantV2, NamedV2, StatusV2, app_ref, function_ref
from stepwell.server.query.v2.run import status_v2 as status_of
from stepwell.server.store.port import Reader
from stepwell.wire.duration import format_instant

RECENT_MAX = 12
"""So many occurrences are looked back at."""
LATE_S = 60
"""An occurrence without a run is missed after so long, or once a later one has a run."""


class OccurrenceV2(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """When it was due, and the run it started. One that is `missed` started none, though one before
    it did: no server ran, the function was paused, or one of its limits left it out."""

    at: InstantV2
    run_id: str = ""
    status: StatusV2 | msgspec.UnsetType = msgspec.UNSET
    missed: bool = False


class ClockChangeV2(msgspec.Struct, frozen=True, rename="camel"):
    """When the clocks of a zone change next, and by how many minutes: forward if positive."""

    at: InstantV2
    minutes: int


class CronV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A schedule of a function. `recent` holds its latest occurrences, at most 12, the newest
    first, as far as something is known of them. `nextAt` is absent where none comes."""

    function: NamedV2
    app: NamedV2
    schedule: str
    zone: str
    jitter: str = ""
    next_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    is_paused: bool = False
    recent: tuple[OccurrenceV2, ...] = ()
    clock_change: ClockChangeV2 | msgspec.UnsetType = msgspec.UNSET


def crons_v2(
    reader: Reader, catalog: Catalog, now_ms: int, after: str, limit: int
) -> list[tuple[str, CronV2]]:
    """Schedules of all functions, by function, that come after a place of the list: at most so
    many, each with its place."""
    known = {
        f"{listing.slug} {trigger.cron}": (listing, trigger)
        for listing in catalog.listings.values()
        for trigger in listing.crons
    }
    chosen = sorted(place for place in known if place > after)[:limit]
    return [(place, _told(reader, catalog, *known[place], now_ms)) for place in chosen]


def _told(
    reader: Reader, catalog: Catalog, listing: Listing, trigger: Trigger, now_ms: int
) -> CronV2:
    told = CronV2(
        function=function_ref(listing.slug),
        app=app_ref(listing.app),
        schedule=trigger.cron,
        zone="UTC",
        jitter=trigger.jitter,
        is_paused=listing.slug in catalog.paused,
    )
    try:
        schedule = parse(trigger.cron)
    except CronError:
        return told  # an older version may have stored it: it never fires
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    change = clock_change(schedule.zone, now)
    items = reader.items(schedule_id(listing.slug))
    due_ms = next((item.due_ms for item in items if item.key == trigger.cron), 0)
    return msgspec.structs.replace(
        told,
        zone=schedule.zone,
        next_at=format_instant(due_ms) if due_ms else msgspec.UNSET,
        recent=_recent(reader, listing.slug, schedule, now),
        clock_change=ClockChangeV2(format_instant(_ms(change.at)), change.minutes)
        if change
        else msgspec.UNSET,
    )


def _recent(
    reader: Reader, slug: str, schedule: Schedule, now: datetime
) -> tuple[OccurrenceV2, ...]:
    """Nothing is said of what came before the first run that is known."""
    found: list[OccurrenceV2] = []
    for at in last_before(schedule, now, RECENT_MAX):
        runs = reader.runs_of_event(occurrence_id(slug, _ms(at)))
        mine = next((run for run in runs if run.function == slug), None)
        if mine is not None:
            told = OccurrenceV2(format_instant(_ms(at)), mine.id, status_of(mine.status))
            found.append(told)
        elif at < now - timedelta(seconds=LATE_S) or any(one.run_id for one in found):
            found.append(OccurrenceV2(format_instant(_ms(at)), missed=True))
    while found and found[-1].missed:
        found.pop()
    return tuple(found)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
