"""What a run leaves to be started after it: remembered while it goes on, sent when it has ended.

A deferral hangs on its run like a wait, though nothing ever ends it but the run. It never fails
the run: what is too much is dropped. Source: server.md 4.10.
"""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row import Wait, WaitKind
from stepwell.wire.limit import DEFER_INPUT_BYTES_MAX, DEFERS_PER_RUN_MAX
from stepwell.wire.operation import DeferAbort, DeferAdd, label


def defer_add(draft: Draft, report: Report, operation: DeferAdd) -> None:
    """Remember it, once."""
    run = report.run
    if draft.wait(run.id, operation.id) is not None:
        return
    present = [w for w in draft.waits_of(run.id) if w.kind is WaitKind.DEFER]
    size = len(operation.input) + sum(len(wait.condition.encode()) for wait in present)
    if len(present) >= DEFERS_PER_RUN_MAX or size > DEFER_INPUT_BYTES_MAX:
        return
    wait = Wait(
        run_id=run.id,
        step_id=operation.id,
        kind=WaitKind.DEFER,
        name=operation.function_slug,
        opened_ms=draft.now.ms,
        until_ms=0,
        condition=bytes(operation.input).decode(),
        label=label(operation),
    )
    draft.open(wait)


def defer_abort(draft: Draft, report: Report, operation: DeferAbort) -> None:
    """Take it back."""
    wait = draft.wait(report.run.id, operation.target_id)
    if wait is not None and wait.kind is WaitKind.DEFER:
        draft.close(wait)
