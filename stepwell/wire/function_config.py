"""The only place that knows what a function registers: triggers, flow control, retries.

Names here are ours; the wire's are camelCase. Empty text and None mean absent and are never sent.
Whether a configuration is acceptable is asked of `function_check.problems`.
"""

import re
from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import quote

import msgspec

from stepwell.wire import limit
from stepwell.wire.canonical import JSON
from stepwell.wire.event import FUNCTION_FAILED
from stepwell.wire.named_limit import FunctionLimit
from stepwell.wire.outside import decode

STEP_ID = "step"
RUNTIME_HTTP = "http"
RUNTIME_WEBSOCKET = "ws"

SCOPE_FUNCTION = "fn"
SCOPE_ENV = "env"
SCOPE_ACCOUNT = "account"
SINGLETON_SKIP = "skip"
SINGLETON_CANCEL = "cancel"
WINDOW = "window"
COLLECT_ALL = "all"
COLLECT_LAST = "last"
FULL_SKIP = "skip"
FULL_CANCEL = "cancel"
CODE_CONTINUE = "continue"
CODE_PIN = "pin"
CODE_PAUSE = "pause"
CODE_RESTART = "restart"
CODE_KEPT = (CODE_PIN, CODE_PAUSE, CODE_RESTART)
"""Policies under which no code goes on with the run of another."""
CODE_WORDS = (CODE_CONTINUE, *CODE_KEPT)


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True):
    """What starts a function: an event name with an optional condition, or a cron schedule."""

    event: str = ""
    expression: str = ""
    cron: str = ""
    jitter: str = ""


class Concurrency(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `limit` at once for each value of `key`; 0 is no limit. `scope` empty is `fn`."""

    limit: int = 0
    key: str = ""
    scope: str = ""


class Throttle(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `limit` starts per `period`, with `burst` more at once; the rest waits."""

    limit: int = 0
    period: str = ""
    burst: int | None = None
    key: str = ""


class RateLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `limit` starts per `period`; the rest is dropped.

    `algorithm` is ours: empty smooths the starts over the period, `window` counts them exactly.
    """

    limit: int = 0
    period: str = ""
    key: str = ""
    algorithm: str = ""


class Debounce(msgspec.Struct, frozen=True, omit_defaults=True):
    """Start when no event came for `period`, at the latest after `timeout`.

    The rest is ours: `collect` is empty or `last` for the latest event, `all` for every event;
    `max_events` and `max_bytes`, 0 for no bound of one's own, start a full collection at once.
    """

    period: str = ""
    key: str = ""
    timeout: str = ""
    collect: str = ""
    max_events: int = msgspec.field(name="maxEvents", default=0)
    max_bytes: int = msgspec.field(name="maxBytes", default=0)


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Start with up to `max_size` events, or with fewer after `timeout`."""

    max_size: int = msgspec.field(name="maxSize", default=0)
    timeout: str = ""
    key: str = ""
    condition: str = msgspec.field(name="if", default="")


class Priority(msgspec.Struct, frozen=True, omit_defaults=True):
    """`run` is an expression that gives seconds of precedence."""

    run: str = ""


class Cancel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Cancel runs when `event` arrives and `condition` holds, within `timeout` of their start."""

    event: str = ""
    condition: str = msgspec.field(name="if", default="")
    timeout: str = ""


class Singleton(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run at a time for each value of `key`: `skip` the new one or `cancel` the old one.

    `limit` is ours: that many at a time; 0 is 1.
    """

    mode: str = ""
    key: str = ""
    limit: int = 0


class Fairness(msgspec.Struct, frozen=True, omit_defaults=True):
    """Free capacity goes round the values of `key` by `weight`, both expressions (ours)."""

    key: str = ""
    weight: str = ""


class Backlog(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `limit` runs wait for their first call for each value of `key` (ours).

    What is too much: `on_full` is empty or `skip` for the new run, `cancel` for the oldest.
    """

    limit: int = 0
    key: str = ""
    on_full: str = msgspec.field(name="onFull", default="")


class Timeouts(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long a run may wait for its start and take to its finish."""

    start: str = ""
    finish: str = ""


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an SDK saves steps while a call goes on."""

    batch_steps: int = 0
    batch_interval: str = ""
    max_runtime: str = ""


class Code(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which code a function is, and what becomes of runs that other code began (ours).

    `version` is a fingerprint, or what the user calls it; empty if nobody says. `on_change` is
    empty or `continue`, which is to go on, or `pin`, `pause` or `restart`.
    """

    version: str = ""
    on_change: str = msgspec.field(name="onChange", default="")


NO_CODE = Code()


class FunctionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A function as it is registered. `id` is the composite id, `url` where its calls go.

    `retries` is the number of tries after the first; None is the default of 4.
    `concurrency` counts steps that run now, `run_concurrency` whole runs; `limits` are named ones.
    """

    id: str
    name: str = ""
    url: str = ""
    runtime: str = RUNTIME_HTTP
    triggers: tuple[Trigger, ...] = ()
    retries: int | None = None
    concurrency: tuple[Concurrency, ...] = ()
    run_concurrency: tuple[Concurrency, ...] = ()
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    priority: Priority | None = None
    cancel: tuple[Cancel, ...] = ()
    singleton: Singleton | None = None
    timeouts: Timeouts | None = None
    idempotency: str = ""
    checkpoint: Checkpoint | None = None
    fairness: Fairness | None = None
    backlog: Backlog | None = None
    limits: tuple[FunctionLimit, ...] = ()
    description: str = ""
    code: Code = NO_CODE


def max_attempts(config: FunctionConfig) -> int:
    """How many tries each step and discovery has: retries, capped at 20 and at least 0, plus 1."""
    retries = limit.RETRIES_DEFAULT if config.retries is None else config.retries
    return min(max(retries, 0), limit.RETRIES_MAX) + 1


def key_expressions(config: FunctionConfig) -> Iterator[tuple[str, str]]:
    """The expressions that are evaluated when a run starts, each with the field it stands in."""
    limits = (("concurrency", config.concurrency), ("concurrency.fn", config.run_concurrency))
    for name, entries in limits:
        for index, entry in enumerate(entries):
            yield f"{name}[{index}].key", entry.key
    yield "idempotency", config.idempotency
    for name, part in (
        ("throttle.key", config.throttle),
        ("rateLimit.key", config.rate_limit),
        ("debounce.key", config.debounce),
        ("batchEvents.key", config.batch),
        ("singleton.key", config.singleton),
        ("fairness.key", config.fairness),
        ("backlog.key", config.backlog),
    ):
        if part is not None:
            yield name, part.key
    if config.priority is not None:
        yield "priority.run", config.priority.run
    if config.fairness is not None:
        yield "fairness.weight", config.fairness.weight
    for index, named in enumerate(config.limits):
        yield f"limits[{index}].key", named.key
        yield f"limits[{index}].weight", named.weight


def expressions(config: FunctionConfig) -> Iterator[tuple[str, str]]:
    """Every expression of a configuration, empty ones included, with the field it stands in."""
    for index, trigger in enumerate(config.triggers):
        yield f"triggers[{index}].expression", trigger.expression
    for index, cancel in enumerate(config.cancel):
        yield f"cancel[{index}].if", cancel.condition
    if config.batch is not None:
        yield "batchEvents.if", config.batch.condition
    yield from key_expressions(config)


def composite_id(app_id: str, function_id: str) -> str:
    """The id under which a function is registered, invoked and called: `app-function`."""
    return f"{app_id}-{function_id}"


def failure_id(composite: str) -> str:
    """The composite id of the companion that handles a function's failures."""
    return f"{composite}-failure"


def call_url(serve_url: str, composite: str, step_id: str = STEP_ID) -> str:
    """The address of calls to a function below the URL its app is served at."""
    joint = "&" if "?" in serve_url else "?"
    return f"{serve_url}{joint}fnId={quote(composite, safe='')}&stepId={quote(step_id, safe='')}"


def failure_companion(config: FunctionConfig, url: str, retries: int = 0) -> FunctionConfig:
    """The function that runs when runs of `config` fail, called at `url`."""
    quoted = config.id.replace("\\", "\\\\").replace("'", "\\'")
    return FunctionConfig(
        id=failure_id(config.id),
        name=f"{config.name} (failure)",
        url=url,
        runtime=config.runtime,
        triggers=(
            Trigger(event=FUNCTION_FAILED, expression=f"event.data.function_id == '{quoted}'"),
        ),
        retries=retries,
    )


class MalformedFunction(ValueError):
    """A registered function of the wrong shape; the text names the function and the field."""


class _Retries(msgspec.Struct):
    attempts: int


class _Runtime(msgspec.Struct):
    type: str = RUNTIME_HTTP
    url: str = ""


class _Step(msgspec.Struct):
    id: str = STEP_ID
    name: str = STEP_ID
    runtime: _Runtime = msgspec.field(default_factory=_Runtime)
    retries: _Retries | int | msgspec.UnsetType = msgspec.UNSET


class _Concurrencies(msgspec.Struct, omit_defaults=True):
    fn: tuple[Concurrency, ...] = ()
    step: tuple[Concurrency, ...] = ()


class _Wire(msgspec.Struct, omit_defaults=True, rename="camel"):
    """The wire form, read after nulls are gone and concurrency has been made uniform."""

    id: str
    name: str = ""
    triggers: tuple[Trigger, ...] | msgspec.UnsetType = msgspec.UNSET
    steps: dict[str, _Step] = msgspec.field(default_factory=dict[str, _Step])
    retries: _Retries | int | msgspec.UnsetType = msgspec.UNSET
    concurrency: tuple[Concurrency, ...] | _Concurrencies | msgspec.UnsetType = msgspec.UNSET
    throttle: Throttle | msgspec.UnsetType = msgspec.UNSET
    rate_limit: RateLimit | msgspec.UnsetType = msgspec.UNSET
    debounce: Debounce | msgspec.UnsetType = msgspec.UNSET
    batch_events: Batch | msgspec.UnsetType = msgspec.UNSET
    priority: Priority | msgspec.UnsetType = msgspec.UNSET
    cancel: tuple[Cancel, ...] = ()
    singleton: Singleton | msgspec.UnsetType = msgspec.UNSET
    timeouts: Timeouts | msgspec.UnsetType = msgspec.UNSET
    idempotency: str = ""
    checkpoint: Checkpoint | msgspec.UnsetType = msgspec.UNSET
    fairness: Fairness | msgspec.UnsetType = msgspec.UNSET
    backlog: Backlog | msgspec.UnsetType = msgspec.UNSET
    limits: tuple[FunctionLimit, ...] = ()
    description: str = ""
    code: Code = NO_CODE


_T = TypeVar("_T")


def _given(value: _T | msgspec.UnsetType) -> _T | None:
    return None if isinstance(value, msgspec.UnsetType) else value


def _sent(value: _T | None) -> _T | msgspec.UnsetType:
    return msgspec.UNSET if value is None else value


def without_nulls(value: JSON) -> JSON:
    """A JSON value without its nulls, at any depth: they break other readers."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value if item is not None]
    return value


def _entries(value: JSON) -> JSON:
    """Concurrency given as a number, an object or a list, as a list."""
    if isinstance(value, list):
        return [{"limit": item} if isinstance(item, int) else item for item in value]
    if isinstance(value, dict):
        return [value]
    return [] if value is None else [{"limit": value}]


def _uniform_concurrency(value: JSON) -> JSON:
    if isinstance(value, dict) and ("fn" in value or "step" in value):
        return {"fn": _entries(value.get("fn")), "step": _entries(value.get("step"))}
    return {"step": _entries(value)}


def _retries(wire: _Wire) -> int | None:
    step = wire.steps.get(STEP_ID)
    for given in (step.retries if step else msgspec.UNSET, wire.retries):
        if isinstance(given, _Retries):
            return given.attempts
        if isinstance(given, int):
            return given
    return None


_ANY = msgspec.json.Decoder[JSON]()


def decode_function(raw: bytes | msgspec.Raw) -> FunctionConfig:
    """One element of `functions` in a registration, unknown fields ignored.

    Nulls count as absent; concurrency may be a number, an object, a list or `{fn, step}`. Raises
    MalformedFunction.
    """
    try:
        value: JSON = without_nulls(decode(raw, _ANY))
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise MalformedFunction(f"a function is no JSON: {problem}") from None
    if not isinstance(value, dict):
        raise MalformedFunction("a function must be a JSON object with id, name, triggers, steps")
    if "concurrency" in value:
        value["concurrency"] = _uniform_concurrency(value["concurrency"])
    try:
        return _read(msgspec.convert(value, _Wire))
    except msgspec.ValidationError as problem:
        told = f"{problem}{_what_is_there(value, str(problem))}"
        raise MalformedFunction(f"function {value.get('id', '')!r}: {told}") from None


def _what_is_there(value: JSON, problem: str) -> str:
    """What stands at the place that a problem names, as far as there is something."""
    path = problem.partition(" - at `$")[2].rstrip("`")
    here: object = value
    for name, index in _PLACES.findall(path):
        if isinstance(here, dict) and name in here:
            here = here[name]
        elif isinstance(here, list) and index:
            here = here[int(index)]
        else:
            return ""
    return f", which is {msgspec.json.encode(here).decode()[:_SHOWN_CHARS]}" if path else ""


_PLACES = re.compile(r"\.(\w+)|\[(\d+)\]")
_SHOWN_CHARS = 80


def _read(wire: _Wire) -> FunctionConfig:
    step = wire.steps.get(STEP_ID) or next(iter(wire.steps.values()), _Step())
    pair = wire.concurrency
    if not isinstance(pair, _Concurrencies):
        pair = _Concurrencies((), _given(pair) or ())
    return FunctionConfig(
        id=wire.id,
        name=wire.name,
        url=step.runtime.url,
        runtime=step.runtime.type,
        triggers=_given(wire.triggers) or (),
        retries=_retries(wire),
        concurrency=pair.step,
        run_concurrency=pair.fn,
        throttle=_given(wire.throttle),
        rate_limit=_given(wire.rate_limit),
        debounce=_given(wire.debounce),
        batch=_given(wire.batch_events),
        priority=_given(wire.priority),
        cancel=wire.cancel,
        singleton=_given(wire.singleton),
        timeouts=_given(wire.timeouts),
        idempotency=wire.idempotency,
        checkpoint=_given(wire.checkpoint),
        fairness=_given(wire.fairness),
        backlog=_given(wire.backlog),
        limits=wire.limits,
        description=wire.description,
        code=wire.code,
    )


def encode_function(config: FunctionConfig) -> bytes:
    """A function as the JSON of a registration; absent fields are left out, never null."""
    retries = msgspec.UNSET if config.retries is None else _Retries(config.retries)
    concurrency: tuple[Concurrency, ...] | _Concurrencies | msgspec.UnsetType = msgspec.UNSET
    if config.run_concurrency:
        concurrency = _Concurrencies(config.run_concurrency, config.concurrency)
    elif config.concurrency:
        concurrency = config.concurrency
    return msgspec.json.encode(
        _Wire(
            id=config.id,
            name=config.name,
            triggers=config.triggers,
            steps={STEP_ID: _Step(STEP_ID, STEP_ID, _Runtime(config.runtime, config.url), retries)},
            concurrency=concurrency,
            throttle=_sent(config.throttle),
            rate_limit=_sent(config.rate_limit),
            debounce=_sent(config.debounce),
            batch_events=_sent(config.batch),
            priority=_sent(config.priority),
            cancel=config.cancel,
            singleton=_sent(config.singleton),
            timeouts=_sent(config.timeouts),
            idempotency=config.idempotency,
            checkpoint=_sent(config.checkpoint),
            fairness=_sent(config.fairness),
            backlog=_sent(config.backlog),
            limits=config.limits,
            description=config.description,
            code=config.code,
        )
    )
