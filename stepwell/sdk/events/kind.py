"""Event types: one object that is sent, triggers, is waited for, cancels, and says what data is.

The only place for `EventType`, `event_type` and the class style `EventModel`.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeGuard, cast, overload

import pydantic
from typing_extensions import ParamSpec, TypeVar

from stepwell.sdk.errors import EventSchemaError, EventValidationError
from stepwell.sdk.events.event import JSON, AnyEvent, Event, ts_of
from stepwell.sdk.events.json_body import encode_json
from stepwell.sdk.events.reading import Upcast, Upcasts, reader_of_data
from stepwell.sdk.events.refusal import Clear
from stepwell.sdk.events.source import EventKind, ObjectLike
from stepwell.sdk.events.validator import Unfit, Validator, problems_of, validator_of_object
from stepwell.wire import event as wire_event
from stepwell.wire import limit

D = TypeVar("D", bound=ObjectLike)
P = ParamSpec("P", default=...)
P0 = ParamSpec("P0")


def checked_name(name: object) -> str:
    """An event name users may give. Raises EventSchemaError naming it and the fix."""
    if not isinstance(name, str) or not name.strip():
        raise EventSchemaError(f'name = {name!r}: name the event, such as "user/created"')
    if wire_event.is_internal_event(name):
        raise EventSchemaError(
            f"name = {name!r}: names beginning with {wire_event.INTERNAL_PREFIX!r} are reserved"
        )
    if "*" in name:
        raise EventSchemaError(
            f"name = {name!r}: an event has one name; wildcards are for triggers"
        )
    if len(name.encode(errors="replace")) > limit.EVENT_NAME_BYTES_MAX:
        raise EventSchemaError(f"name = {name!r}: longer than {limit.EVENT_NAME_BYTES_MAX} bytes")
    return name


def _upcasting(
    upcasts: Upcasts, from_version: str | None, to_version: str | None
) -> Callable[[Upcast], Upcast]:
    def decorate(upcast: Upcast, /) -> Upcast:
        try:
            upcasts.add(upcast, from_version, to_version)
        except ValueError as error:
            raise EventSchemaError(str(error)) from None
        return upcast

    return decorate


class EventType(Generic[D, P]):
    """A type of events: its name, and what their data is. Made by `event_type`.

    Call it with the data's fields to build an event; use it as a trigger, in `wait_for_event` and
    in `Cancel`.
    """

    def __init__(
        self, name: str, schema: object, *, version: str | None = None, validate: bool = True
    ) -> None:
        """Define an event type; see `event_type`."""
        self.name = checked_name(name)
        self.schema = schema
        self.version = version
        self._validator: Validator | None = None
        if schema is not None:
            validator = validator_of_object(schema, f'event "{name}": data')
            self._validator = validator if validate else None
        self._validate = validate
        self._upcasts = Upcasts()
        self._model = schema if isinstance(schema, type) else type(None)

    def __repr__(self) -> str:
        return f"EventType({self.name!r})"

    def __event_kind__(self) -> "EventKind[Event[D], D]":
        """What stands for it in triggers, waits and cancellations."""
        schema = self.schema if self._validate else None
        read = (
            None
            if self.schema is None
            else reader_of_data(self.schema, self._validate, self._upcasts)
        )
        return EventKind(self.name, version=self.version, schema=schema, read=read)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> "Event[D]":
        """An event whose data is made of these arguments, as the schema's class takes them.

        Raises EventValidationError naming every field that does not fit.
        """
        make = self.schema if isinstance(self.schema, type) else dict[str, Any]
        try:
            data = cast("Callable[..., D]", make)(*args, **kwargs)
        except pydantic.ValidationError as error:
            raise self._invalid(Unfit(problems_of(kwargs, error)).below("data")) from None
        return self.create(data)

    def create(
        self,
        data: D,
        *,
        id: str = "",
        ts: int | dt.datetime = 0,
        v: str | None = None,
        user: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> "Event[D]":
        """An event with this data.

        Args:
            data: An instance of the schema, or a mapping that fits it.
            id: Makes the event happen once in 24 hours.
            ts: When it happens, milliseconds since 1970 or a datetime; 0 means now.
            v: Version of the data, by default the event type's.
            user: Who it is about.
            meta: Sessions, and whatever else describes the event.

        Raises EventValidationError naming every field of the data that does not fit.
        """
        made: Any = Event.model_construct(
            None,
            name=self.name,
            data=self._checked(data),
            id=id,
            ts=ts_of(ts),
            v=self.version if v is None else v,
            user=user,
            meta=meta,
        )
        return cast("Event[D]", made)

    def _checked(self, data: Any) -> Any:
        validator = self._validator
        if validator is None:
            return data
        if isinstance(data, pydantic.BaseModel) and isinstance(data, self._model):
            return data  # it was judged when it was made
        try:
            return validator.load(encode_json(data))
        except Unfit as error:
            raise self._invalid(error.below("data")) from None
        except (TypeError, ValueError, RecursionError) as error:
            raise self._invalid(Unfit([("data", str(error))])) from None

    def _invalid(self, error: Unfit) -> EventValidationError:
        return EventValidationError([(0, *problem) for problem in error.problems], [self.name])

    def upcast(
        self, *, from_version: str | None, to_version: str | None = None
    ) -> Callable[[Upcast], Upcast]:
        """Decorates a function that makes newer data of that of an older version.

        It gets the data of events whose `v` is `from_version` (None: without one) as a dict, before
        they are judged, and returns it as `to_version` has it, by default the event type's own.
        Several are done one after the other.
        """
        target = self.version if to_version is None else to_version
        return _upcasting(self._upcasts, from_version, target)

    def matches(self, event: AnyEvent) -> "TypeGuard[Event[D]]":
        """Is an event of this type? Checkers know its data afterwards."""
        return bool(event.name == self.name)


@overload
def event_type(
    name: str, *, version: str | None = ..., validate: bool = ...
) -> EventType[Mapping[str, JSON]]: ...


@overload
def event_type(
    name: str, *, schema: Callable[P0, D], version: str | None = ..., validate: bool = ...
) -> EventType[D, P0]: ...


@overload
def event_type(
    name: str, *, schema: type[D], version: str | None = ..., validate: bool = ...
) -> EventType[D]: ...


def event_type(
    name: str, *, schema: Any = None, version: str | None = None, validate: bool = True
) -> Any:
    """Define a type of events.

    Args:
        name: The events' name, such as "user/created".
        schema: What their data is: a Pydantic model, a dataclass, a TypedDict, a msgspec struct or
            an attrs class; without it, data may be any object.
        version: Goes into `v` of each event.
        validate: False for types that only checkers read.

    Raises EventSchemaError for a name no event can have, TypeError for data that is no object.
    """
    return cast(Any, EventType)(name, schema, version=version, validate=validate)


class EventModel(Clear):
    """Data of one type of events, as a class: `class OrderPaid(EventModel, name="order/paid")`.

    Send an instance; use the class as a trigger, in `wait_for_event` and in `Cancel`. Handlers
    receive an `Event[OrderPaid]`. A class without a name is for others to inherit from.
    """

    __event_name__: ClassVar[str | None] = None
    __event_version__: ClassVar[str | None] = None
    __event_upcasts__: ClassVar[Upcasts] = Upcasts()

    def __init_subclass__(
        cls, *, name: str | None = None, version: str | None = None, **options: Any
    ) -> None:
        """Name the events of a class; `version` goes into their `v`. Raises EventSchemaError."""
        cls.__event_name__ = None if name is None else checked_name(name)
        cls.__event_version__ = version
        cls.__event_upcasts__ = Upcasts()
        super().__init_subclass__(**options)

    @classmethod
    def __event_kind__(cls) -> "EventKind[Event[Self], Self]":
        """What stands for it in triggers, waits and cancellations. Raises TypeError if nameless."""
        name = cls.__event_name__
        if name is None:
            raise TypeError(
                f"{cls.__name__} names no event: write `class {cls.__name__}(EventModel,"
                ' name="user/created")`'
            )
        read = reader_of_data(cls, True, cls.__event_upcasts__)
        return EventKind(name, version=cls.__event_version__, schema=cls, read=read)

    @classmethod
    def upcast(
        cls, *, from_version: str | None, to_version: str | None = None
    ) -> Callable[[Upcast], Upcast]:
        """Decorates a function that makes newer data of that of an older version.

        It gets the data of events whose `v` is `from_version` (None: without one) as a dict, before
        they are judged, and returns it as `to_version` has it, by default the class's own. Several
        are done one after the other.
        """
        target = cls.__event_version__ if to_version is None else to_version
        return _upcasting(cls.__event_upcasts__, from_version, target)

    def as_event(
        self,
        *,
        id: str = "",
        ts: int | dt.datetime = 0,
        v: str | None = None,
        user: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> "Event[Self]":
        """The event with this data; the arguments are its other fields, as in `Event`."""
        kind = self.__event_kind__()
        made: Any = Event.model_construct(
            None,
            name=kind.name,
            data=self,
            id=id,
            ts=ts_of(ts),
            v=kind.version if v is None else v,
            user=user,
            meta=meta,
        )
        return cast("Event[Self]", made)
