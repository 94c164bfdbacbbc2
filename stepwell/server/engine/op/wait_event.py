"""Until an event matches, or until then. The wait and its time-out are one commit.

Source: http.md 6.11, server.md 4.3. With `lookBack`, an event that arrived since the run began
counts too (features D-13).
"""

from stepwell.expr.dialect import ExpressionError, compile_expression
from stepwell.server.engine.draft import Draft, LookAgain
from stepwell.server.engine.finish import fail_with
from stepwell.server.engine.match import bind
from stepwell.server.engine.need import LookBack, Need
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.step_run import step_ended
from stepwell.server.engine.op.time_limit import Limit, until_ms
from stepwell.server.engine.row import EventRow, Item, ItemKind, Wait, WaitKind
from stepwell.wire.failure import INVALID_EXPRESSION
from stepwell.wire.operation import WaitForEvent, label

LOOK_BACK_EVENTS_MAX = 1_000


def wait_for_event(draft: Draft, report: Report, operation: WaitForEvent) -> None:
    """Open the wait, unless the step is over, under way, or met by an event of the past."""
    run = report.run
    if report.is_met(draft, operation):
        return
    until = until_ms(draft, operation.timeout)
    if isinstance(until, Limit):
        fail_with(draft, run, until.name, f'step "{label(operation)}": {until.message}')
        return
    wait = _wait(draft, report, operation, until)
    if wait is None:
        message = "Wait for Event If expression failed to compile"
        fail_with(draft, run, INVALID_EXPRESSION, f'{message}: step "{label(operation)}"')
        return
    past = _past_match(draft, report, operation, wait)
    if past is not None:
        step_ended(draft, report, operation, past.body)
        return
    if until <= draft.now.ms:
        step_ended(draft, report, operation, b"null")
        return
    draft.open(wait)
    add_timeout(draft, wait, operation.op)


def add_timeout(draft: Draft, wait: Wait, op: str) -> None:
    """The item that ends a wait when its time is up."""
    item = Item(
        run_id=wait.run_id,
        key=wait.step_id,
        kind=ItemKind.TIMEOUT,
        due_ms=wait.until_ms,
        target=op,
        detail=wait.label.encode(),
    )
    draft.put(item)


def _wait(draft: Draft, report: Report, operation: WaitForEvent, until: int) -> Wait | None:
    wait = Wait(
        run_id=report.run.id,
        step_id=operation.id,
        kind=WaitKind.EVENT,
        name=operation.event,
        opened_ms=draft.now.ms,
        until_ms=until,
        label=label(operation),
    )
    if not operation.condition:
        return wait
    try:
        compile_expression(operation.condition)
    except ExpressionError:
        return None
    trigger = draft.body(report.run.event_ids[0])
    return bind(wait, operation.condition, {} if trigger is None else draft.decoded(trigger))


def _past_match(
    draft: Draft, report: Report, operation: WaitForEvent, wait: Wait
) -> EventRow | None:
    if not operation.look_back:
        return None
    since = report.run.queued_ms
    if not draft.view.sees_look_back(wait.name, since):
        raise LookAgain(Need(look_back=(LookBack(wait.name, since, LOOK_BACK_EVENTS_MAX),)))
    for event in draft.view.look_back(wait.name, since):
        if event.id in report.run.event_ids:
            continue
        if not wait.condition:
            return event
        if compile_expression(wait.condition).holds({"async": draft.decoded(event)}):
            return event
    return None
