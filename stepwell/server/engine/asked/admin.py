"""What people ask for from outside: a run again, a function at once, old things gone."""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.finish import never_begun
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import (
    Done,
    InvokeAsked,
    PruneAsked,
    Pruned,
    RerunAsked,
    Verdict,
)
from stepwell.server.engine.row.run import Run
from stepwell.server.engine.starting.drop import refusal
from stepwell.server.engine.starting.start import run_id_for, started_lately
from stepwell.server.engine.starting.start_gate import Begun, Refused, attempt, enter
from stepwell.server.flow.plan import NO_PLAN
from stepwell.wire.failure import unknown_function
from stepwell.wire.identifier import derived_ulid


def rerun(draft: Draft, given: RerunAsked) -> Done:
    """A new run with the events of an old one, of the function as it is today; from its beginning,
    or with the steps it is given."""
    old = draft.run(given.run_id)
    if old is None:
        return Done(Verdict.GONE, given.run_id, "no such run")
    listing = draft.view.catalog.listing(old.function)
    event = draft.body(old.event_ids[0])
    if listing is None or event is None:
        missing = "its function" if listing is None else "its event"
        return Done(Verdict.REFUSED, given.run_id, f"{missing} is gone")
    run = Run(
        id=derived_ulid(draft.now.ms, old.id, str(draft.now.tick)),
        function=old.function,
        app=listing.app,
        event_ids=old.event_ids,
        queued_ms=draft.now.ms,
        original=old.original or old.id,
        cron=old.cron,
        quiet=old.quiet,
        edited=given.edited,
        deferred=old.deferred,
    )
    again = msgspec.structs.replace(event, ts=draft.now.ms)
    admission = enter(draft, listing, listing.plan or NO_PLAN, run, again)
    if isinstance(admission, Refused):
        return Done(Verdict.REFUSED, "", refusal(admission.reason).message)
    for step in given.steps:
        kept = msgspec.structs.replace(step, run_id=run.id, place=draft.place())
        draft.add(fact.StepSaved(kept))
    return Done(Verdict.APPLIED, run.id)


def invoke(draft: Draft, given: InvokeAsked) -> Done:
    """Start a function by its id, whatever its triggers; once for an event id of the sender's."""
    listing = draft.view.catalog.listing(given.function)
    if listing is None:
        return _nobody(draft, given)
    run_id = run_id_for(listing.slug, given.event)
    known = started_lately(draft, listing, given.event)
    if known or draft.run(run_id) is not None:
        return Done(Verdict.ALREADY, known or run_id)
    if draft.view.knows_event(given.event.id):
        # It was put off, or refused.
        return Done(Verdict.ALREADY)
    draft.accept(given.event)
    run = Run(
        id=run_id,
        function=listing.slug,
        app=listing.app,
        event_ids=(given.event.id,),
        queued_ms=draft.now.ms,
        dedup=given.event.key,
    )
    admission = attempt(draft, listing, run, given.event)
    if isinstance(admission, Refused):
        return Done(Verdict.REFUSED, "", refusal(admission.reason).message)
    # What is put off has no run yet.
    return Done(Verdict.APPLIED, admission.run_id if isinstance(admission, Begun) else "")


def _nobody(draft: Draft, given: InvokeAsked) -> Done:
    """The invocation is kept, and its end told, though no function is registered under the id."""
    failure = unknown_function(given.function)
    if not draft.view.knows_event(given.event.id):
        draft.accept(given.event)
        never_begun(draft, given.event, failure)
    return Done(Verdict.GONE, given.event.id, failure.message)


def prune(draft: Draft, given: PruneAsked) -> Pruned:
    """Remove ended runs and events older than the retention period, and functions that were removed
    before. The store names only events and functions no kept run refers to."""
    for run_id in draft.view.old_runs:
        draft.add(fact.RunForgotten(run_id))
    for event_id in draft.view.old_events:
        draft.add(fact.EventForgotten(event_id))
    for slug in draft.view.old_functions:
        draft.add(fact.GoneForgotten(slug))
    for key in draft.view.flow.old_keys:
        draft.add(fact.FlowKeyForgotten(key))
    return Pruned(len(draft.view.old_runs), len(draft.view.old_events))
