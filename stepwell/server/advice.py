"""The only place that warns of functions that may be registered and are probably a mistake.

Pure. What cannot mean anything is refused (`server/registration.py`); what other servers of the
protocol accept is accepted here, too, and told of. Each warning names function, field and value.
"""

from collections.abc import Iterable, Iterator

from stepwell.expr.dialect import ExpressionError, Program, compile_expression
from stepwell.expr.verdict import BOOL, Known, kind_of, never_true
from stepwell.wire import limit
from stepwell.wire.duration import DurationError, format_duration, parse_duration_ms
from stepwell.wire.event import NEVER_SENT, never_matches
from stepwell.wire.function_config import FunctionConfig, key_expressions

_TEXTS = frozenset({"string", "list", "map", "date", "duration", "bytes", "null_type", BOOL})


def advice(functions: Iterable[FunctionConfig]) -> tuple[str, ...]:
    """A sentence for each probable mistake, in the order of the functions."""
    return tuple(
        f'function "{function.id}": {warning}'
        for function in functions
        for warning in advice_on(function)
    )


def advice_on(function: FunctionConfig) -> tuple[str, ...]:
    """The same for one function, whose name the sentences leave out."""
    return (*_expressions(function), *_numbers(function), *_together(function))


def _expressions(function: FunctionConfig) -> Iterator[str]:
    for index, trigger in enumerate(function.triggers):
        if never_matches(trigger.event):
            yield f"triggers[{index}].event {trigger.event!r}: {NEVER_SENT}"
        known: Known = {"async": None, "vars": None}
        if trigger.event and not trigger.event.endswith("*"):
            known = {**known, "event.name": trigger.event}
        yield from _condition(f"triggers[{index}].expression", trigger.expression, known)
    for index, cancel in enumerate(function.cancel):
        yield from _condition(f"cancel[{index}].if", cancel.condition, {"async.name": cancel.event})
    if function.batch is not None:
        source = function.batch.condition
        yield from _condition("batchEvents.if", source, {"async": None, "vars": None})
    for field, source in key_expressions(function):
        program = _program(source)
        for root in sorted(program.roots - {"event"}) if program else ():
            yield f"{field} {source!r} reads {root}, which is not known when a run starts"
    if function.priority is not None:
        yield from _number("priority.run", function.priority.run, 0, "a number of seconds")
    if function.fairness is not None:
        yield from _number("fairness.weight", function.fairness.weight, 1, "a number above 0")
    for index, named in enumerate(function.limits):
        field = f"limits[{index}].weight"
        yield from _number(field, named.weight, 1, "a number above 0")


def _number(field: str, source: str, instead: int, wanted: str) -> Iterator[str]:
    program = _program(source)
    kind = kind_of(program) if program else None
    if kind in _TEXTS:
        yield f"{field} {source!r} gives a {kind}, which counts as {instead}: give {wanted}"


def _condition(field: str, source: str, known: Known) -> Iterator[str]:
    program = _program(source)
    why = never_true(program, known) if program else None
    if why is not None:
        yield f"{field} {source!r} {why}: mend it, or leave it out"


def _program(source: str) -> Program | None:
    try:
        return compile_expression(source) if source else None
    except ExpressionError:
        return None  # which is refused elsewhere


def _numbers(function: FunctionConfig) -> Iterator[str]:
    for field, entries in (
        ("concurrency", function.concurrency),
        ("concurrency.fn", function.run_concurrency),
    ):
        for entry in entries:
            if entry.limit < 0:
                yield f"{field}.limit {entry.limit} is no limit: leave it out, or use at least 1"
    throttle = function.throttle
    if throttle is not None:
        if throttle.limit < 1:
            yield f"throttle.limit {throttle.limit} counts as 1: use at least 1"
        period = _length(throttle.period)
        if not limit.THROTTLE_MS_MIN <= period <= limit.THROTTLE_MS_MAX:
            bounds = (
                f"{format_duration(limit.THROTTLE_MS_MIN)} to"
                f" {format_duration(limit.THROTTLE_MS_MAX)}"
            )
            yield f"throttle.period {throttle.period!r} is unusual: other servers allow {bounds}"
    debounce = function.debounce
    if debounce is not None and 0 < _length(debounce.timeout) < _length(debounce.period):
        yield (
            f"debounce.timeout {debounce.timeout!r} is shorter than debounce.period"
            f" {debounce.period!r}: the period is never waited for"
        )


def _together(function: FunctionConfig) -> Iterator[str]:
    """Options that say nothing, or little, beside each other."""
    if function.idempotency and function.rate_limit is not None:
        yield "rateLimit says nothing beside idempotency, which is a rate limit of its own"
    batch = function.batch
    if batch is None:
        return
    for name, used in (
        ("rateLimit", function.rate_limit is not None),
        ("idempotency", bool(function.idempotency)),
        ("timeouts.start", function.timeouts is not None and bool(function.timeouts.start)),
    ):
        if used:
            yield f"{name} does nothing beside batchEvents: remove one of them"
    for entry in (*function.concurrency, *function.run_concurrency):
        if entry.key and entry.key != batch.key:
            yield (
                f"concurrency.key {entry.key!r} is not batchEvents.key {batch.key!r}: a batch"
                " counts under the key of its first event only"
            )


def _length(text: str) -> int:
    try:
        return parse_duration_ms(text) if text else 0
    except DurationError:
        return 0
