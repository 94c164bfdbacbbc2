"""Steps for code that is not handed a context: the only place that finds the run it belongs to."""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar, cast

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step._async import Step
from stepwell.sdk.step._sync import StepSync
from stepwell.sdk.step.suspension import INSIDE_STEP, current_step

P = ParamSpec("P")
T = TypeVar("T")

_TOLD: ContextVar[Step | StepSync | None] = ContextVar("stepwell_told_step", default=None)
"""What `set_step_context` said."""


def _found() -> Step | StepSync | None:
    if INSIDE_STEP.get() is not None:
        return None
    return _TOLD.get() or cast("Step | StepSync | None", current_step())


def get_step_context() -> Step | StepSync:
    """The step tools of the function that runs here, as `ctx.step`.

    Raises LookupError outside a function and inside a step, where no step can be.
    """
    found = _found()
    if found is None:
        where = "inside a step" if INSIDE_STEP.get() is not None else "outside a function"
        raise LookupError(f"there are no step tools {where}: call this from a function's handler")
    return found


@contextmanager
def set_step_context(step: Step | StepSync) -> Generator[None, None, None]:
    """Inside of this, code finds these step tools. Raises RuntimeError if they were set already."""
    if _TOLD.get() is not None:
        raise RuntimeError("the step context is set already: leave the first `with` block before")
    token = _TOLD.set(step)
    try:
        yield
    finally:
        _TOLD.reset(token)


def step(step_id: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a step of every call of a function, wherever it is called in a run.

    Outside a run, and inside another step, it is called as it is. The arguments belong to the code
    and are not stored; the result is.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            tools = _found()
            if tools is None:
                return function(*args, **kwargs)
            work: Callable[[], Any] = functools.partial(function, *args, **kwargs)
            return cast(T, tools.run(step_id, work))

        return call

    return decorate


class _Here:
    """The step tools of the function that runs here, looked for anew each time."""

    def __init__(self, other: type[Step] | type[StepSync], instead: str) -> None:
        self._other = other
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python's own tools ask of anything, such as __wrapped__
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        tools = get_step_context()
        if isinstance(tools, self._other):
            raise ConfigurationError(self._instead)
        return getattr(tools, name)


ambient_step: Final = cast(Step, _Here(StepSync, "step in a plain handler: use step_sync"))
"""`ctx.step` of the coroutine handler that runs here, for code that is not handed a context.

Raises LookupError outside a function and inside a step, ConfigurationError in a plain handler.
"""

ambient_step_sync: Final = cast(StepSync, _Here(Step, "step_sync in a coroutine: use step"))
"""`ctx.step` of the plain handler that runs here; see `step`."""
