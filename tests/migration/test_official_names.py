"""Every public name of the official Python SDK is there, and takes what the official one takes.

Compared by looking at the installed package itself; what differs on purpose is listed with its
reason. Source: features C.1 to C.11.
"""

import importlib
import inspect
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import Any

import pydantic
import pytest

# Official module -> ours.
MODULES = {
    "inngest": "stepwell",
    "inngest.connect": "stepwell.connect",
    "inngest.digital_ocean": "stepwell.digital_ocean",
    **{
        f"inngest.experimental{name}": f"stepwell.experimental{name}"
        for name in (
            *("", ".ai", ".ai.anthropic", ".ai.deepseek", ".ai.gemini", ".ai.grok", ".ai.openai"),
            *(".dev_server", ".digital_ocean_simulator", ".mocked", ".realtime"),
            *(".remote_state_middleware", ".sentry_middleware"),
        )
    },
    "inngest.django": "stepwell.django",
    "inngest.fast_api": "stepwell.fast_api",
    "inngest.flask": "stepwell.flask",
    "inngest.tornado": "stepwell.tornado",
    "inngest_encryption": "stepwell.encryption",
}
MODEL = "a method of the official model's own parent, for its wire format; ours is not its option"
NEWER = "ours is middleware of the newer kind, with other hooks; users only register it"
INSIDE = "made by the SDK, never by user code: the arguments are its own parts"
DIFFERENT = {
    **{
        f"{name}.{method}": MODEL
        for name in (
            *("Batch", "Cancel", "Concurrency", "Debounce", "Event", "Priority", "RateLimit"),
            *("SendEventsResult", "Singleton", "Throttle", "Timeouts", "TriggerCron"),
            "TriggerEvent",
        )
        for method in ("convert_validation_error", "from_raw", "to_dict")
    },
    **{
        f"{name}.{method}": MODEL
        for name, method in (
            *(("Batch", "serialize_timeout"), ("Cancel", "serialize_timeout")),
            *(("Debounce", "serialize_period"), ("Debounce", "serialize_timeout")),
            *(("RateLimit", "serialize_period"), ("Throttle", "serialize_period")),
            *(("Timeouts", "serialize_finish"), ("Timeouts", "serialize_start")),
        )
    },
    "SentryMiddleware": NEWER,
    **{
        f"SentryMiddleware.{hook}": NEWER
        for hook in (
            *("after_execution", "after_send_events", "before_execution", "before_response"),
            *("before_send_events", "transform_input", "transform_output"),
        )
    },
    "Function": INSIDE,
    "Step": INSIDE,
    "StepSync": INSIDE,
    "StepMemos": INSIDE,
    "Function.call": "how the official adapters run a call; ours go through the serve handler",
    "Function.call_sync": "the same for blocking code",
}


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The names a module offers: those of `__all__`, else what is its own."""
    listed = getattr(module, "__all__", None)
    for name, thing in vars(module).items():
        if listed is not None:
            if name in listed:
                yield name, thing
        elif not name.startswith("_") and name != "annotations" and not inspect.ismodule(thing):
            yield name, thing


def members(kind: type) -> Iterator[str]:
    """What a class of the official package defines publicly, or inherits from one of its own."""
    known = set(dir(pydantic.BaseModel)) | set(dir(Enum)) | {"name", "value"}
    yield from (name for name in dir(kind) if not name.startswith("_") and name not in known)


def signature(thing: object) -> inspect.Signature | None:
    if isinstance(thing, type) and issubclass(thing, pydantic.BaseModel):
        thing.model_rebuild()  # models are built when they are first used, their signatures too
    try:
        return inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def differences(label: str, theirs: object, ours: object) -> Iterator[str]:
    """What code that calls the official one would stumble over."""
    there, here = signature(theirs), signature(ours)
    if there is None or here is None:
        return
    positions = list(here.parameters)
    for index, (name, parameter) in enumerate(there.parameters.items()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name not in here.parameters:
            yield f"{label}({name}=) is missing"
            continue
        found = here.parameters[name]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            if found.kind is not parameter.kind or positions[index] != name:
                yield f"{label}: {name} cannot be given by position {index}"
        elif found.kind not in (parameter.kind, parameter.POSITIONAL_OR_KEYWORD):
            yield f"{label}: {name} is {found.kind.description}"
        if plain(parameter.default) and found.default != parameter.default:
            yield f"{label}({name}=) has the default {found.default!r}"
    for name, found in here.parameters.items():
        needed = found.default is found.empty and found.kind is not found.VAR_POSITIONAL
        if name not in there.parameters and needed and found.kind is not found.VAR_KEYWORD:
            yield f"{label} also wants {name}"


def plain(default: object) -> bool:
    """A default that means the same everywhere; markers for "nothing given" are each one's own.

    What the official one insists on may be left out here: nobody's calls do.
    """
    return isinstance(default, int | str | bool | None)


def compared(theirs: ModuleType, ours: ModuleType) -> Iterator[str]:
    for name, thing in public(theirs):
        if not hasattr(ours, name):
            yield f"{name} is missing"
            continue
        mine = getattr(ours, name)
        if isinstance(mine, type) and issubclass(mine, pydantic.BaseModel):
            # Models are built when they are first used, and know their arguments from then on.
            mine.model_rebuild()
        if name not in DIFFERENT and callable(thing):
            yield from differences(name, thing, mine)
        for member in members(thing) if inspect.isclass(thing) else ():
            label = f"{name}.{member}"
            if label in DIFFERENT:
                continue
            if not hasattr(mine, member):
                yield f"{label} is missing"
            else:
                yield from differences(label, getattr(thing, member), getattr(mine, member))


@pytest.mark.parametrize("name", MODULES)
def test_the_official_names_and_their_arguments(name: str) -> None:
    theirs, ours = importlib.import_module(name), importlib.import_module(MODULES[name])
    assert list(compared(theirs, ours)) == []


def test_no_reason_outlives_its_difference() -> None:
    """What is listed as different does differ still."""
    pairs = [(importlib.import_module(a), importlib.import_module(b)) for a, b in MODULES.items()]
    for label in DIFFERENT:
        name, _, member = label.partition(".")
        theirs, ours = next(pair for pair in pairs if hasattr(pair[0], name))
        assert hasattr(getattr(theirs, name), member or "__init__"), label
        if member:
            assert not hasattr(getattr(ours, name), member), label


def test_the_comparison_sees_differences() -> None:
    def theirs(a: int, *, b: int = 1, c: int = 2) -> None: ...
    def ours(z: int, a: int, *, b: int = 3) -> None: ...

    assert list(differences("f", theirs, ours)) == [
        "f: a cannot be given by position 0",
        "f(b=) has the default 3",
        "f(c=) is missing",
        "f also wants z",
    ]
