"""The arguments of step methods as what they ask for: the only place that judges them.

Both colours use it, so that a step means the same in both.
"""

import datetime as dt
import enum
import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from stepwell.sdk.errors import (
    ConfigurationError,
    NaiveDatetimeWarning,
    OutputUnserializableError,
    warn,
)
from stepwell.sdk.events.event import Event, MinimalEvent, event_from_json
from stepwell.sdk.events.incoming import read_awaited
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.events.source import EventSource, kind_of, name_of_source
from stepwell.sdk.step import limit as limit_option
from stepwell.sdk.step import option
from stepwell.sdk.step.asked import Ask
from stepwell.sdk.step.identity import StepName
from stepwell.sdk.step.meta import meta_of
from stepwell.sdk.step.port import Invocable
from stepwell.sdk.step.suspension import INSIDE_STEP, current_sessions
from stepwell.sdk.value.codec import Codec, CodecError, encode_any
from stepwell.sdk.value.duration import Duration, duration_ms
from stepwell.wire import limit
from stepwell.wire.duration import format_duration
from stepwell.wire.identifier import ENTROPY_BYTES, Seed, format_seed, is_ulid, ulid_time_ms
from stepwell.wire.operation import PARALLEL_RACE

_NULL = b"null"
_SHOWN_CHARS = 60
_SURROGATE = re.compile("[\ud800-\udfff]")


_EXAMPLES = {"if_exp": "async.data.paid == true", "match": "data.order_id"}

T = TypeVar("T")
Fit: TypeAlias = Callable[[msgspec.Raw], msgspec.Raw]


class ParallelMode(enum.Enum):
    """When a function goes on whose parallel steps are under way."""

    WAIT = "wait"
    """When all of them have ended."""
    RACE = "race"
    """After each of them: branches go their own pace, at the price of more calls."""


GROUP: ContextVar[ParallelMode | None] = ContextVar("stepwell_group", default=None)
"""The parallel group the code here belongs to."""


class Signal(msgspec.Struct, frozen=True):
    """A signal that was sent, and what it carried."""

    signal: str
    data: Any = None


class Fetched(msgspec.Struct, frozen=True):
    """The answer to a request the server made for the function. Any status is an answer."""

    url: str = ""
    status: int = msgspec.field(name="status_code", default=0)
    headers: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    body: str = ""


def ask(step_id: object, name: str | None, report: option.Builder | None, kind: str = "") -> Ask:
    """What a step asks for, marked with the parallel group the code here belongs to.

    Raises ConfigurationError for an id that is none.
    """
    if not isinstance(step_id, str) or not step_id:
        raise ConfigurationError(f'step_id = {step_id!r}: give the step an id, such as "charge"')
    if not step_id.isascii() and _SURROGATE.search(step_id):
        raise ConfigurationError(f"step_id = {step_id!r} is no text that can travel: mend it")
    group = GROUP.get()
    if group is None:
        return Ask(step_id, name or "", kind=kind, report=report)
    # Waiting for all is what servers do if nothing is said.
    mode = PARALLEL_RACE if group is ParallelMode.RACE else ""
    return Ask(step_id, name or "", mode, grouped=True, kind=kind, report=report)


def _length(step_id: str, field: str, value: Duration) -> str:
    """A length of time as the wire writes it."""
    try:
        length_ms = duration_ms(value)
    except ValueError as error:
        raise ConfigurationError(f'step "{step_id}": {field} = {value!r}: {error}') from None
    if not 0 <= length_ms <= limit.WAIT_MS_MAX:
        raise ConfigurationError(
            f'step "{step_id}": {field} = {value!r}: must lie between nothing and 366 days'
        )
    return format_duration(length_ms)


def no_handler(step_id: str, handler: object) -> ConfigurationError:
    """What is raised for a handler that cannot be called, such as a coroutine."""
    return ConfigurationError(
        f'step "{step_id}": handler = {_shown(handler)}: give the function itself and then its'
        ' arguments, as in run("charge", charge, 42)'
    )


def no_option(step_id: str, unknown: Iterable[str], known: Iterable[str]) -> TypeError:
    """What is raised for options that a step run here does not have."""
    return TypeError(
        f'step "{step_id}": {", ".join(unknown)}: a step has no such option; there are'
        f" {', '.join(known)}. Arguments of the handler follow it, without names"
    )


def given_branches(callables: Iterable[Callable[[], T]]) -> tuple[Callable[[], T], ...]:
    """The branches of a group. Raises ConfigurationError for what is none."""
    branches = tuple(callables)
    wrong = [(i, one) for i, one in enumerate(branches) if not callable(cast(object, one))]
    shown = [_shown(one) for _, one in wrong]  # all of them, which closes coroutines
    if wrong:
        raise ConfigurationError(
            f"callables[{wrong[0][0]}] = {shown[0]}: give functions without arguments, as in"
            ' lambda: ctx.step.run("charge", charge)'
        )
    return branches


def given_mode(mode: object) -> ParallelMode:
    """How branches are waited for, also by its name. Raises ConfigurationError for others."""
    try:
        return ParallelMode(mode)
    except ValueError:
        raise ConfigurationError(
            f"parallel_mode = {mode!r}: give ParallelMode.WAIT or ParallelMode.RACE"
        ) from None


def _shown(value: object) -> str:
    if inspect.iscoroutine(value):
        value.close()  # nobody will ever await it
    return repr(value)[:_SHOWN_CHARS]


def run(step_id: str, name: str | None, kind: str = "", limits: object = ()) -> Ask:
    """A step that is a handler. Raises ConfigurationError for limits that are none."""
    asked = ask(step_id, name, None, kind)
    if not limits:
        return asked
    return msgspec.structs.replace(asked, limits=limit_option.of_step(step_id, limits))


def sleep(step_id: str, name: str | None, duration: Duration) -> Ask:
    """Nothing for a time."""
    return ask(step_id, name, option.sleep(_length(step_id, "duration", duration)))


def sleep_until(step_id: str, name: str | None, until: object) -> Ask:
    """Nothing until an instant."""
    if not isinstance(until, dt.datetime):
        raise ConfigurationError(f'step "{step_id}": until = {until!r}: give a datetime')
    if until.tzinfo is None:
        warn(
            NaiveDatetimeWarning(
                f'step "{step_id}": until has no time zone and is taken as local time:'
                " use datetime.now(UTC), or a zone of your own"
            )
        )
    text = until.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return ask(step_id, name, option.sleep(text))


def wait_for_event(
    step_id: str,
    name: str | None,
    source: str | EventSource[Any, Any],
    if_exp: str | None,
    match: str | None,
    timeout: Duration,
    schemas: EventSchemas | None = None,
    *,
    look_back: bool = False,
) -> Ask:
    """Until an event arrives, or came since the run began."""
    try:
        event = name_of_source(source)
    except TypeError as error:
        raise ConfigurationError(f'step "{step_id}": event: {error}') from None
    if not event:
        raise ConfigurationError(f'step "{step_id}": event is empty: name the event to wait for')
    if "*" in event:
        raise ConfigurationError(
            f'step "{step_id}": event = {event!r}: name one event: wildcards are for triggers, and'
            " no wait ends by one"
        )
    if look_back not in (True, False):
        raise ConfigurationError(f'step "{step_id}": look_back = {look_back!r}: give True or False')
    if schemas is not None:
        problem = schemas.problem_of_listening(event)
        if problem is not None:
            raise ConfigurationError(f'step "{step_id}": {problem}')
    for field, given in (("if_exp", if_exp), ("match", match)):
        if given is not None and not isinstance(cast(object, given), str):
            raise ConfigurationError(
                f'step "{step_id}": {field} = {given!r}: give text, such as {_EXAMPLES[field]!r}'
            )
    conditions = [if_exp] if if_exp else []
    if match:
        conditions.insert(0, f"event.{match} == async.{match}")
    condition = conditions[0] if len(conditions) == 1 else " && ".join(f"({c})" for c in conditions)
    length = _length(step_id, "timeout", timeout)
    return ask(step_id, name, option.wait_for_event(event, condition, length, look_back))


def awaited_event(
    step_id: str,
    data: msgspec.Raw,
    source: str | EventSource[Any, Any],
    schemas: EventSchemas | None,
) -> Any:
    """What a wait for an event gave, typed if its type is known; None if time ran out.

    Raises StepError for an event that does not fit.
    """
    kind = None if isinstance(source, str) else kind_of(source)
    return read_awaited(step_id, _event_in(data), kind, schemas)


def _event_in(data: msgspec.Raw) -> Event | None:
    return None if bytes(data) == _NULL else event_from_json(data)


def wait_for_signal(
    step_id: str,
    name: str | None,
    signal: str,
    timeout: Duration | None,
    on_conflict: Literal["fail", "replace"],
) -> Ask:
    """Until a signal is sent."""
    if not isinstance(cast(object, signal), str) or not signal:
        raise ConfigurationError(f'step "{step_id}": signal = {signal!r}: name the signal')
    if on_conflict not in ("fail", "replace"):
        raise ConfigurationError(
            f'step "{step_id}": on_conflict = {on_conflict!r}: give "fail" or "replace"'
        )
    text = "" if timeout is None else _length(step_id, "timeout", timeout)
    return ask(step_id, name, option.wait_for_signal(signal, text, on_conflict))


_SIGNAL = msgspec.json.Decoder(Signal)
_FETCHED = msgspec.json.Decoder(Fetched)


def awaited_signal(data: msgspec.Raw) -> Signal | None:
    """What a wait for a signal gave; None if time ran out."""
    return None if bytes(data) == _NULL else _SIGNAL.decode(data)


def invoke(
    step_id: str,
    name: str | None,
    function_id: str,
    data: object,
    timeout: Duration | None,
    v: str | None,
    user: Mapping[str, object] | None = None,
    meta: Mapping[str, object] | None = None,
    *,
    fit: Fit,
) -> Ask:
    """Another function's run. `data` may be a whole payload, with `v` and `user` of its own.

    `fit` refuses data that the server would change.
    """
    if isinstance(data, MinimalEvent):
        whole = cast(Any, data)
        data, v, user = whole.data, v or whole.v, user or whole.user
    try:
        payload = fit(encode_any({} if data is None else data))
        about = None if user is None else fit(encode_any(user))
    except CodecError as error:
        raise ConfigurationError(f'step "{step_id}": data: {error}') from None
    if bytes(payload)[:1] != b"{":
        raise ConfigurationError(
            f'step "{step_id}": data: {type(data).__name__} is no object; wrap it, as in'
            " {'value': ...}"
        )
    text = "" if timeout is None else _length(step_id, "timeout", timeout)
    told = meta_of(f'step "{step_id}"', meta, current_sessions())
    return ask(step_id, name, option.invoke(function_id, payload, text, v, about, told))


def given_function(
    step_id: str, function: Invocable[Any, Any], data: object
) -> Invocable[Any, Any]:
    """What is to be invoked. Raises ConfigurationError for what is no Function, and for data that
    it does not take."""
    if not isinstance(cast(object, function), Invocable):
        raise ConfigurationError(
            f'step "{step_id}": function = {_shown(function)}: give what create_function made, or'
            " use invoke_by_id(..., function_id=...)"
        )
    if function.takes is not None:
        given = cast(Any, data).data if isinstance(data, MinimalEvent) else data
        try:
            function.takes.decode(encode_any({} if given is None else given))
        except CodecError as error:
            told = f'step "{step_id}": data does not fit what {function.id} takes: {error}'
            raise ConfigurationError(told) from None
    return function


def invoked(step_id: str, function_id: str, codec: Codec, data: msgspec.Raw) -> Any:
    """What an invoked function returned. Raises OutputUnserializableError if it does not fit."""
    try:
        return codec.decode(data)
    except CodecError as error:
        raise OutputUnserializableError(
            f'step "{step_id}": what function "{function_id}" returned does not fit the type it is'
            f" declared with: {error}"
        ) from error


def fetch(
    step_id: str,
    name: str | None,
    url: str,
    method: str,
    headers: Mapping[str, str] | None,
    body: object,
) -> Ask:
    """A request the server makes. A body that is no text travels as JSON."""
    if not _is_web_address(url):
        raise ConfigurationError(
            f'step "{step_id}": url = {url!r}: give a whole URL, such as "https://example.com/a"'
        )
    try:
        text = body if isinstance(body, str) else bytes(encode_any(body)).decode()
    except CodecError as error:
        raise ConfigurationError(f'step "{step_id}": body: {error}') from None
    return ask(
        step_id,
        name,
        option.fetch(method.upper(), url, headers or {}, "" if body is None else text),
    )


def _is_web_address(url: object) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def fetched(data: msgspec.Raw) -> Fetched:
    """What a request gave."""
    return _FETCHED.decode(data)


def event_seed(run_id: str, step: StepName) -> str:
    """The seed under which a step sends its events: the same each time it is tried."""
    time_ms = ulid_time_ms(run_id) if is_ulid(run_id) else 1
    digest = hashlib.sha256(f"{run_id}/{step.hashed}".encode()).digest()
    return format_seed(Seed(max(time_ms, 1), digest[:ENTROPY_BYTES]))


def running_step() -> StepName:
    """The step whose handler runs here."""
    step = INSIDE_STEP.get()
    assert step is not None, "only called from the handler of a step"
    return step
