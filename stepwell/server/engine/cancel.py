"""A run is told to stop: by an event it named, by hand, or by time. Source: server.md 3.11."""

from stepwell.server.engine.action import Topic
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.finish import cancelled
from stepwell.server.engine.input import CancelAsked, Done, Verdict
from stepwell.server.engine.row import Run


def cancel(draft: Draft, run: Run) -> None:
    """End the run as cancelled. A call under way is told; what it answers is discarded."""
    cancelled(draft, run)
    draft.announce(Topic.RUN_CANCELLED, run.id)


def cancel_by_hand(draft: Draft, given: CancelAsked) -> Done:
    """Cancel one run, if it goes on."""
    run = draft.run(given.run_id)
    if run is None:
        return Done(Verdict.GONE, given.run_id, "no such run")
    if run.ended:
        return Done(Verdict.ALREADY, given.run_id, run.status.word)
    cancel(draft, run)
    return Done(Verdict.APPLIED, given.run_id)
