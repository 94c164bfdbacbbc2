"""An event as it is stored: what functions are told of it, and what it is found by."""

import msgspec

from stepwell.server.engine.row.run import EventRow
from stepwell.wire.event import EMPTY_OBJECT, Event, encode_event, under_id
from stepwell.wire.limit import EVENT_VALUES_MAX
from stepwell.wire.outside import has_more_values


def event_row(event_id: str, event: Event, received_ms: int) -> EventRow:
    """The row of an event under our own id.

    The sender's own id keys the deduplication of runs.
    """
    return EventRow(
        id=event_id,
        name=event.name,
        ts=event.ts,
        received_ms=received_ms,
        body=encode_event(under_id(event, event_id)),
        key=event.id if event.id != event_id else "",
    )


def judged_body(body: bytes) -> bytes:
    """An event as conditions and keys see it.

    Events that the server makes, of results and of invocations, may hold more values than those of
    senders. To decode them would keep everybody waiting, so conditions see none of their data.
    """
    if not has_more_values(body, EVENT_VALUES_MAX):
        return body
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**fields, "data": EMPTY_OBJECT})
