"""The option classes of `create_function`: flow control, cancellation, batching, time-outs.

The only place for their public names, fields and limits.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import pydantic

from stepwell.sdk.events.source import EventSource, name_of_source
from stepwell.sdk.function.declaration import Declaration, check_period
from stepwell.sdk.value.duration import Duration
from stepwell.wire.limit import BACKLOG_MAX, RETRIES_MAX, SINGLETON_MAX

Period = Annotated[Duration, pydantic.PlainValidator(check_period)]
"""Whole seconds, at least one: milliseconds, a timedelta, or text such as "1h30m"."""
Count = Annotated[int, pydantic.Field(ge=1)]
OnCodeChange: TypeAlias = Literal["continue", "pin", "pause", "restart"]
"""What becomes of runs that other code began: they go on by the new code, wait for a worker that
has theirs, wait for a person, or begin again."""


class Backlog(Declaration):
    """At most `limit` runs (1 to 10000) wait for their first call; with a `key`, an expression, so
    many for each of its values.

    What is too much starts nothing (`on_full="skip"`, the default), or takes the place of the run
    that waits for longest, which is cancelled (`"cancel"`). Ours: other servers ignore it.
    """

    limit: Annotated[int, pydantic.Field(ge=1, le=BACKLOG_MAX)]
    key: str | None = None
    on_full: Literal["skip", "cancel"] | None = None


class Batch(Declaration):
    """Start one run for several events: when there are `max_size`, or `timeout` after the first."""

    max_size: Annotated[int, pydantic.Field(ge=1)]
    timeout: Period | None = None
    key: str | None = None
    if_exp: str | None = None


class Cancel(Declaration):
    """Cancel a run when an event of a name arrives; `event` is the name, or an event type.

    `if_exp` sees the run's event as `event` and the arriving one as `async`; after `timeout`
    nothing cancels it any more.
    """

    event: str
    if_exp: str | None = None
    timeout: Period | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            event: str | EventSource[Any, Any],
            if_exp: str | None = ...,
            timeout: Duration | None = ...,
        ) -> None: ...

    @pydantic.field_validator("event", mode="before")
    @classmethod
    def _an_event_type_is_its_name(cls, value: Any) -> str:
        try:
            name = name_of_source(value)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if "*" in name:
            raise ValueError("name one event: wildcards are for triggers, and cancel nothing")
        return name


class Concurrency(Declaration):
    """At most `limit` steps at the same time, of the function or of whatever shares `key`."""

    limit: Annotated[int, pydantic.Field(ge=0)]
    key: str | None = None
    scope: Literal["account", "env", "fn"] | None = None

    @pydantic.field_validator("scope")
    @classmethod
    def _shared_scopes_need_a_key(
        cls, value: str | None, info: pydantic.ValidationInfo
    ) -> str | None:
        if value in ("account", "env") and not info.data.get("key"):
            raise ValueError('needs a key beside it: add key="...", an expression')
        return value


class Debounce(Declaration):
    """Start once, `period` after the last event, but at most `timeout` after the first.

    The run gets the latest event, or with `collect="all"` every one of them as `ctx.events`; then
    `max_events` (2 to 1000) and `max_bytes` (up to 10 MiB) start a full collection at once. What
    is collected is ours: other servers give the latest event.
    """

    period: Period
    key: str | None = None
    timeout: Period | None = None
    collect: Literal["last", "all"] | None = None
    max_events: Count | None = None
    max_bytes: Count | None = None


class Fairness(Declaration):
    """Free capacity goes round the values of `key`, an expression, by the `weight` of each.

    `weight` is an expression or a number, 1 by default. Ours: other servers ignore it.
    """

    key: str
    weight: str | Count | None = None


class Priority(Declaration):
    """`run` is an expression that gives seconds, -600 to 600, by which a start moves forward."""

    run: str


class RateLimit(Declaration):
    """Start at most `limit` runs per `period`; events beyond that start nothing.

    By default starts are smoothed over the period: of several at once only a tenth of the limit,
    and one, are let through. `algorithm="window"` lets `limit` through in any window as long as
    the period (ours: other servers smooth).
    """

    limit: Count
    period: Period
    key: str | None = None
    algorithm: Literal["gcra", "window"] | None = None


class Singleton(Declaration):
    """At most one run at a time: a new one is skipped, or cancels the old one.

    With `limit`, that many at a time, 1 to 1000 (ours: other servers count to one).
    """

    mode: Literal["skip", "cancel"]
    key: str | None = None
    limit: Annotated[int, pydantic.Field(ge=1, le=SINGLETON_MAX)] | None = None


class Throttle(Declaration):
    """Start at most `limit` runs per `period`, plus `burst`; further runs wait."""

    limit: Count
    period: Period
    key: str | None = None
    burst: int | None = 1


class Timeouts(Declaration):
    """Cancel a run that has not started after `start`, or not ended `finish` after it started."""

    start: Period | None = None
    finish: Period | None = None


class Retries(Declaration):
    """How often a failed call is tried again."""

    attempts: Annotated[int, pydantic.Field(ge=0, le=RETRIES_MAX)]
