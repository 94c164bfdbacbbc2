"""The only place that judges a function's configuration.

Expressions and cron schedules are judged where they are understood; here only their presence,
length and number. Whoever is told may know the fields by other names than the wire's.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias
from urllib.parse import urlsplit

from stepwell.wire import function_config as configs
from stepwell.wire import limit
from stepwell.wire.duration import DurationError, format_duration, parse_duration_ms, parse_when
from stepwell.wire.function_config import FunctionConfig
from stepwell.wire.named_limit import name_problems, number_problems

_URL_SCHEMES = ("http", "https", "ws", "wss")
_SCOPES = ("", configs.SCOPE_FUNCTION, configs.SCOPE_ENV, configs.SCOPE_ACCOUNT)

Named: TypeAlias = Callable[[str], str]
"""What a field of the wire, such as `batchEvents.maxSize`, is called by whoever is told."""
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


def _count(field: str, given: int, least: int, most: int) -> _Problems:
    """A number that may be absent, which is 0."""
    if given and given < least:
        yield f"{field} {given} is too small: use at least {least}"
    elif given > most:
        yield f"{field} {given} is too large: use at most {most}"


def _word(field: str, given: str, known: tuple[str, ...]) -> _Problems:
    if given and given not in known:
        yield f"{field} {given!r} is unknown: use {' or '.join(known)}"


def _until(field: str, text: str) -> _Problems:
    try:
        parse_when(text, 0)
    except DurationError as problem:
        yield f"{field}: {problem}"


def _identity(config: FunctionConfig, named: Named) -> _Problems:
    if not config.id:
        yield "id is empty: use <app id>-<function id>"
    if not config.name:
        yield "name is empty: give the function a name"
    most = limit.FUNCTION_DESCRIPTION_CHARS_MAX
    if len(config.description) > most:
        yield f"description has {len(config.description)} characters: use at most {most}"
    if not config.url:
        yield "steps.step.runtime.url is missing: give the URL the function is called at"
    elif urlsplit(config.url).scheme not in _URL_SCHEMES:
        yield f"steps.step.runtime.url {config.url!r} must begin with http, https, ws or wss"


def _triggers(config: FunctionConfig, named: Named) -> _Problems:
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


def _concurrency(config: FunctionConfig, named: Named) -> _Problems:
    for written, entries in (
        ("concurrency", config.concurrency),
        ("concurrency.fn", config.run_concurrency),
    ):
        field = named(written)
        if len(entries) > limit.CONCURRENCY_MAX:
            yield f"{field} has {len(entries)} entries: use at most {limit.CONCURRENCY_MAX}"
        for entry in entries:
            if entry.scope not in _SCOPES:
                yield f"{field}.scope {entry.scope!r} is unknown: use fn, env or account"
            elif entry.scope not in ("", configs.SCOPE_FUNCTION) and not entry.key:
                yield f"{field}.key is missing: the scope {entry.scope!r} needs one"


def _starts(config: FunctionConfig, named: Named) -> _Problems:
    if config.throttle is not None:
        yield from _duration(named("throttle.period"), config.throttle.period, needed=True)
        if (burst := config.throttle.burst) is not None and burst < 0:
            yield f"{named('throttle.burst')} {burst} is too small: use at least 0"
    if (rate := config.rate_limit) is not None:
        if rate.limit < 1:
            yield f"{named('rateLimit.limit')} {rate.limit} is too small: use at least 1"
        yield from _duration(
            named("rateLimit.period"), rate.period, 1, limit.RATE_LIMIT_MS_MAX, needed=True
        )
        yield from _word(named("rateLimit.algorithm"), rate.algorithm, ("gcra", configs.WINDOW))
    if config.priority is not None and not config.priority.run:
        yield f"{named('priority.run')} is empty: give an expression or leave priority out"


def _debounce(config: FunctionConfig, named: Named) -> _Problems:
    given = config.debounce
    if given is None:
        return
    least, most = limit.DEBOUNCE_MS_MIN, limit.DEBOUNCE_MS_MAX
    yield from _duration(named("debounce.period"), given.period, least, most, needed=True)
    yield from _duration(named("debounce.timeout"), given.timeout)
    words = (configs.COLLECT_LAST, configs.COLLECT_ALL)
    yield from _word(named("debounce.collect"), given.collect, words)
    for written, number, least_number, most_number in (
        ("debounce.maxEvents", given.max_events, 2, limit.BATCH_SIZE_MAX),
        ("debounce.maxBytes", given.max_bytes, 1, limit.BATCH_BYTES_MAX),
    ):
        yield from _count(named(written), number, least_number, most_number)
        if number and given.collect != configs.COLLECT_ALL:
            yield (
                f"{named(written)} {number} bounds a collection:"
                f" add {named('debounce.collect')} = 'all', or leave it out"
            )


def _batch(config: FunctionConfig, named: Named) -> _Problems:
    batch = config.batch
    if batch is None:
        return
    size = named("batchEvents.maxSize")
    if batch.max_size < limit.BATCH_SIZE_MIN:
        yield f"{size} {batch.max_size} is too small: use at least {limit.BATCH_SIZE_MIN}"
    yield from _count(size, batch.max_size, 0, limit.BATCH_SIZE_MAX)
    least, most = limit.BATCH_TIMEOUT_MS_MIN, limit.BATCH_TIMEOUT_MS_MAX
    yield from _duration(named("batchEvents.timeout"), batch.timeout, least, most, needed=True)
    rivals = {
        "cancel": bool(config.cancel),
        "debounce": config.debounce is not None,
        "singleton": config.singleton is not None,
        "priority": config.priority is not None,
    }
    for name in (name for name, used in rivals.items() if used):
        yield f"{named('batchEvents')} cannot be combined with {named(name)}: remove one of them"


def _ends(config: FunctionConfig, named: Named) -> _Problems:
    if len(config.cancel) > limit.CANCEL_MAX:
        yield f"cancel has {len(config.cancel)} entries: use at most {limit.CANCEL_MAX}"
    for index, cancel in enumerate(config.cancel):
        if not cancel.event:
            yield f"cancel[{index}].event is empty: name the event that cancels"
        yield from _until(f"cancel[{index}].timeout", cancel.timeout)
    if (singleton := config.singleton) is not None:
        if singleton.mode not in (modes := (configs.SINGLETON_SKIP, configs.SINGLETON_CANCEL)):
            yield f"singleton.mode {singleton.mode!r} is unknown: use {' or '.join(modes)}"
        yield from _count(named("singleton.limit"), singleton.limit, 1, limit.SINGLETON_MAX)
    if config.timeouts is not None:
        yield from _duration(named("timeouts.start"), config.timeouts.start)
        yield from _duration(named("timeouts.finish"), config.timeouts.finish)


def _fairness(config: FunctionConfig, named: Named) -> _Problems:
    if config.fairness is not None and not config.fairness.key:
        yield f"{named('fairness.key')} is missing: give an expression, such as event.data.user"


def _backlog(config: FunctionConfig, named: Named) -> _Problems:
    given = config.backlog
    if given is None:
        return
    field, most = named("backlog.limit"), limit.BACKLOG_MAX
    if given.limit < 1:
        yield f"{field} {given.limit} is too small: use at least 1"
    yield from _count(field, given.limit, 0, most)
    yield from _word(
        named("backlog.onFull"), given.on_full, (configs.FULL_SKIP, configs.FULL_CANCEL)
    )


def _code(config: FunctionConfig, named: Named) -> _Problems:
    version, most = config.code.version, limit.CODE_VERSION_CHARS_MAX
    if len(version) > most:
        yield f"{named('code.version')} has {len(version)} characters: use at most {most}"
    if not version.isprintable():
        yield f"{named('code.version')} {version!r} has control characters: leave them out"
    yield from _word(named("code.onChange"), config.code.on_change, configs.CODE_WORDS)


def _limits(config: FunctionConfig, named: Named) -> _Problems:
    if len(config.limits) > limit.NAMED_LIMITS_MAX:
        yield f"limits has {len(config.limits)} entries: use at most {limit.NAMED_LIMITS_MAX}"
    seen: set[tuple[str, str]] = set()
    for index, given in enumerate(config.limits):
        field = f"limits[{index}]"
        yield from name_problems(f"{field}.name", given.name)
        yield from number_problems(f"{field}.", given.concurrency, given.rate, given.period)
        if (given.name, given.key) in seen:
            yield f"{field}.name {given.name!r} is there twice with one key: remove one of them"
        seen.add((given.name, given.key))


_CHECKS: tuple[Callable[[FunctionConfig, Named], _Problems], ...] = (
    _identity,
    _triggers,
    _concurrency,
    _starts,
    _debounce,
    _batch,
    _ends,
    _fairness,
    _backlog,
    _limits,
    _code,
)


def problems(config: FunctionConfig, named: Named = str) -> list[str]:
    """What is wrong with a configuration, each naming field, value and fix; empty if nothing."""
    return [problem for check in _CHECKS for problem in check(config, named)]
