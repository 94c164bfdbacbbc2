"""The only place that builds the events the server itself sends.

Pure: everything comes in as canonical JSON pieces and goes out as an `Event` whose `data` is
canonical too.
"""

from collections.abc import Sequence

import msgspec

from stepwell.wire import event as events
from stepwell.wire.duration import format_instant
from stepwell.wire.event import Event
from stepwell.wire.failure import Failure, encode_failure

COMPLETED = "Completed"
FAILED = "Failed"
CANCELLED = "Cancelled"


class Ended(msgspec.Struct, frozen=True):
    """How a run ended, for the events that tell of it.

    `function_id` is the composite id. `trigger` is the first event as functions see it (with
    `user`), `triggers` all of them (without). `result` is the output, or the SDK's own error body;
    `failure` and `failure_cause` (`invalid status code: 500`, `NonRetriableError`) are for failed
    runs. `correlation_id` is `<parent run>.<parent step>` for invoked runs.
    """

    function_id: str
    run_id: str
    trigger: msgspec.Raw
    triggers: tuple[msgspec.Raw, ...]
    status: str
    result: msgspec.Raw | None = None
    failure: Failure | None = None
    failure_cause: str = ""
    correlation_id: str = ""
    meta: msgspec.Raw | None = None


class _Status(msgspec.Struct):
    status: str


class _EndedData(msgspec.Struct, omit_defaults=True):
    """Fields in canonical order."""

    internal: _Status = msgspec.field(name="_inngest")
    correlation_id: str = ""
    error: msgspec.Raw | None = None
    event: msgspec.Raw | None = None
    events: tuple[msgspec.Raw, ...] | None = None
    function_id: str | None = None
    result: msgspec.Raw | None = None
    run_id: str | None = None


def _ended(name: str, event_id: str, ts_ms: int, ended: Ended) -> Event:
    error = ended.failure
    data = _EndedData(
        _Status(ended.status),
        ended.correlation_id,
        None if error is None else msgspec.Raw(encode_failure(error, error=ended.failure_cause)),
        ended.trigger,
        ended.triggers,
        ended.function_id,
        ended.result,
        ended.run_id,
    )
    return Event(name, msgspec.Raw(msgspec.json.encode(data)), event_id, ts_ms, meta=ended.meta)


def function_finished(event_id: str, ts_ms: int, ended: Ended) -> Event:
    """`inngest/function.finished`: every end of a run; `event_id` is a fresh ULID."""
    return _ended(events.FUNCTION_FINISHED, event_id, ts_ms, ended)


def function_failed(ts_ms: int, ended: Ended) -> Event:
    """`inngest/function.failed`, beside `finished` when a run failed; its id is the run's."""
    return _ended(events.FUNCTION_FAILED, ended.run_id, ts_ms, ended)


def function_cancelled(ts_ms: int, ended: Ended) -> Event:
    """`inngest/function.cancelled`, beside `finished` for a cancelled run; its id is the run's."""
    return _ended(events.FUNCTION_CANCELLED, ended.run_id, ts_ms, ended)


def is_loop_guarded(trigger_name: str) -> bool:
    """Whether runs with this trigger end silently, so that listeners do not trigger themselves."""
    return trigger_name in (events.FUNCTION_FAILED, events.FUNCTION_FINISHED)


class Invocation(msgspec.Struct, frozen=True):
    """Who invokes what: the part of `inngest/function.invoked` the server adds to the payload."""

    function_id: str
    correlation_id: str = ""
    expire_ms: int | None = None
    name: str = ""
    source_app_id: str = ""
    source_function_id: str = ""
    source_function_version: int = 1
    group_id: str = ""


class _InvokedInternal(msgspec.Struct, omit_defaults=True):
    """Fields in canonical order."""

    fn_id: str = msgspec.field(name="fn_id")
    correlation_id: str = ""
    expire: int | None = None
    gid: str = ""
    name: str = ""
    source_app_id: str = ""
    source_fn_id: str = ""
    source_fn_v: int | None = None


def function_invoked(
    event_id: str,
    ts_ms: int,
    invocation: Invocation,
    *,
    data: msgspec.Raw = events.EMPTY_OBJECT,
    user: msgspec.Raw | None = None,
    v: str | None = None,
    meta: msgspec.Raw | None = None,
) -> Event:
    """`inngest/function.invoked`: the payload of an invocation, with `_inngest` added to `data`."""
    invoked = bool(invocation.correlation_id)
    internal = _InvokedInternal(
        invocation.function_id,
        invocation.correlation_id,
        invocation.expire_ms,
        invocation.group_id,
        invocation.name,
        invocation.source_app_id,
        invocation.source_function_id,
        invocation.source_function_version if invoked else None,
    )
    return Event(
        events.FUNCTION_INVOKED,
        _with_internal(data, msgspec.Raw(msgspec.json.encode(internal, order="sorted"))),
        event_id,
        ts_ms,
        v,
        user,
        meta,
    )


def _with_internal(data: msgspec.Raw, internal: msgspec.Raw) -> msgspec.Raw:
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    fields["_inngest"] = internal
    return msgspec.Raw(msgspec.json.encode(dict(sorted(fields.items(), key=_utf16))))


def _utf16(pair: tuple[str, object]) -> bytes:
    return pair[0].encode("utf-16-be")


class Invoked(msgspec.Struct, frozen=True):
    """What an `inngest/function.invoked` event says in `data._inngest`."""

    function_id: str = msgspec.field(name="fn_id", default="")
    correlation_id: str = ""
    expire_ms: int | None = msgspec.field(name="expire", default=None)


class _InvokedData(msgspec.Struct):
    internal: Invoked = msgspec.field(name="_inngest", default_factory=Invoked)


def invoked_target(event: Event) -> Invoked:
    """The target of an invocation, empty if the event carries none."""
    return msgspec.json.decode(event.data, type=_InvokedData).internal


def split_correlation_id(correlation_id: str) -> tuple[str, str]:
    """`<parent run>.<parent step>` in its two parts; the second is empty if there is none."""
    run_id, _, step_id = correlation_id.partition(".")
    return run_id, step_id


class _TimerData(msgspec.Struct):
    cron: str
    fireAt: str  # noqa: N815 - the name on the wire
    scheduledAt: str  # noqa: N815 - the name on the wire


def scheduled_timer(cron: str, scheduled_ms: int, fire_ms: int) -> Event:
    """`inngest/scheduled.timer` for one tick; `fire_ms` includes the jitter."""
    scheduled = format_instant(scheduled_ms)
    data = msgspec.json.encode(_TimerData(cron, format_instant(fire_ms), scheduled))
    return Event(events.SCHEDULED_TIMER, msgspec.Raw(data), scheduled, fire_ms)


class Deferral(msgspec.Struct, frozen=True):
    """Who deferred what: the part of `inngest/deferred.schedule` the server adds to the input. The
    hashed id and the name of the deferral are ours."""

    fn_slug: str
    parent_app_id: str = ""
    parent_fn_id: str = ""
    parent_fn_slug: str = ""
    parent_run_id: str = ""
    defer_id: str | msgspec.UnsetType = msgspec.UNSET
    defer_name: str | msgspec.UnsetType = msgspec.UNSET


def deferred_schedule(
    event_id: str,
    ts_ms: int,
    deferral: Deferral,
    *,
    data: msgspec.Raw = events.EMPTY_OBJECT,
    meta: msgspec.Raw | None = None,
) -> Event:
    """`inngest/deferred.schedule`: one deferral that survived to the end of its run."""
    internal = msgspec.Raw(msgspec.json.encode(deferral, order="sorted"))
    return Event(
        events.DEFERRED_SCHEDULE, _with_internal(data, internal), event_id, ts_ms, meta=meta
    )


def encode_all(batch: Sequence[Event], *, with_user: bool) -> tuple[msgspec.Raw, ...]:
    """Events as the pieces that calls and lifecycle events are built from."""
    return tuple(msgspec.Raw(events.encode_event(one, with_user=with_user)) for one in batch)
