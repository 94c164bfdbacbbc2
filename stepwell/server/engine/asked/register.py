"""An app says which functions it has. Schedules follow their functions.

The configuration was validated before (`server/api/sdk/register.py`); here it only becomes true.
"""

import msgspec

from stepwell.server.engine.arriving.cron_due import scheduled_item
from stepwell.server.engine.calling.code_change import review
from stepwell.server.engine.draft import Draft, LookAgain
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import AppFailed, AppRegistered, AppRemoved, Done, Verdict
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.name.cron_name import schedule_id
from stepwell.server.engine.places.named_limits import declare, of_functions
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.server.engine.state.catalog import Listing, listing_of
from stepwell.server.engine.state.former import former_after, is_former
from stepwell.wire.function_config import NO_CODE


def register(draft: Draft, given: AppRegistered) -> Done:
    """Store the app and what changed of its functions; forget those it no longer names."""
    catalog = draft.view.catalog
    before = catalog.apps.get(given.app.name)
    if given.keeps_order and is_former(before, given.app.checksum):
        return Done(Verdict.FENCED, given.app.name)
    changed = given.is_part or before is None or before.checksum != given.app.checksum
    if changed:
        named = {function.slug for function in given.functions}
        if given.is_part:
            gone = catalog.listings.keys() & set(given.gone)
        else:
            gone = {entry.slug for entry in catalog.of_app(given.app.name)} - named
        _see_schedules(draft, frozenset(gone) | named)
        for slug in sorted(gone):
            _forget(draft, slug)
        for function in given.functions:
            _store(draft, function, catalog.listing(function.slug), given.app.app_version)
        declare(draft, of_functions(listing_of(one).config for one in given.functions))
    former = former_after(before, given.app.checksum)
    draft.add(fact.AppStored(msgspec.structs.replace(given.app, former=former)))
    draft.wake(draft.now.ms)
    return Done(Verdict.APPLIED if changed else Verdict.ALREADY, given.app.name)


def _see_schedules(draft: Draft, slugs: frozenset[str]) -> None:
    ids = frozenset(schedule_id(slug) for slug in slugs)
    missing = frozenset(run_id for run_id in ids if not draft.view.sees_run(run_id))
    if missing:
        raise LookAgain(Need(runs=missing))


def _store(draft: Draft, function: FunctionRow, old: Listing | None, app_version: str) -> None:
    """A function that is new or changed gets its next version; one that is the same keeps its."""
    listing = listing_of(function)
    if old is None or old.config != listing.config:
        version = 1 if old is None else old.version + 1
        row = msgspec.structs.replace(function, version=version)
        draft.add(fact.FunctionVersioned(row, app_version))
        review(
            draft, function.slug, NO_CODE if old is None else old.config.code, listing.config.code
        )
    wanted = {trigger.cron: trigger for trigger in listing.crons}
    present = {item.key: item for item in draft.view.items_of(schedule_id(function.slug))}
    for key in sorted(present.keys() - wanted.keys()):
        draft.done(schedule_id(function.slug), key)
    for cron in sorted(wanted):
        planned = present.get(cron)
        # What is planned stays planned, with the jitter as it is now.
        after_ms = draft.now.ms if planned is None else int(planned.detail) - 1
        item = scheduled_item(listing.slug, wanted[cron], after_ms=after_ms)
        if item is not None and (planned is None or item.due_ms != planned.due_ms):
            draft.put(item)


def _forget(draft: Draft, slug: str) -> None:
    draft.add(fact.FunctionForgotten(slug, draft.now.ms))
    draft.announce(Topic.FUNCTION_GONE, slug)
    listing = draft.view.catalog.listing(slug)
    if listing is not None:
        review(draft, slug, listing.config.code, NO_CODE)
    for item in draft.view.items_of(schedule_id(slug)):
        draft.done(item.run_id, item.key)


def fail_app(draft: Draft, given: AppFailed) -> Done:
    """An app could not be reached, or can be again."""
    apps = draft.view.catalog.apps
    known = next((app for app in apps.values() if given.name == app.name), None) or next(
        (app for app in apps.values() if given.url and given.url == app.url), None
    )
    if known is None:
        return Done(Verdict.GONE, given.name or given.url)
    if known.error != given.error:
        draft.add(fact.AppStored(msgspec.structs.replace(known, error=given.error)))
    return Done(Verdict.APPLIED, known.name)


def remove(draft: Draft, given: AppRemoved) -> Done:
    """Forget an app, its functions and their schedules. Its runs stay as they are."""
    wanted = given.url_or_name
    known: AppRow | None = next(
        (a for a in draft.view.catalog.apps.values() if wanted in (a.name, a.url)), None
    )
    if known is None:
        return Done(Verdict.GONE, wanted, f"App not found: {wanted}")
    slugs = frozenset(entry.slug for entry in draft.view.catalog.of_app(known.name))
    _see_schedules(draft, slugs)
    for slug in sorted(slugs):
        _forget(draft, slug)
    draft.add(fact.AppForgotten(known.name))
    return Done(Verdict.APPLIED, known.name)
