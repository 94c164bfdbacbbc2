"""Nothing until then."""

from stepwell.server.engine import record as fact
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.finish import fail_with
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row import Item, ItemKind
from stepwell.wire.duration import parse_when
from stepwell.wire.operation import Sleep, title_of


def sleep(draft: Draft, report: Report, operation: Sleep) -> None:
    """Wake the run at the time it asked for (http.md 6.11). A past time is now."""
    run = report.run
    if draft.view.is_saved(run.id, operation.id):
        return
    if draft.view.item(run.id, operation.id) is not None:
        return
    try:
        until = parse_when(operation.duration, draft.now.ms)
    except ValueError as error:
        fail_with(draft, run, "InvalidDuration", f'step "{title_of(operation)}": {error}')
        return
    if until > draft.now.ms + draft.rules.wait_max_ms:
        title = title_of(operation)
        message = f'The sleep "{operation.duration}" of step "{title}" ends more than one year on.'
        fail_with(draft, run, "InngestErrTimeoutTooLong", message)
        return
    item = Item(
        run_id=run.id,
        key=operation.id,
        kind=ItemKind.SLEEP,
        due_ms=max(until, draft.now.ms),
        target=str(draft.now.ms),
        detail=title_of(operation).encode(),
    )
    draft.add(fact.ItemAdded(item))
    draft.wake(item.due_ms)
