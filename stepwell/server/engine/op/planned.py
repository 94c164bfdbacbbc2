"""A step found in parallel with others gets a call of its own."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.lease_id import PLANNED
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row import Item, ItemKind
from stepwell.wire.operation import StepPlanned, label


def planned(draft: Draft, report: Report, operation: StepPlanned) -> None:
    """Have the step called. Planned again while it is under way, or saved, it changes nothing."""
    run = report.run
    if report.is_met(draft, operation):
        return
    item = Item(
        run_id=run.id,
        key=operation.id,
        kind=ItemKind.CALL,
        due_ms=draft.now.ms,
        queue=run.queue,
        target=operation.id,
        detail=PLANNED + label(operation).encode(),
    )
    draft.put(item)
