"""An event meets functions, waits and cancellations.

Source: server.md 2.1 (the first trigger that matches starts one run per function), 4.3 and 5.9.
"""

from stepwell.expr.dialect import compile_expression
from stepwell.server.engine import record as fact
from stepwell.server.engine.cancel import cancel
from stepwell.server.engine.catalog import Listener
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.resume import resume
from stepwell.server.engine.row import EventRow, Item, ItemKind, Wait, WaitKind, place_of
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
    for listener in draft.view.catalog.listeners(event.name):
        if _wants(draft, listener, event):
            start_for_event(draft, listener.listing, event)


def meet_waits(draft: Draft, event: EventRow, after: str = "") -> None:
    """End the waits the event matches; what is too much for one decision is left to an item."""
    waits = draft.meeting(event, after)
    for wait in waits:
        if _matches(draft, wait, event):
            _end_wait(draft, wait, event)
    if len(waits) >= draft.rules.waits_per_decision_max:
        postpone(draft, event, after=max(place_of(wait) for wait in waits))


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
    draft.add(fact.ItemAdded(item))
    draft.wake(item.due_ms)


def _matches(draft: Draft, wait: Wait, event: EventRow) -> bool:
    if wait.until_ms <= draft.now.ms:
        return False
    if not wait.condition:
        return True
    return compile_expression(wait.condition).holds({"async": draft.decoded(event)})


def _wants(draft: Draft, listener: Listener, event: EventRow) -> bool:
    return any(
        trigger.condition is None or trigger.condition.holds({"event": draft.decoded(event)})
        for trigger in listener.triggers
    )


def _end_wait(draft: Draft, wait: Wait, event: EventRow) -> None:
    run = draft.run(wait.run_id)
    if run is None or run.ended or draft.has_ended(run.id):
        return
    if wait.kind is WaitKind.CANCEL:
        cancel(draft, run)
    else:
        resume(draft, run, wait, event.body)
