"""What hooks return, merged into what they were shown: the only place that does so."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.events.event import Event
from stepwell.sdk.middleware.memos import Output, StepMemos
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.sdk.send.outgoing import Sendable, collect
from stepwell.sdk.send.result import SendEventsResult


def as_mapping(value: object) -> Mapping[str, object]:
    """What a hook returned, as a mapping of its changes. Raises ConfigurationError."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return cast(Mapping[str, object], value)
    raise ConfigurationError(
        f"a hook returned {type(value).__name__}: return a dict of what is to change, or nothing"
    )


def into_context(found: object, ctx: object, steps: StepMemos) -> None:
    """`{"ctx": {...}, "steps": [{"data": ...}]}`: attributes of the context, known results.

    Steps are replaced by position.
    """
    given = as_mapping(found)
    only(given, "ctx", "steps")
    for name, value in as_mapping(given.get("ctx")).items():
        setattr(ctx, name, value)
    told = given.get("steps")
    if told is None:
        return
    if not isinstance(told, Sequence):
        raise ConfigurationError('"steps" must be a list with an item for each known step')
    for output, item in zip(steps.values(), cast(Sequence[object], told), strict=False):
        if isinstance(item, Mapping) and "data" in item:
            output.data = cast(Mapping[str, object], item)["data"]
        elif isinstance(item, Output) and item is not output:
            output.data = item.data


def into_output(found: object, result: TransformOutputResult) -> None:
    """`{"result": {"data": ..., "error": ...}}`: over the output that is about to leave."""
    given = as_mapping(found)
    only(given, "result")
    merged = given.get("result")
    if merged is result:
        return
    changes = as_mapping(merged)
    only(changes, "data", "output", "error")
    for name in ("data", "output"):
        if name in changes:
            result.output = changes[name]
    if "error" in changes:
        result.error = _exception(changes["error"])


def _exception(value: object) -> Exception | None:
    if value is None or isinstance(value, Exception):
        return value
    raise ConfigurationError(f'"error" is {value!r}: give an exception, or None')


def into_events(found: object, events: list[Event]) -> None:
    """A list of events in place of those that were to be sent; nothing leaves them as they are."""
    if found is None:
        return
    name = type(found).__name__
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise ConfigurationError(
            f"a hook returned {name} in place of events: return a list of them"
        )
    events[:] = collect(cast(Iterable[Sendable], found))


def into_sent(found: object, result: SendEventsResult) -> None:
    """`{"result": {"ids": [...], "error": ...}}` over what came of sending; more keys are added."""
    given = as_mapping(found)
    only(given, "result")
    merged = given.get("result")
    if merged is result:
        return
    changes = as_mapping(merged)
    for key in changes.keys() - {"ids", "error"}:
        setattr(result, key, changes[key])
    if "ids" in changes:
        result.ids = list(cast(Iterable[str], changes["ids"]))
    if "error" in changes:
        error: Any = changes["error"]
        result.error = None if error is None else str(error)


def only(given: Mapping[str, object], *names: str) -> None:
    """Refuse what no hook of this kind may change. Raises ConfigurationError."""
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ConfigurationError(
            f'a hook returned "{unknown[0]}": what it may change is {", ".join(names)}'
        )
