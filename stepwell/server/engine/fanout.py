"""An event meets functions, waits and cancellations.

Source: server.md 2.1 (the first trigger that matches starts one run per function), 4.3 and 5.9.
"""

from stepwell.expr.dialect import compile_expression
from stepwell.server.engine.cancel import cancel
from stepwell.server.engine.catalog import Listener
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.resume import resume
from stepwell.server.engine.row import EventRow, Item, ItemKind, Wait, WaitKind
from stepwell.server.engine.start import start_for_event
from stepwell.wire.event import FUNCTION_INVOKED

FANOUT = "fanout"


def meet(draft: Draft, event: EventRow) -> None:
    """Resume and cancel whoever waited for the event, and start whoever listens to it.

    Waits come first: a run that this very event starts must not be met by it.
    """
    meet_waits(draft, event)
    if event.name == FUNCTION_INVOKED:
        return
    wanted = [
        listener.listing
        for listener in draft.view.catalog.listeners(event.name)
        if _wants(draft, listener, event)
    ]
    draft.each(wanted, lambda listing: start_for_event(draft, listing, event))


def meet_waits(draft: Draft, event: EventRow, after: str = "") -> None:
    """End the waits the event matches; what is too much for one decision is left to an item."""
    waits = draft.meeting(event, after)
    if after:
        # Beyond the first page time has passed: who began to wait meanwhile waits for another.
        waits = [wait for wait in waits if wait.opened_ms <= event.received_ms]
    matching = [wait for wait in waits if _matches(draft, wait, event)]
    draft.each(matching, lambda wait: _end_wait(draft, wait, event))
    rest = draft.view.rest_of_meeting(event.id, after, draft.rules.waits_per_decision_max)
    if rest:
        postpone(draft, event, after=rest)


def postpone(draft: Draft, event: EventRow, *, after: str = "") -> None:
    """Leave the event to a fan-out item. With `after`, only waits beyond that place are left."""
    item = Item(
        run_id=f"{FANOUT}:{event.id}",
        key=FANOUT,
        kind=ItemKind.FANOUT,
        due_ms=draft.now.ms,
        target=event.id,
        detail=after.encode(),
    )
    draft.put(item)


def _matches(draft: Draft, wait: Wait, event: EventRow) -> bool:
    if wait.until_ms <= draft.now.ms:
        return False
    if not wait.condition:
        return True
    return compile_expression(wait.condition).holds({"async": draft.decoded(event)}, draft.now.ms)


def _wants(draft: Draft, listener: Listener, event: EventRow) -> bool:
    return any(
        trigger.condition is None
        or trigger.condition.holds({"event": draft.decoded(event)}, draft.now.ms)
        for trigger in listener.triggers
    )


def _end_wait(draft: Draft, wait: Wait, event: EventRow) -> None:
    run = draft.run(wait.run_id)
    if run is None or run.ended or event.id in run.event_ids:
        return
    if wait.kind is WaitKind.CANCEL:
        cancel(draft, run)
    else:
        resume(draft, run, wait, event.body)
