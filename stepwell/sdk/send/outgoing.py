"""Events on their way out: what users may pass to `send`, what is refused, and the request body.

The only place that judges events before they are sent. What cannot be written is refused before any
event of the call leaves, every problem of every event at once. What a server judges (the words of a
name, the range of a time, the size) is left to it, as by the official SDK, unless it is asked for.
"""

import datetime as dt
import enum
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, Protocol, TypeAlias, cast
from uuid import UUID

import msgspec
import pydantic

from stepwell.sdk.errors import EventValidationError
from stepwell.sdk.events.definition import Judged, Parts
from stepwell.sdk.events.event import AnyEvent, Event, ts_of
from stepwell.sdk.events.json_body import encode_json
from stepwell.sdk.events.kind import EventModel
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.events.validator import Unfit
from stepwell.wire import event as wire_event
from stepwell.wire import limit

_SURROGATE = re.compile("[\ud800-\udfff]")


class NamedEvent(Protocol):
    """An object of any class that has an event's fields, `name` and `data` at least."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...

    @property
    def data(self) -> object:
        """The event's data."""
        ...


Sendable: TypeAlias = AnyEvent | EventModel | Mapping[str, object] | NamedEvent
"""One event: an `Event`, an `EventModel`, a mapping or an object with an event's fields."""

_Found: TypeAlias = list[tuple[str, str]]
"""What is wrong with an event: path and words."""
_FIELDS = ("name", "data", "id", "ts", "v", "user", "meta")
_Problem: TypeAlias = tuple[int, str, str]
_DEPTH_MAX = 200
_SET = object.__setattr__


class Body(msgspec.Struct, frozen=True):
    """The JSON array of one request, and where in it the largest event stands, for a warning."""

    body: bytes
    count: int
    largest_bytes: int
    largest_index: int


def collect(
    given: Sendable | Iterable[Sendable], schemas: EventSchemas | None = None
) -> list[Event]:
    """What was passed to `send` as a list, judged by the schemas if there are any.

    Raises EventValidationError that names all problems of all events. Whether an event without a
    schema is well-formed is judged by `encode`, when middleware has seen it.
    """
    return collect_for(given, schemas, at_once_max=0, strict=True)[0]


def collect_for(
    given: Sendable | Iterable[Sendable],
    schemas: EventSchemas | None,
    *,
    at_once_max: int,
    strict: bool,
) -> tuple[list[Event], EventSchemas | None]:
    """As `collect`, but up to `at_once_max` events are judged by `encode`, which writes what the
    schemas made of them: those are given back for it, None if there is nothing left to judge."""
    if isinstance(given, Event):
        items: list[object] = [given]
    else:
        single = isinstance(given, Mapping | str | bytes | pydantic.BaseModel)
        items = [given] if single or not hasattr(given, "__iter__") else list(cast(Any, given))
    problems: list[_Problem] = []
    found = [_as_event(index, item, problems) for index, item in enumerate(items)]
    judging = schemas if schemas is not None and schemas.judges_outgoing else None
    later = judging is not None and not problems and len(found) <= at_once_max
    if problems or (judging is not None and not later):
        return _judged(found, judging, problems, strict=strict), None
    return [event for event in found if event is not None], judging


def _as_event(index: int, item: object, problems: list[_Problem]) -> Event | None:
    if isinstance(item, Event):
        return cast(Event, item)
    if isinstance(item, EventModel):
        return cast(Event, item.as_event())
    if isinstance(item, Mapping):
        return _from_mapping(index, cast(Mapping[object, object], item), problems)
    if isinstance(getattr(item, "name", None), str) and hasattr(item, "data"):
        return _construct({field: getattr(item, field, None) for field in _FIELDS})
    text = f"{type(item).__name__} is no event; pass Event(name=..., data=...) or a dict"
    problems.append((index, "event", text))
    return None


def _from_mapping(index: int, given: Mapping[object, object], problems: list[_Problem]) -> Event:
    text = f"no such field; an event has {', '.join(_FIELDS)}"
    problems.extend((index, str(key), text) for key in given if key not in _FIELDS)
    return _construct({str(key): value for key, value in given.items()})


def _construct(fields: Mapping[str, object]) -> Event:
    # Types are judged by `encode`, together with those of events that middleware changed.
    given = {key: value for key, value in fields.items() if value is not None}
    return Event.model_construct(None, **{"name": None, "data": {}, **given})


def _judged(
    found: Sequence[Event | None],
    schemas: EventSchemas | None,
    problems: list[_Problem],
    *,
    strict: bool,
) -> list[Event]:
    """The events as their schemas want them. Raises EventValidationError with all problems."""
    events: list[Event] = []
    doubts: list[_Problem] = []
    for index, event in enumerate(found):
        if event is None:
            continue
        one: _Found = []
        doubted: _Found = []
        events.append(_judged_one(event, schemas, one, doubted))
        problems.extend((index, path, text) for path, text in one)
        doubts.extend((index, path, text) for path, text in doubted)
    _refuse_if([*doubts, *problems] if problems or strict else [], found)
    return events


def _refuse_if(problems: Sequence[_Problem], events: Sequence[Event | None]) -> None:
    if problems:
        names = ["" if event is None else str(event.name) for event in events]
        raise EventValidationError(sorted(problems, key=lambda problem: problem[0]), names)


def _judged_one(
    event: Event, schemas: EventSchemas | None, found: _Found, doubted: _Found
) -> Event:
    ts = _check_plain_fields(event, found, doubted)
    data = _json_object("data", event.data, found) or b"{}"
    user = _json_object("user", event.user, found)
    judged = None if schemas is None else _asked(schemas, event, ts, data, user, found)
    return event if judged is None else _replaced(event, judged.data, judged.user)


def _asked(
    schemas: EventSchemas,
    event: Event,
    ts: int,
    data: bytes,
    user: bytes | None,
    found: _Found,
) -> Judged | None:
    """What the schemas make of an event; None if that cannot be said, or is in what was found."""
    named = isinstance(cast(object, event.name), str) and bool(event.name)
    spoilt = found and any(path.partition(".")[0] in ("data", "user") for path, _ in found)
    if not named or spoilt:
        return None
    try:
        return schemas.judge(Parts(event.name, data, user, event.id, ts, event.v))
    except Unfit as error:
        found.extend(error.problems)
        return None


def _replaced(event: Event, data: object, user: object) -> Event:
    """The event with other data or another user, None for those it has.

    As `model_copy` does it, which costs four times as much.
    """
    fields = event.__dict__.copy()
    if data is not None:
        fields["data"] = data
    if user is not None:
        fields["user"] = user
    extra = event.__pydantic_extra__
    made = object.__new__(type(event))
    _SET(made, "__dict__", fields)
    _SET(made, "__pydantic_extra__", None if extra is None else extra.copy())
    _SET(made, "__pydantic_fields_set__", event.__pydantic_fields_set__.copy())
    _SET(made, "__pydantic_private__", event.__pydantic_private__)
    return made


def inheriting(event: Event, sessions: Mapping[str, str]) -> Event:
    """The event as it leaves a run of these sessions: what it names itself wins."""
    if not sessions:
        return event
    meta = dict(event.meta) if isinstance(event.meta, Mapping) else {}
    given = meta.get("propagated_sessions")
    own: Mapping[str, object] = cast(Any, given) if isinstance(given, Mapping) else {}
    return event.model_copy(update={"meta": {**meta, "propagated_sessions": {**sessions, **own}}})


def encode(events: Sequence[Event], now_ms: int, schemas: EventSchemas | None = None) -> Body:
    """The body of the request. Raises EventValidationError that names all problems of all events.

    A missing or zero `ts` becomes `now_ms`, missing `data` an empty object, an empty `id` is left
    out. `schemas` are those that have yet to judge the events.
    """
    return encode_in_parts(events, now_ms, schemas, most=max(1, len(events)), strict=True)[0]


def encode_in_parts(
    events: Sequence[Event],
    now_ms: int,
    schemas: EventSchemas | None,
    *,
    most: int,
    strict: bool,
) -> list[Body]:
    """As `encode`, the bodies of requests with at most so many events; all are judged first.

    Only if `strict` are events refused that can be written and that servers refuse.
    """
    problems: list[_Problem] = []
    doubts: list[_Problem] = []
    parts = [
        _encode_one(index, event, now_ms, problems, doubts, schemas)
        for index, event in enumerate(events)
    ]
    if problems or doubts:
        _refuse_if([*doubts, *problems] if problems or strict else [], events)
    return [_body(parts[start : start + most]) for start in range(0, max(1, len(parts)), most)]


def _body(parts: Sequence[bytes]) -> Body:
    lengths = [0, *map(len, parts)]
    largest = max(lengths)
    return Body(b"[" + b",".join(parts) + b"]", len(parts), largest, lengths.index(largest) - 1)


def _encode_one(
    index: int,
    event: Event,
    now_ms: int,
    problems: list[_Problem],
    doubts: list[_Problem],
    schemas: EventSchemas | None,
) -> bytes:
    found: _Found = []
    doubted: _Found = []
    ts = _check_plain_fields(event, found, doubted)
    data = _json_object("data", event.data, found) or b"{}"
    user = _json_object("user", event.user, found)
    if schemas is not None:
        judged = _asked(schemas, event, ts, data, user, found)
        if judged is not None:
            data = data if judged.data is None else encode_json(judged.data)
            user = user if judged.user is None else encode_json(judged.user)
    meta = _json_object("meta", event.meta, found)
    if doubted:
        doubts.extend((index, path, text) for path, text in doubted)
    if found:
        problems.extend((index, path, text) for path, text in found)
        return b""
    encoded = wire_event.encode_event(
        wire_event.Event(
            event.name,
            msgspec.Raw(data),
            event.id or "",
            ts or now_ms,
            event.v,
            None if user is None else msgspec.Raw(user),
            None if meta is None else msgspec.Raw(meta),
        ),
        with_user=False,
    )
    if len(encoded) > limit.EVENT_BYTES_MAX:
        text = f"{len(encoded)} bytes, at most {limit.EVENT_BYTES_MAX}; send a reference instead"
        doubts.append((index, "data", text))
    return encoded


def _check_plain_fields(event: Event, found: _Found, doubted: _Found) -> int:
    """Everything but the payload. The values may be of any type: events can be changed at will.
    What servers refuse and could be written is `doubted`.

    Returns the time in milliseconds, 0 if it is left to the moment of sending.
    """
    fields: list[object] = [event.name, event.id, event.v]
    name, own_id, version = fields
    if not isinstance(name, str) or not name:
        list_ = doubted if name == "" else found
        list_.append(("name", f"{name!r} is not a text that names the event"))
    elif wire_event.is_internal_event(name):
        text = f"names beginning with {wire_event.INTERNAL_PREFIX!r} are reserved"
        doubted.append(("name", text))
    elif len(name.encode(errors="replace")) > limit.EVENT_NAME_BYTES_MAX:
        doubted.append(("name", f"longer than {limit.EVENT_NAME_BYTES_MAX} bytes"))
    if own_id is not None and not isinstance(own_id, str):
        found.append(("id", f"{own_id!r} is not text"))
    if version is not None and not isinstance(version, str):
        found.append(("v", f"{version!r} is not text"))
    for field, given in zip(("name", "id", "v"), fields, strict=True):
        if isinstance(given, str) and not given.isascii() and _SURROGATE.search(given):
            found.append((field, f"{given!r} cannot be written as JSON: surrogates are no text"))
    ts: object = event.ts
    return 0 if ts == 0 and type(ts) is int else _checked_ts(ts, found, doubted)


def _checked_ts(given: object, found: _Found, doubted: _Found) -> int:
    try:
        ts = ts_of(given)
    except ValueError as error:
        found.append(("ts", str(error)))
        return 0
    if not ts:
        return 0
    if isinstance(ts, bool) or not isinstance(ts, int):
        found.append(("ts", f"{ts!r} is not an integer; give milliseconds since 1970"))
        return 0
    if not limit.EVENT_TS_MS_MIN <= ts <= limit.EVENT_TS_MS_MAX:
        doubted.append(("ts", f"{ts} is not between 1980 and 2100; give milliseconds since 1970"))
    return ts


def _json_object(field: str, value: object, found: _Found) -> bytes | None:
    """The payload as a JSON object, None if there is none."""
    if value is None:
        return None
    try:
        encoded = encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        found.append(_unwritable(value, field) or (field, f"cannot be written as JSON: {error}"))
        return None
    if encoded[:1] != b"{":
        text = f"{type(value).__name__} is not an object; wrap it, as in {{'value': ...}}"
        found.append((field, text))
        return None
    # What is neither finite nor JSON was written as null, or as a word of Decimal: only then is a
    # closer look needed.
    if any(word in encoded for word in _SUSPECT) and (problem := _unwritable(value, field)):
        found.append(problem)
        return None
    return encoded


_SUSPECT = (b"null", b'NaN"', b'Infinity"')
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
    if isinstance(value, Decimal) and not value.is_finite():
        return path, f"{value} is not a JSON number"
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
