"""Until an event matches, or until then. The wait and its time-out are one commit.

With `lookBack`, an event that arrived since the run began counts too.
"""

from collections.abc import Mapping

from stepwell.expr.dialect import ExpressionError
from stepwell.expr.verdict import Known, never_true
from stepwell.server.engine.draft import Draft, LookAgain
from stepwell.server.engine.life.finish import fail_with
from stepwell.server.engine.life.match import bind
from stepwell.server.engine.message.action import Warn
from stepwell.server.engine.message.need import LookBack, Need
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.step_run import step_ended
from stepwell.server.engine.op.time_limit import Limit, until_ms
from stepwell.server.engine.row.run import EventRow, Item, ItemKind, Wait, WaitKind
from stepwell.wire.failure import INVALID_EXPRESSION
from stepwell.wire.operation import WaitForEvent, label

LOOK_BACK_PAGES = tuple(1_000 << page for page in range(5))
"""A wait that looks back sees so many events, in so many looks; the next are waited for."""


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
    if isinstance(wait, ExpressionError):
        message = "Wait for Event If expression failed to compile"
        fail_with(draft, run, INVALID_EXPRESSION, f'{message}: step "{label(operation)}": {wait}')
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
    _doubt(draft, operation, wait)


def _doubt(draft: Draft, operation: WaitForEvent, wait: Wait) -> None:
    """Tell the log of a wait that no event can end."""
    known: Known = {"event": None, "vars": None, "async.name": wait.name}
    why = never_true(draft.compiled(wait.condition), known) if wait.condition else None
    if why is not None:
        waits = f'run {wait.run_id} waits in step "{wait.label}" for an event'
        draft.actions.append(Warn(f"{waits}, but {operation.condition[:200]!r} {why}: mend it"))


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


def _wait(
    draft: Draft, report: Report, operation: WaitForEvent, until: int
) -> Wait | ExpressionError:
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
    trigger = draft.body(report.run.event_ids[0])
    event: Mapping[str, object] = {} if trigger is None else draft.decoded(trigger)
    try:
        return bind(wait, operation.condition, event, draft.compiled)
    except ExpressionError as error:
        return error


def _past_match(
    draft: Draft, report: Report, operation: WaitForEvent, wait: Wait
) -> EventRow | None:
    """The first event since the run began that matches and ended no wait of the run before."""
    if not operation.look_back:
        return None
    run, skip = report.run, 0
    for size in LOOK_BACK_PAGES:
        look = LookBack(wait.name, run.queued_ms, size, skip, run.id)
        if not draft.view.sees_look_back(look):
            raise LookAgain(Need(look_back=(look,)))
        events = draft.view.look_back(look)
        met = draft.view.met(run.id)
        for event in events:
            used = event.id in run.event_ids or event.body in met
            if not used and _holds(draft, wait, event):
                return event
        if len(events) < size:
            break
        skip += size
    return None


def _holds(draft: Draft, wait: Wait, event: EventRow) -> bool:
    if not wait.condition:
        return True
    return draft.holds(draft.compiled(wait.condition), "async", event, f"run {wait.run_id} waits")
