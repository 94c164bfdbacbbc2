"""An event meets functions, waits and cancellations.

The first trigger that matches starts one run per function.
"""

from collections.abc import Iterator

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.cancel import cancel
from stepwell.server.engine.life.resume import resume
from stepwell.server.engine.row.flow import DropReason
from stepwell.server.engine.row.run import EventRow, Item, ItemKind, Wait, WaitKind, place_of
from stepwell.server.engine.starting.drop import drop
from stepwell.server.engine.starting.start_gate import start_for_event
from stepwell.server.engine.state.catalog import Listener
from stepwell.wire.event import FUNCTION_INVOKED

FANOUT = "fanout"
LISTENERS = "listeners"


def meet(draft: Draft, event: EventRow) -> None:
    """Resume and cancel whoever waited for the event, and start whoever listens to it.

    Waits come first: a run that this very event starts must not be met by it.
    """
    meet_waits(draft, event)
    if event.name != FUNCTION_INVOKED:
        meet_listeners(draft, event)


def meet_or_postpone(draft: Draft, event: EventRow) -> None:
    """Let the event meet whom it concerns, now or, if this decision did enough, in the next."""
    if draft.is_tired or draft.starts >= draft.rules.starts_per_decision_max:
        postpone(draft, event)
    else:
        meet(draft, event)


def meet_waits(draft: Draft, event: EventRow, after: str = "") -> None:
    """End the waits the event matches; what is too much for one decision is left to an item."""
    mine, waits = draft.meeting(event, after)
    rest = draft.view.rest_of_meeting(event.id, after, draft.rules.waits_per_decision_max)
    if after:
        # Beyond the first page time has passed: who began to wait meanwhile waits for another.
        waits = [wait for wait in waits if wait.opened_ms <= event.received_ms]
    matching = [wait for wait in mine if _matches(draft, wait, event)]
    for index, wait in enumerate(waits):
        if index and draft.is_tired:
            rest = place_of(waits[index - 1])
            break
        if _matches(draft, wait, event):
            matching.append(wait)
    draft.each(matching, lambda wait: _end_wait(draft, wait, event))
    if rest:
        postpone(draft, event, after=rest)


def meet_listeners(draft: Draft, event: EventRow, after: str = "") -> None:
    """Start whoever listens to the event, from a function on; what is too much is left over."""
    way = _Way(draft, event, after)
    draft.each(way.listeners(), way.meet)
    if way.rest:
        postpone(draft, event, after=way.rest, key=LISTENERS)


class _Way:
    """How far one decision comes through the functions that listen to an event."""

    def __init__(self, draft: Draft, event: EventRow, after: str) -> None:
        self._draft = draft
        self._event = event
        self._after = after
        self._met = after
        self._wanted = 0
        self.rest = ""

    def listeners(self) -> Iterator[Listener]:
        """Those it meets; `rest` is the last of them if there are more."""
        draft = self._draft
        for listener in draft.view.catalog.listeners(self._event.name):
            if listener.listing.slug <= self._after:
                continue
            is_full = self._wanted >= draft.rules.starts_per_decision_max
            if self._met > self._after and (is_full or draft.is_tired):
                self.rest = self._met
                return
            yield listener

    def meet(self, listener: Listener) -> None:
        """Start a function if it wants the event."""
        self._met = listener.listing.slug
        if _wants(self._draft, listener, self._event):
            self._wanted += 1
            start_for_event(self._draft, listener.listing, self._event)


def postpone(draft: Draft, event: EventRow, *, after: str = "", key: str = FANOUT) -> None:
    """Leave the event to a fan-out item. With `after`, only waits beyond that place are left, or,
    by the key of listeners, functions beyond that one."""
    item = Item(
        run_id=f"{FANOUT}:{event.id}",
        key=key,
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
    return draft.holds(draft.compiled(wait.condition), "async", event, f"run {wait.run_id} waits")


def _wants(draft: Draft, listener: Listener, event: EventRow) -> bool:
    slug, too_costly = listener.listing.slug, False
    for trigger in listener.triggers:
        if trigger.condition is None:
            return True
        asks = f'a trigger of function "{slug}"'
        judged = draft.judged(trigger.condition, "event", event, asks)
        if judged.holds:
            return True
        too_costly = too_costly or judged.is_too_costly
    if too_costly:
        drop(draft, slug, (event.id,), DropReason.TOO_COSTLY)
    return False


def _end_wait(draft: Draft, wait: Wait, event: EventRow) -> None:
    run = draft.run(wait.run_id)
    if run is None or run.ended or event.id in run.event_ids:
        return
    if wait.kind is WaitKind.CANCEL:
        cancel(draft, run)
    else:
        resume(draft, run, wait, event.body)
