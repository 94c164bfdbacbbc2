"""Failed steps that can be caught as what they raised: the class, and the attributes that travel.

Law: on such an exception the user's attributes count. Nothing of `StepError` hides one.
"""

from collections.abc import Mapping
from contextlib import suppress
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, cast

import msgspec

from stepwell.sdk.errors import Error, FailedStep, StepError, failed_step, tell_failed
from stepwell.sdk.value.codec import PLAIN
from stepwell.wire import limit

_ARGS = "args"
_ATTRIBUTES = "attributes"
_OURS = ("name", "message", "stack", "cause", "step_id", "hint")


class _Unless:
    """An attribute of `StepError` for as long as the exception has none of that name itself."""

    def __init__(self, name: str) -> None:
        self._read: Any = getattr(StepError, name).fget

    def __get__(self, error: StepError | None, kind: type) -> object:
        return self if error is None else self._read(error)


def also(original: type[Exception]) -> type[StepError]:
    """The class of failed steps that can be caught as the exception they raised, too.

    Raises TypeError for a class that cannot be combined.
    """
    members: dict[str, object] = {"__str__": _told, "__module__": original.__module__}
    for name in _OURS:
        if getattr(original, name, None) in (None, getattr(Error, name, None)):
            members[name] = _Unless(name)
    bases: tuple[type, ...] = (original, StepError)
    if issubclass(StepError, original):  # such as Exception itself
        bases = (StepError,)
    return cast("type[StepError]", type(original.__name__, bases, members))


def _told(error: StepError) -> str:
    return failed_step(error).message


def plain(failed: FailedStep) -> StepError:
    """A failed step that is a StepError alone."""
    return StepError(failed.message, failed.name, failed.stack, step_id=failed.step_id)


def reraised(kind: type[StepError], failed: FailedStep, data: msgspec.Raw | None) -> StepError:
    """A failed step as one of the classes `also` made, with the attributes that travelled."""
    try:
        # Not by its constructor, which may ask for anything and do anything.
        error: StepError = kind.__new__(kind)
    except Exception:  # noqa: BLE001 - the class is the user's
        return plain(failed)
    tell_failed(error, failed)
    found = _read(data)
    args = found.get(_ARGS)
    given = tuple(cast("list[object]", args)) if isinstance(args, list) else (failed.message,)
    object.__setattr__(error, _ARGS, given)  # past the class: those of frozen dataclasses forbid it
    attributes = found.get(_ATTRIBUTES)
    if isinstance(attributes, Mapping):
        for name, value in cast("Mapping[str, object]", attributes).items():
            with suppress(Exception):  # the class may have changed since
                object.__setattr__(error, name, value)
    return error


def _read(data: msgspec.Raw | None) -> Mapping[str, object]:
    if data is None:
        return {}
    found = PLAIN.decode(data)
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


def attributes_of(error: BaseException) -> msgspec.Raw | None:
    """What of an exception JSON carries, as `data` of an error; None if that is nothing or too
    much. A value that JSON would make something else of is left out."""
    if isinstance(error, StepError):
        return None  # what another step raised: that step's failure has it
    found = {name: value for name, value in _values(error) if _survives(value)}
    told: dict[str, object] = {}
    if error.args and _survives(list(error.args)):
        told[_ARGS] = list(error.args)
    if found:
        told[_ATTRIBUTES] = found
    raw = PLAIN.encode(told)
    return raw if told and len(raw) <= limit.ERROR_CAUSE_BYTES_MAX else None


def _values(error: BaseException) -> list[tuple[str, object]]:
    """The attributes of an exception: of the object, of slots, and those of built-in classes."""
    found = list(vars(error).items())
    for kind in type(error).__mro__:
        if kind not in (BaseException, object):
            for name, member in vars(kind).items():
                if isinstance(member, MemberDescriptorType | GetSetDescriptorType):
                    with suppress(Exception):  # one that was never set
                        found.append((name, getattr(error, name)))
    return [(name, value) for name, value in found if not name.startswith("__")]


def _survives(value: object) -> bool:
    try:
        return bool(PLAIN.decode(PLAIN.encode(value)) == value)
    except Exception:  # noqa: BLE001 - it is the user's value, and only a copy for convenience
        return False
