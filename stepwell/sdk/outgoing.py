"""Events on their way out: what users may pass to `send`, what is refused, and the request body.

The only place that judges events before they are sent. All events of a call are judged before any
of them leaves, and every problem of every event is told at once.
Sources: http.md 3.1; features E-60 to E-68, E-79, E-85, E-106 to E-109.
"""

import datetime as dt
import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import TypeAlias, cast
from uuid import UUID

import msgspec
import pydantic

from stepwell.sdk.errors import EventValidationError
from stepwell.sdk.schema import Event
from stepwell.wire import event as wire_event
from stepwell.wire import limit

Sendable: TypeAlias = Event | Mapping[str, object]
"""One event: an `Event`, or a mapping with its fields."""

_FIELDS = ("name", "data", "id", "ts", "v", "user", "meta")
_Problem: TypeAlias = tuple[int, str, str]
_PLAIN = ("name", "ts", "id", "v")
_DEPTH_MAX = 200


class Body(msgspec.Struct, frozen=True):
    """The JSON array of one request, and where the largest event stands (for a warning)."""

    body: bytes
    count: int
    largest_bytes: int
    largest_index: int


def collect(given: Sendable | Iterable[Sendable]) -> list[Event]:
    """What was passed to `send` as a list. Raises EventValidationError for what is no event."""
    if isinstance(given, Event):
        return [given]
    single = isinstance(given, Mapping | str | bytes | pydantic.BaseModel)
    items: list[object] = [given] if single or not hasattr(given, "__iter__") else list(given)
    events: list[Event] = []
    problems: list[_Problem] = []
    for index, item in enumerate(items):
        if isinstance(item, Event):
            events.append(item)
        elif isinstance(item, Mapping):
            events.append(_from_mapping(index, cast(Mapping[object, object], item), problems))
        else:
            text = f"{type(item).__name__} is no event; pass Event(name=..., data=...) or a dict"
            problems.append((index, "event", text))
    if problems:
        raise EventValidationError(problems)
    return events


def _from_mapping(index: int, given: Mapping[object, object], problems: list[_Problem]) -> Event:
    text = f"no such field; an event has {', '.join(_FIELDS)}"
    problems.extend((index, str(key), text) for key in given if key not in _FIELDS)
    # Types are judged by `encode`, together with those of events that middleware changed.
    fields = {str(key): value for key, value in given.items() if value is not None}
    return Event.model_construct(None, **{"name": "", "data": {}, **fields})


def encode(events: Sequence[Event], now_ms: int) -> Body:
    """The body of the request. Raises EventValidationError that names all problems of all events.

    A missing or zero `ts` becomes `now_ms`, missing `data` an empty object, an empty `id` is left
    out.
    """
    problems: list[_Problem] = []
    parts: list[bytes] = []
    largest, largest_index = 0, 0
    for index, event in enumerate(events):
        part = _encode_one(index, event, now_ms, problems)
        if len(part) > largest:
            largest, largest_index = len(part), index
        parts.append(part)
    if problems:
        raise EventValidationError(problems, [str(event.name) for event in events])
    return Body(b"[" + b",".join(parts) + b"]", len(parts), largest, largest_index)


def _encode_one(index: int, event: Event, now_ms: int, problems: list[_Problem]) -> bytes:
    found: list[tuple[str, str]] = []
    _check_plain_fields(event, found)
    data = _json_object("data", event.data, found) or b"{}"
    user = _json_object("user", event.user, found)
    meta = _json_object("meta", event.meta, found)
    if found:
        problems.extend((index, path, text) for path, text in found)
        return b""
    encoded = wire_event.encode_event(
        wire_event.Event(
            event.name,
            msgspec.Raw(data),
            event.id or "",
            event.ts or now_ms,
            event.v,
            None if user is None else msgspec.Raw(user),
            None if meta is None else msgspec.Raw(meta),
        ),
        with_user=False,
    )
    if len(encoded) > limit.EVENT_BYTES_MAX:
        text = f"{len(encoded)} bytes, at most {limit.EVENT_BYTES_MAX}; send a reference instead"
        problems.append((index, "data", text))
    return encoded


def _check_plain_fields(event: Event, found: list[tuple[str, str]]) -> None:
    """Everything but the payload. The values may be of any type: events can be changed at will."""
    fields: dict[str, object] = {field: getattr(event, field) for field in _PLAIN}
    name, ts = fields["name"], fields["ts"]
    if not isinstance(name, str) or not name:
        found.append(("name", f"{name!r} is not a text that names the event"))
    elif wire_event.is_internal_event(name):
        found.append(("name", f"names beginning with {wire_event.INTERNAL_PREFIX!r} are reserved"))
    elif len(name.encode(errors="replace")) > limit.EVENT_NAME_BYTES_MAX:
        found.append(("name", f"longer than {limit.EVENT_NAME_BYTES_MAX} bytes"))
    if ts and (isinstance(ts, bool) or not isinstance(ts, int)):
        found.append(("ts", f"{ts!r} is not an integer; give milliseconds since 1970"))
    elif isinstance(ts, int) and ts and not limit.EVENT_TS_MS_MIN <= ts <= limit.EVENT_TS_MS_MAX:
        found.append(("ts", f"{ts} is not between 1980 and 2100; give milliseconds since 1970"))
    found.extend(
        (field, f"{fields[field]!r} is not text")
        for field in ("id", "v")
        if not isinstance(fields[field], str | None)
    )


def _json_object(field: str, value: object, found: list[tuple[str, str]]) -> bytes | None:
    """The payload as a JSON object, None if there is none."""
    if value is None:
        return None
    try:
        encoded = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        found.append(_unwritable(value, field) or (field, f"cannot be written as JSON: {error}"))
        return None
    if encoded[:1] != b"{":
        text = f"{type(value).__name__} is not an object; wrap it, as in {{'value': ...}}"
        found.append((field, text))
        return None
    # What is neither finite nor JSON was written as null: only then is a closer look needed.
    if b"null" in encoded and (problem := _unwritable(value, field)):
        found.append(problem)
        return None
    return encoded


def _in_json_terms(value: object) -> object:
    """What the encoder cannot write by itself (E-79)."""
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return dict(cast(Mapping[object, object], value))
    if isinstance(value, memoryview):
        return bytes(cast("memoryview[int]", value))
    if isinstance(value, AbstractSet | Sequence):
        return list(cast(Iterable[object], value))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_in_json_terms)
_LEAVES = (
    str
    | bytes
    | bytearray
    | memoryview
    | int
    | Decimal
    | UUID
    | enum.Enum
    | dt.date
    | dt.time
    | dt.timedelta
)
_KEYS = str | int | float | UUID | enum.Enum


def _unwritable(value: object, path: str, depth: int = 0) -> tuple[str, str] | None:
    """The first place inside `value` that JSON cannot carry, and why."""
    if value is None or isinstance(value, _LEAVES):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else (path, f"{value} is not a JSON number")
    if depth > _DEPTH_MAX:
        return path, "nested too deeply, or contains itself"
    parts = _parts(value)
    if parts is None:
        return path, f"{type(value).__name__} cannot be written as JSON"
    for key, item in parts:
        if isinstance(key, bool) or not isinstance(key, _KEYS):
            return path, f"the key {key!r} is not text"
        problem = _unwritable(item, f"{path}.{key}", depth + 1)
        if problem is not None:
            return problem
    return None


def _parts(value: object) -> list[tuple[object, object]] | None:
    """What a value is made of, with keys or positions; None for what JSON has no form for."""
    if isinstance(value, pydantic.BaseModel):
        return list(value.model_dump(by_alias=True).items())
    if isinstance(value, Mapping):
        return list(cast(Mapping[object, object], value).items())
    if isinstance(value, AbstractSet | Sequence):
        return list(enumerate(cast(Iterable[object], value)))
    names: Iterable[str] | None = getattr(value, "__struct_fields__", None) or getattr(
        value, "__dataclass_fields__", None
    )
    return None if names is None else [(name, getattr(value, name)) for name in names]
