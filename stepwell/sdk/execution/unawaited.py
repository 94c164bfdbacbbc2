"""Steps that were called and never awaited: the only place that finds them.

A coroutine that nobody awaits does nothing, and Python says so in a warning that few read.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from stepwell.sdk.step import ambient
from stepwell.sdk.step._async import AI, Step, StepRealtime
from stepwell.sdk.step.group import Group

_DECORATOR = ambient.__file__
Line = tuple[str, int]


class Unawaited:
    """The calls of steps in one call of a handler that have not begun."""

    def __init__(self) -> None:
        self._made: list[tuple[Coroutine[Any, Any, Any], str, Line]] = []

    def note(self, made: Coroutine[Any, Any, Any], title: str, line: Line) -> None:
        """A step, or a group, was called; what is returned is to be awaited."""
        while self._made and not _is_new(self._made[-1][0]):
            self._made.pop()
        self._made.append((made, title, line))

    def forget(self) -> None:
        """Know nothing more of the call."""
        self._made.clear()

    def problem(self) -> str:
        """What is wrong, now that the handler has ended; empty if nothing is."""
        left = [one for one in self._made if _is_new(one[0])]
        self._made.clear()
        for made, _, _ in left:
            made.close()  # which says that we know
        if not left:
            return ""
        _, title, (file, line) = left[0]
        return f"{title} ({file}:{line}) was called and never awaited: write `await` before it"


def _is_new(made: Coroutine[Any, Any, Any]) -> bool:
    return inspect.getcoroutinestate(made) == inspect.CORO_CREATED


def _watched(method: Callable[..., Coroutine[Any, Any, Any]], *, group: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        made = method(self, *args, **kwargs)
        step_id = args[0] if args else kwargs.get("step_id")
        title = f"ctx.group.{method.__name__}" if group else f'step "{step_id}"'
        frame = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if frame.f_code.co_filename == _DECORATOR and frame.f_back is not None:
            frame = frame.f_back
        self._call.unawaited.note(made, title, (frame.f_code.co_filename, frame.f_lineno))
        return made

    return call


class WatchedAI(AI):
    """`ctx.step.ai`, its calls noted."""


class WatchedRealtime(StepRealtime):
    """`ctx.step.realtime`, its calls noted."""


class WatchedStep(Step):
    """`ctx.step`, its calls noted."""

    def __init__(self, call: Any, client: Any) -> None:
        super().__init__(call, client)
        self.ai = WatchedAI(call)
        self.realtime = WatchedRealtime(call, client)


class WatchedGroup(Group):
    """`ctx.group`, its calls noted."""


for _kind in (WatchedStep, WatchedAI, WatchedRealtime, WatchedGroup):
    for _name, _method in vars(_kind.__base__).items():
        if inspect.iscoroutinefunction(_method) and not _name.startswith("_"):
            setattr(_kind, _name, _watched(_method, group=_kind is WatchedGroup))
