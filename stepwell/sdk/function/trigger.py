"""What starts a function: events and schedules. The only place for the public trigger classes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast, overload
from zoneinfo import available_timezones

import pydantic
from typing_extensions import TypeVar

from stepwell.cron import UnknownZoneError, parse
from stepwell.sdk.errors import FunctionConfigInvalidError
from stepwell.sdk.events.event import Event
from stepwell.sdk.events.internal_name import InternalEvent
from stepwell.sdk.events.reading import reader_of_class
from stepwell.sdk.events.source import EventKind, EventSource, NoData, ObjectLike, kind_of
from stepwell.sdk.events.validator import refuse_unless_object
from stepwell.sdk.function.declaration import Declaration
from stepwell.wire import limit
from stepwell.wire.duration import DurationError, parse_duration_ms
from stepwell.wire.event import DEFERRED_SCHEDULE, NEVER_SENT, never_matches

if TYPE_CHECKING:
    from stepwell.sdk.events.internal import (
        FunctionDeferredEvent,
        FunctionInvokedEvent,
        ScheduledTimerEvent,
    )

E_co = TypeVar("E_co", covariant=True, default=Event)
D_co = TypeVar("D_co", covariant=True, default=Mapping[str, object])
D = TypeVar("D", bound=ObjectLike)


class TriggerEvent(Declaration, Generic[E_co, D_co]):
    """Run for events of a name, or of names that begin alike with `user/*`.

    `event` is the name, or an event type: then the handler receives typed events. `expression` (or
    `if_exp`) is a condition in CEL that sees the event as `event`.
    """

    event: str
    expression: str | None = None
    _kind: EventKind[E_co, D_co] | None = pydantic.PrivateAttr(default=None)

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: "TriggerEvent[Event, Mapping[str, object]]",
            *,
            event: str,
            expression: str | None = ...,
            if_exp: str | None = ...,
        ) -> None: ...

        @overload
        def __init__(
            self,
            *,
            event: EventSource[E_co, D_co],
            expression: str | None = ...,
            if_exp: str | None = ...,
        ) -> None: ...

    def __init__(self, **fields: Any) -> None:
        """Declare a trigger. Raises FunctionConfigInvalidError naming field, value and fix."""
        kind = None
        given = fields.get("event")
        if given is not None and not isinstance(given, str):
            kind = _kind_of(given)
            fields["event"] = kind.name if kind is not None else given
        condition = fields.pop("if_exp", None)
        if condition is not None and fields.get("expression") is not None:
            raise FunctionConfigInvalidError(
                f"TriggerEvent.if_exp = {condition!r}: it is another name of expression, which is"
                " given already: remove one of them"
            )
        if condition is not None:
            fields["expression"] = condition
        super().__init__(**fields)
        self._kind = kind

    def __event_kind__(self) -> EventKind[E_co, D_co]:
        """The event type it stands for."""
        return self._kind or EventKind(self.event)

    @pydantic.field_validator("event")
    @classmethod
    def _has_a_name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError('name the event, such as "shop/order.created"')
        if len(value) > limit.TRIGGER_CHARS_MAX:
            raise ValueError(f"shorten the name to {limit.TRIGGER_CHARS_MAX} characters")
        if never_matches(value):
            raise ValueError(NEVER_SENT)
        return value


class TriggerCron(Declaration):
    """Run by the clock: five cron fields, optionally after `TZ=Europe/Paris `.

    `tz` is another way to name the time zone. `jitter` spreads the starts over a duration of at
    most five minutes, such as "30s".
    """

    cron: str
    jitter: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self, *, cron: str, jitter: str | None = ..., tz: str | None = ...
        ) -> None: ...

    else:

        def __init__(self, **fields: Any) -> None:
            """Declare a trigger. Raises FunctionConfigInvalidError naming field, value and fix."""
            zone, cron = fields.pop("tz", None), fields.get("cron")
            if zone is not None and isinstance(cron, str):
                fields["cron"] = _in_zone(zone, cron)
            super().__init__(**fields)

    @pydantic.field_validator("cron")
    @classmethod
    def _comes_some_day(cls, value: str) -> str:
        try:
            schedule = parse(value)
        except UnknownZoneError:
            if available_timezones():  # a machine without any cannot tell; the server can
                raise
            return value
        if schedule.never:
            raise ValueError(
                "no such day ever comes: mend day of month and month, such as 0 0 28 2 *"
            )
        return value

    def __event_kind__(self) -> "EventKind[ScheduledTimerEvent, NoData]":
        """The event its ticks are."""
        from stepwell.sdk.events.internal import ScheduledTimerEvent  # noqa: PLC0415 - many models, for few

        read = ScheduledTimerEvent.__event_kind__().read
        return EventKind(InternalEvent.SCHEDULED_TIMER.value, read=read)

    @pydantic.field_validator("jitter")
    @classmethod
    def _is_a_short_duration(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            jitter_ms = parse_duration_ms(value)
        except DurationError as error:
            raise ValueError(str(error)) from None
        if not limit.CRON_JITTER_MS_MIN <= jitter_ms <= limit.CRON_JITTER_MS_MAX:
            raise ValueError("write a duration between 1s and 5m")
        return value


def _in_zone(tz: object, cron: str) -> str:
    """A schedule with its time zone in front."""
    if not isinstance(tz, str) or len(tz.split()) != 1:
        raise FunctionConfigInvalidError(
            f'TriggerCron.tz = {tz!r}: name a time zone, such as "Europe/Paris"'
        )
    if "=" in cron:
        raise FunctionConfigInvalidError(
            f"TriggerCron.tz = {tz!r}: the schedule {cron!r} names a time zone already"
        )
    return f"TZ={tz.strip()} {cron.strip()}"


class TriggerInvoke(Declaration, Generic[D]):
    """Run when invoked with data that fits a schema; other invocations are refused.

    Beside other triggers it says what invokers pass; alone, nothing but an invocation starts the
    function.
    """

    schema_: Any = pydantic.Field(alias="schema")

    if TYPE_CHECKING:

        def __init__(self, *, schema: type[D]) -> None: ...

    @pydantic.field_validator("schema_")
    @classmethod
    def _is_of_objects(cls, value: Any) -> Any:
        return _of_objects(value, "an invocation's data")

    def __event_kind__(self) -> "EventKind[FunctionInvokedEvent[D], D]":
        """The invocations it stands for."""
        from stepwell.sdk.events.internal import FunctionInvokedEvent  # noqa: PLC0415 - many models, for few

        made = cast(Any, FunctionInvokedEvent)[self.schema_]
        read = reader_of_class(made, self.schema_)
        return EventKind(InternalEvent.FUNCTION_INVOKED.value, schema=self.schema_, read=read)


class TriggerDefer(Declaration, Generic[E_co, D_co]):
    """Run when the run of another function has ended that asked for it with `ctx.defer`.

    `schema` is the type of the data; other data is refused. Without it data may be any object.
    """

    schema_: Any = pydantic.Field(alias="schema", default=None)

    if TYPE_CHECKING:

        @overload
        def __init__(self: "TriggerDefer[Event, Mapping[str, object]]") -> None: ...

        @overload
        def __init__(
            self: "TriggerDefer[FunctionDeferredEvent[D], D]", *, schema: type[D]
        ) -> None: ...

        def __init__(self, **fields: Any) -> None: ...

    @pydantic.field_validator("schema_")
    @classmethod
    def _is_of_objects(cls, value: Any) -> Any:
        return _of_objects(value, "a deferral's data")

    def __event_kind__(self) -> EventKind[E_co, D_co]:
        """The deferrals it stands for."""
        if self.schema_ is None:
            return EventKind(DEFERRED_SCHEDULE)
        from stepwell.sdk.events.internal import FunctionDeferredEvent  # noqa: PLC0415 - many models, for few

        made = cast(Any, FunctionDeferredEvent)[self.schema_]
        read = reader_of_class(made, self.schema_)
        return EventKind(DEFERRED_SCHEDULE, schema=self.schema_, read=read)


def _of_objects(schema: Any, what: str) -> Any:
    """A type of data that is an object. Raises ValueError for others."""
    try:
        refuse_unless_object(schema, what)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return schema


Trigger: TypeAlias = (
    "TriggerEvent[Any, Any] | TriggerCron | TriggerInvoke[Any] | TriggerDefer[Any, Any]"
)


def as_trigger(given: object) -> Trigger:
    """What starts a function: a trigger, or an event type as one.

    Raises FunctionConfigInvalidError for anything else.
    """
    if isinstance(given, TriggerEvent | TriggerCron | TriggerInvoke | TriggerDefer):
        return cast("Trigger", cast(object, given))
    kind = None if isinstance(given, str) else _kind_of(given)
    if kind is None:
        raise FunctionConfigInvalidError(
            f"trigger = {given!r}: give TriggerEvent(event=...), TriggerCron(cron=...) or an event"
            " type"
        )
    return TriggerEvent(event=cast("EventSource[Any, Any]", given))


def _kind_of(given: object) -> EventKind[Any, Any] | None:
    try:
        return kind_of(given)
    except TypeError as error:
        raise FunctionConfigInvalidError(f"trigger: {error}") from None
