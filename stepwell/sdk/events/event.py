"""What user code holds when it sends or receives an event, and the way from there to the wire.

The only place for the public `Event`, `MinimalEvent` and the alias `JSON`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, cast, overload
from typing import TypeVar as PythonTypeVar

import msgspec
import pydantic
from typing_extensions import TypeAliasType, TypeVar

from stepwell.sdk.events.json_body import encode_json
from stepwell.sdk.events.reading import reader_of_class
from stepwell.sdk.events.refusal import Clear
from stepwell.sdk.events.source import EventKind, ObjectLike, is_model
from stepwell.sdk.events.type_facts import literals
from stepwell.sdk.value.typed_dict import readable
from stepwell.wire import event as wire_event

JSON = TypeAliasType(
    "JSON", bool | int | float | str | Mapping[str, object] | Sequence[object] | None
)

DataT_co = TypeVar("DataT_co", bound=ObjectLike, covariant=True, default=Mapping[str, JSON])
NameT_co = TypeVar("NameT_co", bound=str, covariant=True, default=str)

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_MILLISECOND = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def ts_of(value: object) -> object:
    """A time as events carry it: an aware datetime in milliseconds since 1970, others as they are.

    Raises ValueError for a datetime without a zone, which could mean any instant of a day.
    """
    if not isinstance(value, dt.datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(
            f"{value.isoformat()} has no time zone; use datetime.now(UTC), or a zone of your own"
        )
    return (value - _EPOCH) // _MILLISECOND


_PLAIN = frozenset({bool, int, float, str, list, type(None)})


def _is_plain(data: dict[object, object]) -> bool:
    """Is this an object of JSON, as far as pydantic would look, which takes six times as long?"""
    for key, value in data.items():
        kind = type(value)
        if type(key) is not str or (kind not in _PLAIN and not _has_text_keys(value)):
            return False
    return True


def _has_text_keys(value: object) -> bool:
    return type(value) is dict and all(type(key) is str for key in cast("dict[object, int]", value))


def _judged_openly(
    given: dict[object, object], judge: pydantic.ValidatorFunctionWrapHandler
) -> object:
    """Data of no declared type. Raises ValueError with one sentence for the first misfit."""
    try:
        return judge(given)
    except pydantic.ValidationError as error:
        place = error.errors(include_url=False)[0]["loc"]
        key = place[0] if place else None
        if key not in given:
            raise
        value = given[key]
        if not isinstance(key, str):
            raise ValueError(  # noqa: TRY004 - what validators raise
                f"data: the key {key!r} is a {type(key).__name__}: write keys as text"
            ) from None
        raise ValueError(
            f"data.{key} = {value!r:.80} is a {type(value).__name__}, which is no JSON: give it as"
            " text or a number, or declare the event with a type that has this field"
        ) from None


class MinimalEvent(Clear, Generic[DataT_co]):
    """An event without name and time: what a function can be invoked with."""

    # Data may be of a class pydantic knows nothing of, such as a msgspec struct.
    model_config = pydantic.ConfigDict(strict=True, extra="allow", arbitrary_types_allowed=True)

    data: DataT_co = pydantic.Field(default_factory=cast(Any, dict))
    id: str = ""
    v: str | None = None
    user: Mapping[str, object] | None = None

    def copy(self, **changes: object) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The same event with other values in some of its fields."""
        return self.model_copy(update=changes)

    @pydantic.field_validator("data", mode="wrap")
    @classmethod
    def _objects_of_any_kind(
        cls, value: object, judge: pydantic.ValidatorFunctionWrapHandler
    ) -> object:
        """None is no data; where the type of data is left open, models are data, too."""
        is_open = isinstance(cls.model_fields["data"].annotation, PythonTypeVar)
        if type(value) is dict:  # as nearly always
            given = cast("dict[object, object]", value)
            if not is_open:
                return judge(given)
            return given.copy() if _is_plain(given) else _judged_openly(given, judge)
        if value is None:
            return {}
        return value if is_open and is_model(value) else judge(value)


class Event(MinimalEvent[DataT_co], Generic[DataT_co, NameT_co]):
    """Something that happened: sent by producers, received by functions.

    `ts` is milliseconds since 1970 or a datetime, 0 means now; `id` makes the event happen once in
    24 hours. Further fields are kept as they are.

    `Event[OrderPaid]` is an event whose data is an `OrderPaid`. A subclass that fixes its name is
    an event type: it can be sent, be a trigger, and be waited for.
    """

    name: NameT_co
    ts: int = 0
    meta: Mapping[str, object] | None = None

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: "Event[Mapping[str, JSON], str]",
            *,
            name: str,
            data: Mapping[str, JSON] = ...,
            id: str = ...,
            ts: int | dt.datetime = ...,
            v: str | None = ...,
            user: Mapping[str, object] | None = ...,
            meta: Mapping[str, object] | None = ...,
        ) -> None: ...

        @overload
        def __init__(
            self,
            *,
            name: NameT_co,
            data: DataT_co,
            id: str = ...,
            ts: int | dt.datetime = ...,
            v: str | None = ...,
            user: Mapping[str, object] | None = ...,
            meta: Mapping[str, object] | None = ...,
        ) -> None: ...

        def __init__(self, **fields: Any) -> None: ...

    @pydantic.field_validator("ts", mode="before")
    @classmethod
    def _instants_are_milliseconds(cls, value: object) -> object:
        return ts_of(value)

    @property
    def datetime(self) -> dt.datetime | None:
        """When it happened, in UTC; None if that is left to the moment of sending."""
        return _EPOCH + self.ts * _MILLISECOND if self.ts else None

    @classmethod
    def __event_kind__(cls) -> EventKind[Self, DataT_co]:
        """The event type a subclass stands for. Raises TypeError if it does not fix its name."""
        names = literals(cls.model_fields["name"].annotation)
        if len(names) != 1:
            raise TypeError(
                f"{cls.__name__} names no event: write `class X(Event[Data, Literal['a/b']])` with"
                " `name: Literal['a/b'] = 'a/b'`"
            )
        data, version = cls.model_fields["data"].annotation, cls.model_fields["v"].default
        read = reader_of_class(cls, data)
        return EventKind(names[0], version=version, schema=data, read=read)

    if not TYPE_CHECKING:

        @classmethod
        def __class_getitem__(cls, params):
            given = params if isinstance(params, tuple) else (params,)
            return super().__class_getitem__(tuple(map(readable, given)))


if TYPE_CHECKING:
    EventOf: TypeAlias = Event[DataT_co, str]
    """`EventOf[OrderPaid]`: any event whose data is an `OrderPaid`."""
    AnyEvent: TypeAlias = Event[Any, Any]
else:
    EventOf = Event
    AnyEvent = Event  # with parameters the model would be built here, before anybody needs it


def event_from_wire(event: wire_event.Event) -> Event:
    """The public form of an event the server sent; it was judged when it was accepted."""
    return Event.model_construct(
        _fields_set=None,
        name=event.name,
        data=_OBJECT.decode(event.data),
        id=event.id,
        ts=event.ts,
        v=event.v,
        user=None if event.user is None else _OBJECT.decode(event.user),
        meta=None if event.meta is None else _OBJECT.decode(event.meta),
    )


def event_from_json(raw: bytes | msgspec.Raw) -> Event:
    """An event of a call, with every field the server put there.

    Nulls count as absent. Raises ValueError if it is no event.
    """
    try:
        given = _OBJECT.decode(raw)
    except msgspec.DecodeError as problem:
        raise ValueError(f"not an event: {problem}") from None
    fields = {key: value for key, value in given.items() if value is not None}
    if not isinstance(fields.get("name"), str):
        raise ValueError('not an event: the field "name" is missing')  # noqa: TRY004
    if not isinstance(fields.setdefault("data", {}), dict):
        raise ValueError('not an event: the field "data" is no object')  # noqa: TRY004
    return _constructed(fields)


_set = object.__setattr__
_UNSAID: dict[str, object] = {
    name: field.get_default(call_default_factory=True)
    for name, field in Event.model_fields.items()
    if not field.is_required()
}
_FIELDS: dict[str, object] = {name: _UNSAID.get(name) for name in Event.model_fields}


def _constructed(fields: dict[str, Any]) -> Event:
    """What `Event.model_construct` gives, in a fraction of its time: each call begins with this."""
    event = Event.__new__(Event)
    known = dict(_FIELDS)
    extra: dict[str, object] = {}
    for name, value in fields.items():
        (known if name in known else extra)[name] = value
    _set(event, "__dict__", known)
    _set(event, "__pydantic_fields_set__", fields.keys() & _FIELDS.keys())
    _set(event, "__pydantic_extra__", extra)
    _set(event, "__pydantic_private__", None)
    return event


def event_to_wire(event: AnyEvent) -> wire_event.Event:
    """An event as it is sent. Raises ValueError naming the field that is no JSON."""
    return wire_event.Event(
        event.name,
        _raw(event, "data", event.data),
        event.id,
        event.ts,
        event.v,
        None if event.user is None else _raw(event, "user", event.user),
        None if event.meta is None else _raw(event, "meta", event.meta),
    )


def _raw(event: AnyEvent, field: str, value: object) -> msgspec.Raw:
    try:
        return msgspec.Raw(encode_json(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f'event "{event.name}": {field} cannot be written as JSON ({error}):'
            " use dicts with text keys, lists, text, numbers, booleans and None"
        ) from None
