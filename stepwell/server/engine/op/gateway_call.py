"""An HTTP request (fetch, or inference) that the server makes for a step.

The request is an item like any other: leased, tried again with the function's retries, and its
result is the step's. What it says (keys of providers, cookies, what is asked) is in no file: after
a restart the function is called, and says it again.
"""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.discover import discover, settle
from stepwell.server.engine.name.lane import moved_to
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row.run import Item, ItemKind, Run
from stepwell.wire.operation import AiGatewayCall, GatewayCall
from stepwell.wire.operation_encode import encode_operations

GATEWAY_QUEUE = "@gateway"
"""The queue of the server's own outgoing requests; no app may have this name."""


def ask_anew(draft: Draft, run: Run, item: Item) -> None:
    """The request is not known any more: let the function report it once more."""
    draft.done(item.run_id, item.key)
    run, _ = settle(run, item.key)
    draft.change(discover(draft, run))


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
        secret=encode_operations((operation,)),
    )
    draft.put(item)
