"""The only place that judges a function's configuration (http.md 4.5, server.md 2.5).

Expressions and cron schedules are judged where they are understood; here only their presence,
length and number.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias
from urllib.parse import urlsplit

from stepwell.wire import function_config as configs
from stepwell.wire import limit
from stepwell.wire.duration import DurationError, format_duration, parse_duration_ms, parse_when
from stepwell.wire.function_config import FunctionConfig

_URL_SCHEMES = ("http", "https", "ws", "wss")
_SCOPES = ("", configs.SCOPE_FUNCTION, configs.SCOPE_ENV, configs.SCOPE_ACCOUNT)

_Problems: TypeAlias = Iterator[str]


def _duration(
    field: str, text: str, least_ms: int = 0, most_ms: int | None = None, *, needed: bool = False
) -> _Problems:
    if not text:
        if needed:
            yield f"{field} is missing: give a duration such as 10s or 1h"
        return
    try:
        length_ms = parse_duration_ms(text)
    except DurationError as problem:
        yield f"{field}: {problem}"
        return
    if length_ms < least_ms:
        yield f"{field} {text!r} is too short: use at least {format_duration(least_ms)}"
    elif most_ms is not None and length_ms > most_ms:
        yield f"{field} {text!r} is too long: use at most {format_duration(most_ms)}"


def _until(field: str, text: str) -> _Problems:
    try:
        parse_when(text, 0)
    except DurationError as problem:
        yield f"{field}: {problem}"


def _identity(config: FunctionConfig) -> _Problems:
    if not config.id:
        yield "id is empty: use <app id>-<function id>"
    if not config.name:
        yield "name is empty: give the function a name"
    if not config.url:
        yield "steps.step.runtime.url is missing: give the URL the function is called at"
    elif urlsplit(config.url).scheme not in _URL_SCHEMES:
        yield f"steps.step.runtime.url {config.url!r} must begin with http, https, ws or wss"


def _triggers(config: FunctionConfig) -> _Problems:
    if len(config.triggers) > limit.TRIGGERS_MAX:
        yield f"triggers has {len(config.triggers)} entries: use at most {limit.TRIGGERS_MAX}"
    if len(set(config.triggers)) < len(config.triggers):
        yield "triggers has an entry twice: remove one of them"
    most = limit.TRIGGER_CHARS_MAX
    for index, trigger in enumerate(config.triggers):
        field = f"triggers[{index}]"
        if bool(trigger.event) == bool(trigger.cron):
            yield f"{field} must have either an event or a cron: remove or add one"
        for name, text in (("event", trigger.event), ("cron", trigger.cron)):
            if len(text) > most:
                yield f"{field}.{name} has {len(text)} characters: use at most {most}"
        yield from _duration(
            f"{field}.jitter", trigger.jitter, limit.CRON_JITTER_MS_MIN, limit.CRON_JITTER_MS_MAX
        )


def _concurrency(config: FunctionConfig) -> _Problems:
    entries = [("concurrency", entry) for entry in config.concurrency]
    entries += [("concurrency.fn", entry) for entry in config.run_concurrency]
    if max(len(config.concurrency), len(config.run_concurrency)) > limit.CONCURRENCY_MAX:
        yield f"concurrency has {len(entries)} entries: use at most {limit.CONCURRENCY_MAX}"
    for field, entry in entries:
        if entry.scope not in _SCOPES:
            yield f"{field}.scope {entry.scope!r} is unknown: use fn, env or account"
        elif entry.scope not in ("", configs.SCOPE_FUNCTION) and not entry.key:
            yield f"{field}.key is missing: the scope {entry.scope!r} needs one"


def _starts(config: FunctionConfig) -> _Problems:
    if config.throttle is not None:
        yield from _duration("throttle.period", config.throttle.period, needed=True)
    if config.rate_limit is not None:
        if config.rate_limit.limit < 1:
            yield f"rateLimit.limit {config.rate_limit.limit} is too small: use at least 1"
        period = config.rate_limit.period
        yield from _duration("rateLimit.period", period, 1, limit.RATE_LIMIT_MS_MAX, needed=True)
    if config.debounce is not None:
        period = config.debounce.period
        yield from _duration(
            "debounce.period", period, limit.DEBOUNCE_MS_MIN, limit.DEBOUNCE_MS_MAX, needed=True
        )
        yield from _duration("debounce.timeout", config.debounce.timeout)
    if config.priority is not None and not config.priority.run:
        yield "priority.run is empty: give an expression or leave priority out"


def _batch(config: FunctionConfig) -> _Problems:
    batch = config.batch
    if batch is None:
        return
    if batch.max_size < limit.BATCH_SIZE_MIN:
        yield f"batchEvents.maxSize {batch.max_size} is too small: use at least 2"
    least_ms = limit.BATCH_TIMEOUT_MS_MIN
    yield from _duration("batchEvents.timeout", batch.timeout, least_ms, needed=True)
    rivals = {
        "cancel": bool(config.cancel),
        "debounce": config.debounce is not None,
        "singleton": config.singleton is not None,
        "priority": config.priority is not None,
    }
    for name in (name for name, used in rivals.items() if used):
        yield f"batchEvents cannot be combined with {name}: remove one of them"


def _ends(config: FunctionConfig) -> _Problems:
    if len(config.cancel) > limit.CANCEL_MAX:
        yield f"cancel has {len(config.cancel)} entries: use at most {limit.CANCEL_MAX}"
    for index, cancel in enumerate(config.cancel):
        if not cancel.event:
            yield f"cancel[{index}].event is empty: name the event that cancels"
        yield from _until(f"cancel[{index}].timeout", cancel.timeout)
    singleton = config.singleton
    modes = (configs.SINGLETON_SKIP, configs.SINGLETON_CANCEL)
    if singleton is not None and singleton.mode not in modes:
        yield f"singleton.mode {singleton.mode!r} is unknown: use skip or cancel"
    if config.timeouts is not None:
        yield from _duration("timeouts.start", config.timeouts.start)
        yield from _duration("timeouts.finish", config.timeouts.finish)


_CHECKS: tuple[Callable[[FunctionConfig], _Problems], ...] = (
    _identity,
    _triggers,
    _concurrency,
    _starts,
    _batch,
    _ends,
)


def problems(config: FunctionConfig) -> list[str]:
    """What is wrong with a configuration, each naming field, value and fix; empty if nothing."""
    return [problem for check in _CHECKS for problem in check(config)]
