"""A declaration as the wire writes it: the only place that maps option classes to the wire's.

Source: http.md 4.4, 4.5.
"""

from dataclasses import dataclass

from stepwell.sdk.declaration import Duration, duration_ms, whole_seconds
from stepwell.sdk.option import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.sdk.trigger import Trigger, TriggerCron
from stepwell.wire import function_config as wire
from stepwell.wire.duration import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOptions:
    """What a function was declared with, as users wrote it."""

    app_id: str
    fn_id: str
    name: str | None = None
    triggers: tuple[Trigger, ...] = ()
    batch_events: Batch | None = None
    cancel: tuple[Cancel, ...] = ()
    concurrency: tuple[Concurrency, ...] = ()
    debounce: Debounce | None = None
    idempotency: str | None = None
    priority: Priority | None = None
    rate_limit: RateLimit | None = None
    retries: int | None = None
    singleton: Singleton | None = None
    throttle: Throttle | None = None
    timeouts: Timeouts | None = None


def function_config(options: FunctionOptions) -> wire.FunctionConfig:
    """A function as it is registered, but for the URL it is called at."""
    throttle, rate, debounce = options.throttle, options.rate_limit, options.debounce
    single, timeouts = options.singleton, options.timeouts
    return wire.FunctionConfig(
        id=wire.composite_id(options.app_id, options.fn_id),
        name=options.name or options.fn_id,
        triggers=tuple(map(_trigger, options.triggers)),
        retries=options.retries,
        concurrency=tuple(
            wire.Concurrency(c.limit, c.key or "", c.scope or "") for c in options.concurrency
        ),
        throttle=throttle
        and wire.Throttle(
            throttle.limit, _period(throttle.period), throttle.burst, throttle.key or ""
        ),
        rate_limit=rate and wire.RateLimit(rate.limit, _period(rate.period), rate.key or ""),
        debounce=debounce
        and wire.Debounce(_period(debounce.period), debounce.key or "", _period(debounce.timeout)),
        batch=_batch(options.batch_events),
        priority=options.priority and wire.Priority(options.priority.run),
        cancel=tuple(
            wire.Cancel(c.event, c.if_exp or "", _period(c.timeout)) for c in options.cancel
        ),
        singleton=single and wire.Singleton(single.mode, single.key or ""),
        timeouts=timeouts and wire.Timeouts(_period(timeouts.start), _period(timeouts.finish)),
        idempotency=options.idempotency or "",
    )


def _period(value: Duration | None) -> str:
    return whole_seconds(value) or ""


def _trigger(trigger: Trigger) -> wire.Trigger:
    if isinstance(trigger, TriggerCron):
        return wire.Trigger(cron=trigger.cron, jitter=trigger.jitter or "")
    return wire.Trigger(event=trigger.event, expression=trigger.expression or "")


def _batch(batch: Batch | None) -> wire.Batch | None:
    if batch is None:
        return None
    # Its time-out alone is read by a clock that knows no days.
    timeout = "" if batch.timeout is None else duration_ms(batch.timeout)
    written = timeout if isinstance(timeout, str) else format_duration(timeout, clock_units=True)
    return wire.Batch(batch.max_size, written, batch.key or "", batch.if_exp or "")
