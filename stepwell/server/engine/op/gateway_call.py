"""An HTTP request (fetch, or inference) that the server makes for a step.

The request is an item like any other: leased, tried again with the function's retries, and its
result is the step's. Source: http.md 6.11, server.md 4.6, 4.7.
"""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.lane import moved_to
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row import Item, ItemKind
from stepwell.wire.operation import AiGatewayCall, GatewayCall
from stepwell.wire.operation_encode import encode_operations

GATEWAY_QUEUE = "@gateway"
"""The queue of the server's own outgoing requests; no app may have this name."""


def gateway_call(draft: Draft, report: Report, operation: GatewayCall | AiGatewayCall) -> None:
    """Have the server make the request."""
    run = report.run
    if report.is_met(draft, operation):
        return
    item = Item(
        run_id=run.id,
        key=operation.id,
        kind=ItemKind.GATEWAY,
        due_ms=draft.now.ms,
        queue=moved_to(run.queue, GATEWAY_QUEUE),
        target=operation.id,
        detail=encode_operations((operation,)),
    )
    draft.put(item)
