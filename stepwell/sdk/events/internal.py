"""The events the server itself sends, as types; and an error as such an event carries it.

The only place for their public classes. Each is a trigger, can be waited for, and cannot be sent.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Generic, Literal, cast

import msgspec
import pydantic
from typing_extensions import TypeVar

from stepwell.sdk.errors import StepError
from stepwell.sdk.events.event import JSON, Event
from stepwell.sdk.events.refusal import Clear
from stepwell.sdk.events.source import ObjectLike
from stepwell.sdk.value.failure import deserialize_error, serialize_error
from stepwell.wire.failure import MESSAGE_UNKNOWN, NAME_UNKNOWN

EventT = TypeVar("EventT", default=Event)
ResultT = TypeVar("ResultT", default=Any)
DataT_co = TypeVar("DataT_co", bound=ObjectLike, covariant=True, default=Mapping[str, JSON])

_CAUSES_MAX = 20


class SerializedError(Clear):
    """An error as it travels. Whatever comes is understood as well as it can be."""

    model_config = pydantic.ConfigDict(extra="allow")

    name: str = NAME_UNKNOWN
    message: str = MESSAGE_UNKNOWN
    stack: str | None = None
    cause: "SerializedError | None" = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _leniently(cls, given: object) -> object:
        return given if isinstance(given, cls) else _normal(given, _CAUSES_MAX)

    @classmethod
    def parse(cls, given: object) -> "SerializedError":
        """An error object, its JSON text, or an exception. Never raises.

        A missing name becomes "Error", a missing message falls back to `error`, then to
        "Unknown error"; what is no error at all becomes one with these words. Further keys stay.
        """
        try:
            return cls.model_validate(given)
        except (pydantic.ValidationError, RecursionError):
            return cls()

    def to_exception(self) -> StepError:
        """The error as an exception with its chain of causes."""
        return deserialize_error(self.model_dump(exclude_none=True))


def _normal(given: object, depth: int) -> dict[str, Any]:
    if isinstance(given, BaseException):
        given = serialize_error(given)
    elif isinstance(given, str | bytes):
        try:
            given = msgspec.json.decode(given)
        except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError):
            return {}
    if not isinstance(given, Mapping):
        return {}
    found = {str(key): value for key, value in cast(Mapping[object, Any], given).items()}
    name, message, stack = found.get("name"), found.get("message"), found.get("stack")
    spoken = message if isinstance(message, str) else found.get("error")
    cause = found.pop("cause", None)
    found |= {
        "name": name if isinstance(name, str) and name else NAME_UNKNOWN,
        "message": spoken if isinstance(spoken, str) else MESSAGE_UNKNOWN,
        "stack": stack if isinstance(stack, str) else None,
    }
    if cause is not None and depth > 0:
        found["cause"] = _normal(cause, depth - 1)
    return found


class _Data(Clear):
    """What the data of lifecycle events has in common; further fields stay as they are."""

    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)

    function_id: str
    """The composite id: `app-function`; empty if no such function exists."""
    run_id: str

    @property
    def status(self) -> str | None:
        """How the run ended: Completed, Failed or Cancelled."""
        internal = (self.model_extra or {}).get("_inngest")
        if not isinstance(internal, Mapping):
            return None
        return cast("Mapping[str, Any]", internal).get("status")


class FunctionFailedData(_Data, Generic[EventT]):
    """Which run failed, why, and the event that had started it."""

    error: SerializedError
    event: EventT
    events: list[EventT] = pydantic.Field(default_factory=cast(Any, list))


class FunctionFinishedData(_Data, Generic[ResultT]):
    """Which run ended, and its `result`, or its `error`: never both.

    Servers put the body of the error into `result`, too, which is no result of the function's type.
    """

    result: ResultT | None = None
    error: SerializedError | None = None
    correlation_id: str | None = None
    """`<run>.<step>` of the function that had invoked it."""
    event: Event | None = None
    events: list[Event] = pydantic.Field(default_factory=list[Event])

    @pydantic.model_validator(mode="before")
    @classmethod
    def _result_or_error(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        told = cast("Mapping[str, object]", given)
        if told.get("error") is None or "result" not in told:
            return told
        return {key: value for key, value in told.items() if key != "result"}

    @property
    def is_error(self) -> bool:
        """Did the run end without a result?"""
        return self.error is not None or self.status in ("Failed", "Cancelled")


class FunctionCancelledData(_Data):
    """Which run was cancelled."""

    correlation_id: str | None = None
    error: SerializedError | None = None
    event: Event | None = None
    events: list[Event] = pydantic.Field(default_factory=list[Event])


class ScheduledTimerData(Clear):
    """Which schedule fell due, when it should have and when it did."""

    model_config = pydantic.ConfigDict(extra="allow", populate_by_name=True)

    cron: str
    scheduled_at: dt.datetime | None = pydantic.Field(default=None, alias="scheduledAt")
    fire_at: dt.datetime | None = pydantic.Field(default=None, alias="fireAt")


class FunctionFailedEvent(
    Event[FunctionFailedData[EventT], Literal["inngest/function.failed"]], Generic[EventT]
):
    """A run failed after all its retries. `data.event` is the event that had started it."""

    name: Literal["inngest/function.failed"] = "inngest/function.failed"


class FunctionFinishedEvent(
    Event[FunctionFinishedData[ResultT], Literal["inngest/function.finished"]], Generic[ResultT]
):
    """A run ended: completed, failed or cancelled."""

    name: Literal["inngest/function.finished"] = "inngest/function.finished"


class FunctionCancelledEvent(Event[FunctionCancelledData, Literal["inngest/function.cancelled"]]):
    """A run was cancelled."""

    name: Literal["inngest/function.cancelled"] = "inngest/function.cancelled"


class FunctionInvokedEvent(Event[DataT_co, Literal["inngest/function.invoked"]], Generic[DataT_co]):
    """A function was invoked: `data` is what the caller passed, and `_inngest` beside it."""

    name: Literal["inngest/function.invoked"] = "inngest/function.invoked"


class FunctionDeferredEvent(
    Event[DataT_co, Literal["inngest/deferred.schedule"]], Generic[DataT_co]
):
    """A run that deferred a function has ended: `data` is what it passed, `_inngest` beside it."""

    name: Literal["inngest/deferred.schedule"] = "inngest/deferred.schedule"


class ScheduledTimerEvent(Event[ScheduledTimerData, Literal["inngest/scheduled.timer"]]):
    """A schedule fell due. Its `id` is the instant, so that it happens once however many ask."""

    name: Literal["inngest/scheduled.timer"] = "inngest/scheduled.timer"
    # Without an id nothing would keep replicas from firing twice.
    id: str  # pyright: ignore[reportGeneralTypeIssues]
