"""A wait ends: by an event, a signal, a child run or time. The step is saved, the run goes on."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.discover import discover, settle
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.row.run import Run, Step, Wait, WaitKind

OPS = {
    WaitKind.EVENT: "WaitForEvent",
    WaitKind.SIGNAL: "WaitForSignal",
    WaitKind.INVOKE: "InvokeFunction",
}


def resume(draft: Draft, run: Run, wait: Wait, memo: bytes) -> None:
    """End a wait with what the run will be told. Its time-out item goes with it."""
    step = Step(
        run_id=run.id,
        id=wait.step_id,
        place=draft.place(),
        op=OPS[wait.kind],
        name=wait.label,
        memo=memo,
        began_ms=wait.opened_ms,
        ended_ms=draft.now.ms,
    )
    finish_step(draft, run, step)


def finish_step(draft: Draft, run: Run, step: Step) -> None:
    """Save a step that no call is reporting, and have the function called if that is due."""
    draft.save(step)
    after, wanted = settle(run, step.id)
    if wanted:
        after = discover(draft, after)
    if after is not run:
        draft.change(after)
    draft.announce(Topic.RUN_MOVED, run.id)
