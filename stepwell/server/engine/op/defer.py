"""What a run leaves to be started after it is remembered while the run goes on.

A deferral hangs on its run like a wait, though nothing ever ends it but the run. It never fails
the run: what is too much is dropped. What was taken back stays so, although a replay reports it
again.
"""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.deferral import ABORTED, META
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row.run import Wait, WaitKind
from stepwell.wire.event_session import SessionError, normal_meta
from stepwell.wire.limit import DEFER_INPUT_BYTES_MAX, DEFERS_PER_RUN_MAX
from stepwell.wire.operation import DeferAbort, DeferAdd, label


def defer_add(draft: Draft, report: Report, operation: DeferAdd) -> None:
    """Remember it, once."""
    run = report.run
    if draft.wait(run.id, operation.id) or draft.wait(run.id, _taken_back(operation.id)):
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
        condition=_kept(operation),
        label=label(operation),
    )
    draft.open(wait)


def defer_abort(draft: Draft, report: Report, operation: DeferAbort) -> None:
    """Take it back."""
    wait = draft.wait(report.run.id, operation.target_id)
    if wait is not None and wait.kind is WaitKind.DEFER:
        draft.close(wait)
        slot = _taken_back(operation.target_id)
        taken = msgspec.structs.replace(wait, step_id=slot, name="", condition="", path=wait.name)
        draft.open(taken)


def _kept(operation: DeferAdd) -> str:
    given = bytes(operation.input).decode()
    if operation.meta is None:
        return given
    try:
        meta = normal_meta(operation.meta) or b"{}"
    except SessionError:
        return given  # as if it had brought none
    return f"{META}{meta.decode()}\n{given}"


def _taken_back(step_id: str) -> str:
    return f"{step_id}{ABORTED}"
