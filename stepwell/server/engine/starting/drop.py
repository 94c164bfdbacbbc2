"""An event that starts no run: recorded with the reason, and told to whoever waits for the run."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.resume import resume
from stepwell.server.engine.row.flow import Dropped, DropReason
from stepwell.wire.failure import Failure, encode_failure_memo

_TOLD = {
    DropReason.RATE_LIMIT: "invoked function is rate limited",
    DropReason.IDEMPOTENCY: "invoked function is rate limited",
    DropReason.DEBOUNCE: "invoked function is debounced: a newer event took this one's place",
    DropReason.DEBOUNCE_OLD: "invoked function is debounced: a newer event is held already",
    DropReason.SINGLETON: "invoked function was skipped: a run of its singleton is under way",
    DropReason.PAUSED: "invoked function was skipped: it is paused",
    DropReason.BACKLOG: "invoked function was skipped: its backlog is full",
    DropReason.TOO_COSTLY: "invoked function was skipped: its condition takes too much work",
}


def refusal(reason: DropReason) -> Failure:
    """What an invoking step is told."""
    return Failure(name="Error", message=_TOLD[reason])


def drop(
    draft: Draft,
    function: str,
    event_ids: tuple[str, ...],
    reason: DropReason,
    *,
    key: str = "",
    until_ms: int = 0,
    run_id: str = "",
) -> None:
    """Record that events start no run of a function."""
    for event_id in event_ids:
        dropped = Dropped(event_id, function, reason, draft.now.ms, key, until_ms, run_id)
        draft.flow.drop(dropped)


def tell_parents(draft: Draft, parents: str, reason: DropReason) -> None:
    """Steps that invoked a function and wait for its run hear that there will be none."""

    def tell(parent: str) -> None:
        run_id, _, step_id = parent.partition(".")
        run = draft.run(run_id)
        wait = None if run is None else draft.wait(run_id, step_id)
        if run is not None and not run.ended and wait is not None:
            resume(draft, run, wait, bytes(encode_failure_memo(refusal(reason))))

    draft.each(parents.split(",") if parents else (), tell)
