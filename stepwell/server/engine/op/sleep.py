"""Nothing until then."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.finish import fail_with
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row.run import Item, ItemKind
from stepwell.wire.duration import parse_when
from stepwell.wire.failure import TIMEOUT_TOO_LONG
from stepwell.wire.operation import Sleep, label


def sleep(draft: Draft, report: Report, operation: Sleep) -> None:
    """Wake the run at the time it asked for. A past time is now."""
    run = report.run
    if report.is_met(draft, operation):
        return
    try:
        until = parse_when(operation.until, draft.now.ms) if operation.until else draft.now.ms
    except ValueError as error:
        fail_with(draft, run, "InvalidDuration", f'step "{label(operation)}": {error}')
        return
    if until > draft.now.ms + draft.rules.wait_max_ms:
        title = label(operation)
        message = f'The sleep "{operation.until}" of step "{title}" ends more than one year on.'
        fail_with(draft, run, TIMEOUT_TOO_LONG, message)
        return
    item = Item(
        run_id=run.id,
        key=operation.id,
        kind=ItemKind.SLEEP,
        due_ms=max(until, draft.now.ms),
        target=str(draft.now.ms),
        detail=label(operation).encode(),
    )
    draft.put(item)
