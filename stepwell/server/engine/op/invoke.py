"""Another function's run as a step.

The child, its event and the parent's wait are one commit. The parent hears of every end of the
child; a child that cannot start ends the step at once.
"""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.finish import fail_with, never_begun
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.step_run import step_ended
from stepwell.server.engine.op.time_limit import Limit, until_ms
from stepwell.server.engine.op.wait_event import add_timeout
from stepwell.server.engine.op.wait_signal import YEAR_MS
from stepwell.server.engine.places.lane_choice import places_needed
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.run import EventRow, Run, Wait, WaitKind
from stepwell.server.engine.starting.drop import refusal
from stepwell.server.engine.starting.start import run_id_for
from stepwell.server.engine.starting.start_gate import PutOff, Refused, attempt
from stepwell.server.engine.state.catalog import Listing
from stepwell.wire.event import FUNCTION_INVOKED
from stepwell.wire.event_session import SessionError, normal_meta
from stepwell.wire.failure import Failure, encode_failure_memo, unknown_function
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
        event = _event(draft, report, operation, operation.function_id, until)
        draft.accept(event)
        never_begun(draft, event, failure, f"{run.id}.{operation.id}")
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
    draft.accept(event)
    _start(draft, report, operation, _Child(listing, child, event, wait))


class _Child(msgspec.Struct, frozen=True):
    """A run that is to be invoked, and the wait of the step for it."""

    listing: Listing
    run: Run
    event: EventRow
    wait: Wait


def _start(draft: Draft, report: Report, operation: InvokeFunction, child: _Child) -> None:
    """Start the child as far as its flow control lets it. One that is put off is waited for under
    the key of its hold; whoever invokes one that will not start is told at once."""
    if child.listing.plan is not None:
        held = _place_held_above(draft, report.run, child)
        if held:
            failure = Failure(name="Error", message=_WAITS_FOR_ITSELF.format(key=held))
            step_ended(draft, report, operation, bytes(encode_failure_memo(failure)))
            return
        # To make room for it, other runs may end, and resume this one.
        draft.change(report.run)
    admission = attempt(draft, child.listing, child.run, child.event)
    if child.listing.plan is not None:
        report.run = draft.run(report.run.id) or report.run
    if draft.has_ended(report.run.id):
        return
    if isinstance(admission, Refused):
        memo = encode_failure_memo(refusal(admission.reason))
        step_ended(draft, report, operation, bytes(memo))
        return
    wait = child.wait
    if isinstance(admission, PutOff):
        wait = msgspec.structs.replace(wait, name=admission.key)
    draft.open(wait)
    add_timeout(draft, wait, operation.op)


_WAITS_FOR_ITSELF = (
    "the invoked function would wait for itself: it needs a place under {key}, which this run, or"
    " one that invoked it, holds until it ends; send an event in place of invoking, or let another"
    " function with a limit of its own do this part"
)
ANCESTORS_MAX = 24
"""So many are looked at: each may take a look of its own, of which a decision has few."""


def _place_held_above(draft: Draft, run: Run, child: "_Child") -> str:
    """The key of a place the child needs that a run holds which waits for it; empty if none."""
    plan = child.listing.plan
    needed = places_needed(draft, plan, child.event) if plan is not None else ()
    above: Run | None = run
    for _ in range(ANCESTORS_MAX if needed else 0):
        if above is None:
            break
        held = [key for key in needed if key in above.slots]
        if held:
            return held[0]
        parent = above.parent.partition(".")[0]
        above = draft.run(parent) if parent else None
    return ""


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
