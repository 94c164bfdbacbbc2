"""An item is put off as its next attempt, and the timeline is told what went wrong."""

from stepwell.server.engine import record as fact
from stepwell.server.engine.action import Topic
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.lease_id import since
from stepwell.server.engine.retry import delay_ms
from stepwell.server.engine.row import Item, ItemKind, Note, Run


def try_again(
    draft: Draft, run: Run, item: Item, asked_ms: int | None, error: bytes, name: str
) -> None:
    """Put the same item off, as the next attempt, and note what went wrong."""
    wait_ms = delay_ms(
        item.attempt,
        f"{run.id}{item.key}",
        asked_ms=asked_ms,
        constant_ms=draft.rules.retry_interval_ms,
    )
    due = draft.now.ms + wait_ms
    draft.add(
        fact.Noted(
            Note(run.id, draft.place(), draft.now.ms, "retry", item.key, name, item.attempt, error)
        )
    )
    draft.move(
        Item(
            run_id=item.run_id,
            key=item.key,
            kind=item.kind,
            due_ms=due,
            queue=item.queue,
            attempt=item.attempt + 1,
            target=item.target,
            detail=since(draft.now) if item.kind is ItemKind.CALL else item.detail,
        )
    )
    draft.announce(Topic.RUN_MOVED, run.id)
