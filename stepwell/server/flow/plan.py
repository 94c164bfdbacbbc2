"""What a function's configuration means for its flow: each control it has, ready for use.

A function without flow control has no plan, and so costs nothing. Configurations were checked when
they were registered; what an older version stored that means nothing is left out.
"""

import msgspec

from stepwell.expr.dialect import ExpressionError, Program, compile_expression
from stepwell.server.flow.backlog import Backlog
from stepwell.server.flow.batch import Batch
from stepwell.server.flow.concurrency import Concurrency
from stepwell.server.flow.debounce import BYTES_MAX, EVENTS_MAX, Debounce
from stepwell.server.flow.fairness import Fairness
from stepwell.server.flow.key import key_of
from stepwell.server.flow.named_limit import Use
from stepwell.server.flow.rate_limit import DAY_MS, RateLimit
from stepwell.server.flow.singleton import Singleton
from stepwell.server.flow.throttle import Throttle
from stepwell.wire import function_config as configs
from stepwell.wire.duration import DurationError, parse_duration_ms
from stepwell.wire.function_config import (
    COLLECT_ALL,
    FULL_CANCEL,
    SINGLETON_CANCEL,
    WINDOW,
    FunctionConfig,
)


class Plan(msgspec.Struct, frozen=True):
    """The controls of one function, in the order in which a start meets them."""

    batch: Batch | None = None
    rate: RateLimit | None = None
    debounce: Debounce | None = None
    singleton: Singleton | None = None
    backlog: Backlog | None = None
    runs: tuple[Concurrency, ...] = ()
    throttle: Throttle | None = None
    priority: Program | None = None
    steps: tuple[Concurrency, ...] = ()
    fairness: Fairness | None = None
    limits: tuple[Use, ...] = ()
    start_ms: int = 0
    finish_ms: int = 0

    @property
    def has_deadlines(self) -> bool:
        """Whether runs are cancelled that begin too late or take too long."""
        return bool(self.start_ms or self.finish_ms)

    @property
    def claims(self) -> bool:
        """Whether calls stand under any limit, so that they have a lane."""
        return bool(self.throttle or self.priority or self.fairness or self.limits) or any(
            entry.limit for entry in (*self.steps, *self.runs)
        )


NO_PLAN = Plan()


def plan_of(config: FunctionConfig) -> Plan | None:
    """The plan of a function; None if nothing controls its flow."""
    plan = Plan(
        batch=_batch(config),
        rate=_rate(config),
        debounce=_debounce(config),
        singleton=_singleton(config),
        backlog=_backlog(config),
        runs=_concurrency(config.id, config.run_concurrency),
        throttle=_throttle(config),
        priority=_condition(config.priority.run) if config.priority else None,
        steps=_concurrency(config.id, config.concurrency),
        fairness=_fairness(config),
        limits=tuple(
            Use(one.name, key_of(one.key), _condition(one.weight)) for one in config.limits
        ),
        start_ms=_ms(config.timeouts.start) if config.timeouts else 0,
        finish_ms=_ms(config.timeouts.finish) if config.timeouts else 0,
    )
    return None if plan == NO_PLAN else plan


def _batch(config: FunctionConfig) -> Batch | None:
    batch = config.batch
    if batch is None:
        return None
    return Batch(batch.max_size, _ms(batch.timeout), key_of(batch.key), _condition(batch.condition))


def _rate(config: FunctionConfig) -> RateLimit | None:
    if config.idempotency:
        return RateLimit(1, DAY_MS, key_of(config.idempotency), idempotency=True)
    rate = config.rate_limit
    if rate is None:
        return None
    return RateLimit(rate.limit, _ms(rate.period), key_of(rate.key), rate.algorithm == WINDOW)


def _debounce(config: FunctionConfig) -> Debounce | None:
    debounce = config.debounce
    if debounce is None:
        return None
    return Debounce(
        period_ms=_ms(debounce.period),
        timeout_ms=_ms(debounce.timeout),
        key=key_of(debounce.key),
        collects=debounce.collect == COLLECT_ALL,
        events_max=debounce.max_events or EVENTS_MAX,
        bytes_max=min(debounce.max_bytes or BYTES_MAX, BYTES_MAX),
    )


def _singleton(config: FunctionConfig) -> Singleton | None:
    singleton = config.singleton
    if singleton is None:
        return None
    cancels = singleton.mode == SINGLETON_CANCEL
    return Singleton(cancels, key_of(singleton.key), max(singleton.limit, 1))


def _backlog(config: FunctionConfig) -> Backlog | None:
    backlog = config.backlog
    if backlog is None or backlog.limit < 1:
        return None
    return Backlog(backlog.limit, key_of(backlog.key), backlog.on_full == FULL_CANCEL)


def _concurrency(
    function: str, entries: tuple[configs.Concurrency, ...]
) -> tuple[Concurrency, ...]:
    return tuple(
        Concurrency(
            limit=entry.limit,
            owner=entry.scope if _is_shared(entry) else function,
            key=key_of(entry.key),
            is_shared=_is_shared(entry),
        )
        for entry in entries
    )


def _is_shared(entry: configs.Concurrency) -> bool:
    return entry.scope not in ("", configs.SCOPE_FUNCTION)


def _throttle(config: FunctionConfig) -> Throttle | None:
    throttle = config.throttle
    if throttle is None or throttle.limit < 1 or not _ms(throttle.period):
        return None
    burst = max(throttle.burst or 0, 0)
    return Throttle(throttle.limit, _ms(throttle.period), burst, key_of(throttle.key))


def _fairness(config: FunctionConfig) -> Fairness | None:
    fairness = config.fairness
    if fairness is None:
        return None
    return Fairness(key_of(fairness.key), _condition(fairness.weight))


def _ms(text: str) -> int:
    try:
        return parse_duration_ms(text) if text else 0
    except DurationError:
        return 0


def _condition(source: str) -> Program | None:
    try:
        return compile_expression(source) if source else None
    except ExpressionError:
        return compile_expression("false")
