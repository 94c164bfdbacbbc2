"""A step found in parallel with others gets a call of its own."""

from stepwell.server.engine import record as fact
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row import Item, ItemKind
from stepwell.wire.operation import StepPlanned


def planned(draft: Draft, report: Report, operation: StepPlanned) -> None:
    """Have the step called. Planned again while it is under way, or saved, it changes nothing."""
    run = report.run
    if draft.view.is_saved(run.id, operation.id):
        return
    if draft.view.item(run.id, operation.id) is not None:
        return
    item = Item(
        run_id=run.id,
        key=operation.id,
        kind=ItemKind.CALL,
        due_ms=draft.now.ms,
        queue=run.app,
        target=operation.id,
    )
    draft.add(fact.ItemAdded(item))
    draft.wake(item.due_ms)
