"""A run is told to stop: by an event it named, by hand, or by time."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.finish import cancelled, fail_with
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import CancelAsked, Done, LeftUnserved, Verdict
from stepwell.server.engine.name.held import is_pinned
from stepwell.server.engine.name.lane import place_of
from stepwell.server.engine.row.run import Note, Run
from stepwell.wire.duration import format_duration
from stepwell.wire.failure import FUNCTION_NOT_FOUND


def cancel(draft: Draft, run: Run) -> None:
    """End the run as cancelled. A call under way is told; what it answers is discarded."""
    cancelled(draft, run)
    draft.announce(Topic.RUN_CANCELLED, run.id)


def cancel_because(draft: Draft, run: Run, kind: str, told: str) -> None:
    """The same for a reason that the timeline tells."""
    draft.add(fact.Noted(Note(run.id, draft.place(), draft.now.ms, kind, "", told, 0, b"")))
    cancel(draft, run)


def give_up(draft: Draft, given: LeftUnserved) -> Done:
    """Fail a run whose function nobody serves any more."""
    run = draft.run(given.run_id)
    if run is None:
        return Done(Verdict.GONE, given.run_id, "no such run")
    if run.ended:
        return Done(Verdict.ALREADY, given.run_id, run.status.word)
    listing, waited = draft.view.catalog.listing(run.function), format_duration(given.waited_ms)
    if listing is None:
        message = (
            f"No app has served function {run.function} for {waited}: its app no longer names it."
            " Serve it under that id and run this again."
        )
    elif any(is_pinned(place_of(item.queue)) for item in draft.view.items_of(run.id)):
        message = (
            f"No app has served the code {run.code} of function {run.function} for {waited}, which"
            " the run began under. Serve that code, or run this again under the code of today."
        )
    else:
        return Done(Verdict.REFUSED, given.run_id, "its function is served again")
    fail_with(draft, run, FUNCTION_NOT_FOUND, message)
    draft.announce(Topic.RUN_CANCELLED, run.id)
    return Done(Verdict.APPLIED, given.run_id)


def cancel_by_hand(draft: Draft, given: CancelAsked) -> Done:
    """Cancel one run, if it goes on."""
    run = draft.run(given.run_id)
    if run is None:
        return Done(Verdict.GONE, given.run_id, "no such run")
    if run.ended:
        return Done(Verdict.ALREADY, given.run_id, run.status.word)
    if given.condition and not _satisfies(draft, run, given.condition):
        return Done(Verdict.REFUSED, given.run_id, "its event does not satisfy the condition")
    cancel(draft, run)
    return Done(Verdict.APPLIED, given.run_id)


def _satisfies(draft: Draft, run: Run, condition: str) -> bool:
    event = draft.body(run.event_ids[0]) if run.event_ids else None
    if event is None:
        return False
    asks = f"a cancellation of run {run.id}"
    return draft.holds(draft.compiled(condition), "event", event, asks)
