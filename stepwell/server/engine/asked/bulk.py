"""Something is done to many runs, a few in each decision. How far it has come is written down in
the same commit, so that nothing is done twice, whenever the process dies."""

from stepwell.server.engine.arriving.replay import replay
from stepwell.server.engine.asked.admin import rerun
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.cancel import cancel_by_hand
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import (
    BulkAsked,
    BulkEnded,
    BulkMoved,
    BulkReplayed,
    CancelAsked,
    Done,
    Replayed,
    RerunAsked,
    Verdict,
)


def ask(draft: Draft, given: BulkAsked) -> Done:
    """Remember what is to be done."""
    draft.add(fact.BulkStored(given.bulk))
    draft.announce(Topic.BULK, given.bulk.id)
    return Done(Verdict.APPLIED, given.bulk.id)


def move(draft: Draft, given: BulkMoved) -> Done:
    """Do it to some more runs."""
    done: list[str] = []

    def one(run_id: str) -> None:
        if given.action == "cancel":
            answer = cancel_by_hand(draft, CancelAsked(run_id))
        else:
            answer = rerun(draft, RerunAsked(run_id))
        if answer.verdict is Verdict.APPLIED:
            done.append(run_id)

    draft.each(given.run_ids, one)
    before, refused = given.moved, len(given.run_ids) - len(done)
    moved = type(before)(
        before.at_ms, before.run_id, before.done + len(done), before.refused + refused
    )
    draft.add(fact.BulkAdvanced(given.id, moved))
    return Done(Verdict.APPLIED, given.id)


def replay_more(draft: Draft, given: BulkReplayed) -> Replayed | Done:
    """Let some more events that were skipped start their runs."""
    answer = replay(draft, given.asked)
    if isinstance(answer, Replayed):
        before = given.moved
        done, refused = before.done + answer.started, before.refused + answer.skipped
        moved = type(before)(before.at_ms, before.run_id, done, refused)
        draft.add(fact.BulkAdvanced(given.id, moved))
    return answer


def end(draft: Draft, given: BulkEnded) -> Done:
    """It was done to all of them; or somebody has had enough."""
    draft.add(fact.BulkOver(given.id, draft.now.ms, stopped=given.stopped))
    draft.announce(Topic.BULK, given.id)
    return Done(Verdict.APPLIED, given.id)
