"""Another function's run as a step.

The child, its event and the parent's wait are one commit. The parent hears of every end of the
child; a child that cannot start ends the step at once. Source: http.md 6.11, server.md 4.4.
"""

import msgspec

from stepwell.server.engine import record as fact
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.event_row import event_row
from stepwell.server.engine.finish import fail_with
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.step_run import step_ended
from stepwell.server.engine.op.time_limit import Limit, until_ms
from stepwell.server.engine.op.wait_event import add_timeout
from stepwell.server.engine.op.wait_signal import YEAR_MS
from stepwell.server.engine.row import EventRow, Run, Wait, WaitKind
from stepwell.server.engine.start import begin, run_id_for
from stepwell.wire.event import FUNCTION_INVOKED
from stepwell.wire.event_session import SessionError, normal_meta
from stepwell.wire.failure import encode_failure_memo, unknown_function
from stepwell.wire.identifier import app_uuid, derived_ulid, function_uuid
from stepwell.wire.lifecycle import Invocation, function_invoked
from stepwell.wire.operation import InvokeFunction, label


def invoke_function(draft: Draft, report: Report, operation: InvokeFunction) -> None:
    """Start the child and wait for it."""
    run = report.run
    if report.is_met(draft, operation):
        return
    until = until_ms(draft, operation.timeout, absent_ms=YEAR_MS)
    if isinstance(until, Limit):
        fail_with(draft, run, until.name, f'step "{label(operation)}": {until.message}')
        return
    listing = draft.view.catalog.named(operation.function_id)
    if listing is None:
        failure = unknown_function(operation.function_id)
        step_ended(draft, report, operation, bytes(encode_failure_memo(failure)))
        return
    event = _event(draft, report, operation, listing.slug, until)
    child = Run(
        id=run_id_for(listing.slug, event),
        function=listing.slug,
        app=listing.app,
        event_ids=(event.id,),
        queued_ms=draft.now.ms,
        parent=f"{run.id}.{operation.id}",
    )
    wait = Wait(
        run_id=run.id,
        step_id=operation.id,
        kind=WaitKind.INVOKE,
        name=child.id,
        opened_ms=draft.now.ms,
        until_ms=until,
        label=label(operation),
    )
    draft.open(wait)
    add_timeout(draft, wait, operation.op)
    draft.add(fact.EventStored(event))
    begin(draft, listing, child, event)


def _event(
    draft: Draft, report: Report, operation: InvokeFunction, slug: str, until: int
) -> EventRow:
    correlation = f"{report.run.id}.{operation.id}"
    event_id = derived_ulid(draft.now.ms, correlation, FUNCTION_INVOKED)
    parent = draft.view.catalog.listing(report.run.function)
    invocation = Invocation(
        function_id=slug,
        correlation_id=correlation,
        expire_ms=until,
        name=label(operation),
        source_app_id=app_uuid(report.run.app),
        source_function_id=function_uuid(report.run.function),
        source_function_version=1 if parent is None else parent.version,
    )
    event = function_invoked(
        event_id,
        draft.now.ms,
        invocation,
        data=operation.data,
        user=operation.user,
        v=operation.v,
        meta=_meta(operation),
    )
    return event_row(event_id, event, draft.now.ms)


def _meta(operation: InvokeFunction) -> msgspec.Raw | None:
    """The sessions the invoked run inherits; what cannot be understood is left out."""
    if operation.meta is None:
        return None
    try:
        meta = normal_meta(operation.meta)
    except SessionError:
        return None
    return None if meta is None else msgspec.Raw(meta)
