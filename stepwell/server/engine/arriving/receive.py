"""Events arrive: each is stored once, and meets its listeners in the same commit.

A request may carry thousands of events; what would make the decision too large is left to a
fan-out item, which the pump takes up at once.
"""

from stepwell.server.engine.arriving.fanout import meet_or_postpone
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message.input import Accepted, EventsReceived
from stepwell.server.engine.row.run import EventRow


def receive(draft: Draft, given: EventsReceived) -> Accepted:
    """Store and fan out. An id that is known already is answered and otherwise ignored."""
    draft.each(_unknown(draft, given), lambda event: _store(draft, event))
    return Accepted(tuple(event.id for event in given.events))


def _unknown(draft: Draft, given: EventsReceived) -> list[EventRow]:
    """The events to store: each id once, and none that was stored before."""
    if given.fresh:
        return list(given.events)
    first = {event.id: event for event in reversed(given.events)}
    return [
        event
        for event in given.events
        if first[event.id] is event and not draft.view.knows_event(event.id)
    ]


def _store(draft: Draft, event: EventRow) -> None:
    draft.accept(event)
    meet_or_postpone(draft, event)
