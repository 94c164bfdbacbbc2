"""A declaration as the wire writes it: the only place that maps option classes to the wire's."""

from collections.abc import Mapping

import msgspec

from stepwell.sdk.function.option import (
    Backlog,
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Fairness,
    OnCodeChange,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.sdk.function.trigger import (
    Trigger,
    TriggerCron,
    TriggerDefer,
    TriggerEvent,
    TriggerInvoke,
)
from stepwell.sdk.step.limit import Limit, LimitBy, of_function
from stepwell.sdk.value.duration import Duration, duration_ms, whole_seconds
from stepwell.wire import function_config as wire
from stepwell.wire.duration import format_duration
from stepwell.wire.event import DEFERRED_SCHEDULE, FUNCTION_INVOKED


class FunctionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a function was declared with, as users wrote it."""

    app_id: str
    fn_id: str
    name: str | None = None
    description: str | None = None
    triggers: tuple[Trigger, ...] = ()
    backlog: Backlog | None = None
    batch_events: Batch | None = None
    cancel: tuple[Cancel, ...] = ()
    code_version: str | None = None
    concurrency: tuple[Concurrency, ...] = ()
    debounce: Debounce | None = None
    fairness: Fairness | None = None
    idempotency: str | None = None
    limits: tuple[Limit | LimitBy, ...] = ()
    on_code_change: OnCodeChange | None = None
    priority: Priority | None = None
    rate_limit: RateLimit | None = None
    retries: int | None = None
    run_concurrency: tuple[Concurrency, ...] = ()
    singleton: Singleton | None = None
    throttle: Throttle | None = None
    timeouts: Timeouts | None = None


def function_config(options: FunctionOptions) -> wire.FunctionConfig:
    """A function as it is registered, but for the URL it is called at."""
    return wire.FunctionConfig(
        id=wire.composite_id(options.app_id, options.fn_id),
        name=options.name or options.fn_id,
        description=options.description or "",
        triggers=_triggers(options),
        retries=options.retries,
        concurrency=_concurrency(options.concurrency),
        run_concurrency=_concurrency(options.run_concurrency),
        throttle=_throttle(options.throttle),
        rate_limit=_rate_limit(options.rate_limit),
        debounce=_debounce(options.debounce),
        batch=_batch(options.batch_events),
        priority=None if options.priority is None else wire.Priority(options.priority.run),
        cancel=tuple(
            wire.Cancel(c.event, c.if_exp or "", _period(c.timeout)) for c in options.cancel
        ),
        singleton=_singleton(options.singleton),
        timeouts=_timeouts(options.timeouts),
        idempotency=options.idempotency or "",
        fairness=_fairness(options.fairness),
        limits=of_function(options.limits),
        backlog=_backlog(options.backlog),
        code=_code(options),
    )


def _code(options: FunctionOptions) -> wire.Code:
    """What the user says of its code: to go on is what everybody does, and is not told."""
    asked = options.on_code_change or ""
    return wire.Code(options.code_version or "", "" if asked == "continue" else asked)


_WRITTEN: Mapping[str, str] = {
    "batchEvents": "batch_events",
    "code.onChange": "on_code_change",
    "code.version": "code_version",
    "fn": "run_concurrency",
    "if": "if_exp",
    "maxBytes": "max_bytes",
    "maxEvents": "max_events",
    "maxSize": "max_size",
    "onFull": "on_full",
    "rateLimit": "rate_limit",
}
"""What the wire calls otherwise than Python."""


def option_name(field: str) -> str:
    """A field of the wire, such as `batchEvents.maxSize`, as the option users write."""
    if field in _WRITTEN:
        return _WRITTEN[field]
    written = field.removeprefix("concurrency.") if field.startswith("concurrency.fn") else field
    parts = (part.partition("[") for part in written.split("."))
    return ".".join(f"{_WRITTEN.get(name, name)}{mark}{index}" for name, mark, index in parts)


def _throttle(given: Throttle | None) -> wire.Throttle | None:
    if given is None:
        return None
    return wire.Throttle(given.limit, _period(given.period), given.burst, given.key or "")


def _rate_limit(given: RateLimit | None) -> wire.RateLimit | None:
    if given is None:
        return None
    period, algorithm = _period(given.period), given.algorithm
    return wire.RateLimit(given.limit, period, given.key or "", algorithm or "")


def _debounce(given: Debounce | None) -> wire.Debounce | None:
    if given is None:
        return None
    return wire.Debounce(
        _period(given.period),
        given.key or "",
        _period(given.timeout),
        given.collect or "",
        given.max_events or 0,
        given.max_bytes or 0,
    )


def _fairness(given: Fairness | None) -> wire.Fairness | None:
    if given is None:
        return None
    return wire.Fairness(given.key, "" if given.weight is None else str(given.weight))


def _backlog(given: Backlog | None) -> wire.Backlog | None:
    return (
        None if given is None else wire.Backlog(given.limit, given.key or "", given.on_full or "")
    )


def _concurrency(given: tuple[Concurrency, ...]) -> tuple[wire.Concurrency, ...]:
    return tuple(wire.Concurrency(one.limit, one.key or "", one.scope or "") for one in given)


def _singleton(given: Singleton | None) -> wire.Singleton | None:
    return None if given is None else wire.Singleton(given.mode, given.key or "", given.limit or 0)


def _timeouts(given: Timeouts | None) -> wire.Timeouts | None:
    return None if given is None else wire.Timeouts(_period(given.start), _period(given.finish))


def _period(value: Duration | None) -> str:
    return whole_seconds(value) or ""


def _triggers(options: FunctionOptions) -> tuple[wire.Trigger, ...]:
    """Two schemas for one name are one trigger for the server: any of them may fit."""
    found: list[wire.Trigger] = []
    for trigger in options.triggers:
        written = _trigger(trigger, wire.composite_id(options.app_id, options.fn_id))
        is_typed = isinstance(trigger, TriggerEvent) and trigger.__event_kind__().read is not None
        if not (is_typed and written in found):
            found.append(written)
    return tuple(found)


def _trigger(trigger: Trigger, function_id: str) -> wire.Trigger:
    if isinstance(trigger, TriggerDefer):
        text = function_id.replace("\\", "\\\\").replace("'", "\\'")
        condition = f"event.data._inngest.fn_slug == '{text}'"
        return wire.Trigger(event=DEFERRED_SCHEDULE, expression=condition)
    if isinstance(trigger, TriggerCron):
        return wire.Trigger(cron=trigger.cron, jitter=trigger.jitter or "")
    if isinstance(trigger, TriggerInvoke):
        return wire.Trigger(event=FUNCTION_INVOKED)
    return wire.Trigger(event=trigger.event, expression=trigger.expression or "")


def _batch(batch: Batch | None) -> wire.Batch | None:
    if batch is None:
        return None
    timeout = ""
    if batch.timeout is not None:
        # Its time-out alone is read by a clock that knows no days.
        timeout = format_duration(duration_ms(batch.timeout), clock_units=True)
    return wire.Batch(batch.max_size, timeout, batch.key or "", batch.if_exp or "")
