"""Until a named signal. One run waits for a name at a time."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.finish import fail_with
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.time_limit import Limit, until_ms
from stepwell.server.engine.op.wait_event import add_timeout
from stepwell.server.engine.row.run import Wait, WaitKind
from stepwell.server.engine.rules import DAY_MS
from stepwell.wire.failure import SIGNAL_CONFLICT_MESSAGE
from stepwell.wire.operation import CONFLICT_REPLACE, WaitForSignal, label

YEAR_MS = 365 * DAY_MS


def wait_for_signal(draft: Draft, report: Report, operation: WaitForSignal) -> None:
    """Open the wait, or settle the conflict with whoever waits for the name already."""
    run = report.run
    if report.is_met(draft, operation):
        return
    until = until_ms(draft, operation.timeout, absent_ms=YEAR_MS)
    if isinstance(until, Limit):
        fail_with(draft, run, until.name, f'step "{label(operation)}": {until.message}')
        return
    other = draft.signal(operation.signal)
    if other is not None and other.run_id != run.id and operation.conflict != CONFLICT_REPLACE:
        fail_with(draft, run, "Error", SIGNAL_CONFLICT_MESSAGE)
        return
    if other is not None:
        # Whoever is replaced hears nothing until its own time-out.
        draft.run(other.run_id)
        draft.close(other)
    wait = Wait(
        run_id=run.id,
        step_id=operation.id,
        kind=WaitKind.SIGNAL,
        name=operation.signal,
        opened_ms=draft.now.ms,
        until_ms=until,
        label=label(operation),
    )
    draft.open(wait)
    add_timeout(draft, wait, operation.op)
