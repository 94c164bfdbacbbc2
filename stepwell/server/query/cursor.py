"""Where a page begins: the place of the last entry of the page before, as text. Pure.

In v1 a cursor is the id of that entry; in v2 it is opaque, and holds the order it belongs to.
"""

import base64
import binascii

import msgspec

from stepwell.server.store.port import CountPlace, Mark, Reader
from stepwell.wire.identifier import is_ulid, ulid_time_ms
from stepwell.wire.outside import decode


class _Field(msgspec.Struct, rename={"name": "f", "value": "v"}):
    name: str
    value: int


class _Cursor(msgspec.Struct, rename={"fields": "c"}):
    id: str
    fields: dict[str, _Field]


_READ = msgspec.json.Decoder(_Cursor)
_PLACE = msgspec.json.Decoder(CountPlace)


def encode_cursor(mark: Mark, time: str) -> str:
    """A cursor of v2 for a list in the order of this time."""
    raw = msgspec.json.encode(_Cursor(mark.id, {time: _Field(time, mark.at_ms)}))
    return base64.urlsafe_b64encode(raw).decode()


def decode_cursor(text: str, time: str) -> Mark:
    """The place a cursor of v2 holds. Raises ValueError if it is none of ours, or one of a list in
    another order."""
    try:
        found = decode(base64.urlsafe_b64decode(text.encode()), _READ)
    except (binascii.Error, UnicodeError, msgspec.DecodeError):
        raise ValueError("Cursor is invalid") from None
    field = found.fields.get(time)
    if field is None or not is_ulid(found.id) or not 0 <= field.value < 2**63:
        raise ValueError("Cursor is invalid: it belongs to a list in another order")
    return Mark(field.value, found.id)


def encode_place(place: CountPlace) -> str:
    """A cursor of v2 for a list of counts."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def decode_place(text: str) -> CountPlace:
    """The place such a cursor holds. Raises ValueError if it is none of ours."""
    try:
        found = decode(base64.urlsafe_b64decode(text.encode()), _PLACE)
    except (binascii.Error, UnicodeError, msgspec.DecodeError):
        raise ValueError("Cursor is invalid: it belongs to another list") from None
    if not 0 <= found.at_ms < 2**63:
        raise ValueError("Cursor is invalid: it belongs to another list")
    return found


def run_mark(reader: Reader, run_id: str) -> Mark | None:
    """The place of a run in the order of queueing; about where it was, if it is gone."""
    if not run_id:
        return None
    run = reader.run(run_id)
    return Mark(ulid_time_ms(run_id) if run is None else run.queued_ms, run_id)


def event_mark(reader: Reader, event_id: str) -> Mark | None:
    """The same for an event."""
    if not event_id:
        return None
    event = reader.event(event_id)
    return Mark(ulid_time_ms(event_id) if event is None else event.received_ms, event_id)
