"""Translates class middleware (`layer.py`) onto the chain: the only place that knows both."""

from collections.abc import Callable, Generator
from inspect import isawaitable
from typing import Any, TypeAlias

from stepwell.sdk.events.event import Event
from stepwell.sdk.middleware import change
from stepwell.sdk.middleware.layer import BaseMiddleware
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import StepInfo, TransformOutputResult
from stepwell.sdk.step.suspension import HOME

Hooking: TypeAlias = Generator[Any, Any, None]
"""A hook that yields what is to be awaited."""

_WRAPS = (
    "wrap_request",
    "wrap_function_handler",
    "wrap_step",
    "wrap_step_handler",
    "wrap_send_event",
)


def as_member(made: Any) -> Any:
    """What the chain asks, for what a factory made."""
    return LayeredMember(made) if isinstance(made, BaseMiddleware) else made


def _overridden(layer: BaseMiddleware, hook: str) -> bool:
    return getattr(type(layer), hook) is not getattr(BaseMiddleware, hook)


class LayeredMember:
    """An instance of class middleware as the chain asks it."""

    def __init__(self, layer: BaseMiddleware) -> None:
        self.name = layer.id or type(layer).__name__
        self.blamed: bool = getattr(layer, "blamed", True)
        self._layer = layer
        self._ctx: Any = None
        self._function: Any = None
        self._known = 0
        self._steps: dict[str, StepInfo] = {}
        for hook in _WRAPS:
            if _overridden(layer, hook):
                setattr(self, hook, getattr(layer, hook))

    def transform_input(self, ctx: Any, function: Any, steps: StepMemos) -> Hooking:
        """What goes into the function."""
        self._ctx, self._function, self._known = ctx, function, steps.size
        found = yield self._layer.transform_function_input(ctx, function, steps)
        change.into_context(found, ctx, steps)

    def transform_step_input(self, step: StepInfo, args: list[Any]) -> Hooking:
        """What goes into a step."""
        found = yield self._layer.transform_step_input(step, args)
        if found is not None:
            args[:] = found

    def before_send_events(self, events: list[Event]) -> Hooking:
        """What is sent."""
        change.into_events((yield self._layer.transform_send_event(events)), events)

    def after_memoization(self) -> Any:
        """Known steps were met."""
        return self._observe("on_memoization_end", self._ctx, self._function)

    def before_execution(self) -> Any:
        """New code begins: the run itself, if nothing is known and nothing was tried, and the call
        is not for one step, which an earlier call found."""
        home = HOME.get()
        if self._known or self._ctx.attempt or (home is not None and home.is_targeted):
            return None
        return self._observe("on_run_start", self._ctx, self._function)

    def observe_step(self, step: StepInfo) -> Any:
        """A step's handler begins."""
        self._steps[step.id] = step
        return self._observe("on_step_start", self._ctx, step)

    def observe_output(self, result: TransformOutputResult) -> Any:
        """A step or the function has ended."""
        given: tuple[Any, ...] = (self._ctx, self._function)
        what = "run"
        if result.step is not None:
            step = self._steps.get(result.step.id)
            if step is None:
                return None  # the server does it: it has only begun
            given, what = (self._ctx, step), "step"
        if result.error is not None:
            final = result.is_final_attempt
            return self._observe(f"on_{what}_error", *given, result.error, final)
        return self._observe(f"on_{what}_complete", *given, result.data)

    def _observe(self, hook: str, *given: Any) -> Hooking | None:
        if not _overridden(self._layer, hook):
            return None
        return self._watched(hook, given)

    def _watched(self, hook: str, given: tuple[Any, ...]) -> Hooking:
        """Call an observer. What it raises goes into the log."""
        try:
            found = getattr(self._layer, hook)(*given)
            if isawaitable(found):
                yield _quietly(found, self._told, hook)
        except Exception as error:  # noqa: BLE001 - observers harm nobody
            self._told(hook, error)

    def _told(self, hook: str, error: Exception) -> None:
        logger = getattr(self._layer.client, "logger", None)
        if logger is not None:
            message = f"middleware {self.name}.{hook} raised {error!r}"
            logger.error(message, exc_info=error)


async def _quietly(found: Any, tell: Callable[[str, Exception], None], hook: str) -> None:
    try:
        await found
    except Exception as error:  # noqa: BLE001 - observers harm nobody
        tell(hook, error)
