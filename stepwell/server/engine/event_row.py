"""An event as it is stored: what functions are told of it, and what it is found by."""

from stepwell.server.engine.row import EventRow
from stepwell.wire.event import Event, encode_event


def event_row(event_id: str, event: Event, received_ms: int) -> EventRow:
    """The row of an event under our own id.

    Functions see the sender's id if there is one, else ours; the sender's id also keys the
    deduplication of runs.
    """
    seen = event if event.id else _named(event, event_id)
    return EventRow(
        id=event_id,
        name=event.name,
        ts=event.ts,
        received_ms=received_ms,
        body=encode_event(seen),
        key=event.id if event.id != event_id else "",
    )


def _named(event: Event, event_id: str) -> Event:
    return Event(event.name, event.data, event_id, event.ts, event.v, event.user, event.meta)
