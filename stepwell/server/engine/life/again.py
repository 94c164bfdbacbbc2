"""An item is put off as its next attempt, and the timeline is told what went wrong."""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.discover import discover
from stepwell.server.engine.life.finish import fail_as
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.name.lease_id import since, step_name
from stepwell.server.engine.retry import delay_ms
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Note, Run
from stepwell.wire.failure import Failure, encode_failure

EMPTY_REPLY_DELAY_MS = 1_000
"""A function that reports nothing is asked again, but not in a tight loop."""

STALLS_MIN = 3
"""So often a call may lead nowhere, of a function with fewer tries."""

STALLED = Failure(
    name="NoProgress",
    message="The function was called again and again, and reported nothing new: neither the step it"
    " was asked for nor one that was not saved before. Is it called with an SDK that ignores what"
    " it is told?",
)


def try_again(
    draft: Draft, run: Run, item: Item, asked_ms: int | None, error: bytes, name: str
) -> None:
    """Put the same item off, as the next attempt, and note what went wrong."""
    due = _noted_due_ms(draft, run, item, item.key, asked_ms, error, name)
    draft.move(
        Item(
            run_id=item.run_id,
            key=item.key,
            kind=item.kind,
            due_ms=due,
            queue=item.queue,
            attempt=item.attempt + 1,
            target=item.target,
            detail=_since(draft, item),
            secret=item.secret,
        )
    )
    draft.announce(Topic.RUN_MOVED, run.id)


def try_apart(
    draft: Draft, run: Run, item: Item, step_id: str, asked_ms: int | None, error: bytes, name: str
) -> None:
    """A step that failed beside others gets its next attempts in calls of its own: what the others
    do neither costs it attempts nor gives it more."""
    due = _noted_due_ms(draft, run, item, step_id, asked_ms, error, name)
    draft.put(
        Item(
            run_id=run.id,
            key=step_id,
            kind=ItemKind.CALL,
            due_ms=due,
            queue=run.queue,
            attempt=item.attempt + 1,
            target=step_id,
            detail=since(draft.now, name),
        )
    )


def _since(draft: Draft, item: Item) -> bytes:
    return since(draft.now, step_name(item)) if item.kind is ItemKind.CALL else item.detail


def stall(draft: Draft, run: Run, item: Item, *, at_once: bool) -> None:
    """A call led nowhere. The same call is made again, as an attempt that did not succeed: the
    first time soon (two calls of a run may report one step), then like any other, and in the end
    the run has failed. `at_once` says that the function asked for the call. A call for one step
    has a discovery beside it the first time: the step may be there no more."""
    listing = draft.view.catalog.listing(run.function)
    tries = max(STALLS_MIN, 1 if listing is None else listing.attempts_max)
    if item.attempt + 1 >= tries:
        fail_as(draft, run, STALLED)
        return
    if item.attempt:
        draft.change(run)
        try_again(draft, run, item, None, bytes(encode_failure(STALLED)), step_name(item))
        return
    due = draft.now.ms + (0 if at_once else EMPTY_REPLY_DELAY_MS)
    draft.change(run if item.key == MAIN else discover(draft, run, due_ms=due))
    detail = _since(draft, item)
    draft.move(msgspec.structs.replace(item, due_ms=due, attempt=1, losses=0, detail=detail))
    draft.announce(Topic.RUN_MOVED, run.id)


def _noted_due_ms(
    draft: Draft, run: Run, item: Item, key: str, asked_ms: int | None, error: bytes, name: str
) -> int:
    """When the next attempt is due; the timeline is told of the one that failed."""
    wait_ms = delay_ms(
        item.attempt,
        f"{run.id}{key}",
        asked_ms=asked_ms,
        constant_ms=draft.rules.retry_interval_ms,
    )
    note = Note(run.id, draft.place(), draft.now.ms, "retry", key, name, item.attempt, error)
    draft.add(fact.Noted(note))
    draft.announce(Topic.ATTEMPT_FAILED, run.id, note.place)
    return draft.now.ms + wait_ms
