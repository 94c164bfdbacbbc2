"""A step found in parallel with others gets a call of its own."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.name.lease_id import PLANNED
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.places.lane_choice import step_lane
from stepwell.server.engine.places.named_limits import declare, of_step
from stepwell.server.engine.row.run import Item, ItemKind
from stepwell.wire.operation import StepPlanned, label


def planned(draft: Draft, report: Report, operation: StepPlanned) -> None:
    """Have the step called. Planned again while it is under way, or saved, it changes nothing."""
    run = report.run
    if report.is_met(draft, operation):
        return
    if operation.limits:
        declare(draft, [of_step(run, operation, limit) for limit in operation.limits])
    item = Item(
        run_id=run.id,
        key=operation.id,
        kind=ItemKind.CALL,
        due_ms=draft.now.ms,
        queue=step_lane(run, operation) if operation.limits else run.queue,
        target=operation.id,
        detail=(_turn(draft) if operation.limits else PLANNED) + label(operation).encode(),
    )
    draft.put(item)


def _turn(draft: Draft) -> bytes:
    """Before the name of a step that may have to wait: when it came, because that is its turn."""
    return f"{draft.place()} ".encode()
