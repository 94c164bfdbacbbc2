"""Middleware as a class with transforms, wraps and observers, as the JS SDK of version 4 has it.

Override what you need; what is not overridden costs nothing. One instance is made for every call
of a function and for every `send`.

- Transforms change what goes in, outermost first: in place, or by what they return.
- Wraps lie around a piece of work: `next()` does it. The first registered is the outermost.
- Observers watch. What they raise is logged and harms nobody.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeAlias

from stepwell.sdk.events.event import Event
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import StepInfo

Next: TypeAlias = Callable[[], Awaitable[Any]]
"""Does what lies inside of a wrap."""


class BaseMiddleware:
    """Override what you need, with `def` or `async def`, and register the class.

    A wrap written with `def` must return what `next()` returned; around plain handlers that is the
    result, around coroutine handlers something to await.
    """

    id: ClassVar[str] = ""
    """What it is called in error messages; the name of the class by default."""

    @staticmethod
    def on_register(client: Any, fn: Any) -> None:
        """Once where the class is registered: with a client (`fn` is None), or with a function."""

    def __init__(self, client: Any, raw_request: object = None) -> None:
        self.client = client
        self.raw_request = raw_request

    # Transforms

    def transform_function_input(self, ctx: Any, fn: Any, steps: StepMemos) -> Any:
        """Before anything else of a call; may return `{"ctx": {...}, "steps": [{"data": ...}]}`."""

    def transform_step_input(self, step: StepInfo, args: list[Any]) -> Any:
        """Before a step's handler runs: a list of other arguments for it, or nothing."""

    def transform_send_event(self, events: list[Event]) -> Any:
        """Before events are sent: a list of other events, or nothing."""

    # Wraps

    async def wrap_request(self, next: Next) -> Any:
        """Around all that a call does."""
        return await next()

    async def wrap_function_handler(self, next: Next, ctx: Any, fn: Any) -> Any:
        """Around the handler of the function, in every call. Steps may be used."""
        return await next()

    async def wrap_step(self, next: Next, step: StepInfo, ctx: Any) -> Any:
        """Around a step, each time it is met. Its result here is what the function sees.

        Further steps may be used; those are not wrapped. Results of steps that the server does are
        plain JSON values here.
        """
        return await next()

    async def wrap_step_handler(self, next: Next, step: StepInfo, ctx: Any) -> Any:
        """Around a step's handler, when it really runs. Its result here is what is stored."""
        return await next()

    async def wrap_send_event(self, next: Next, events: list[Event]) -> Any:
        """Around the sending of events; `next()` gives their ids."""
        return await next()

    # Observers

    def on_memoization_end(self, ctx: Any, fn: Any) -> Any:
        """All known steps were met."""

    def on_run_start(self, ctx: Any, fn: Any) -> Any:
        """A run begins: its first call, tried for the first time."""

    def on_run_complete(self, ctx: Any, fn: Any, output: Any) -> Any:
        """The function returned."""

    def on_run_error(self, ctx: Any, fn: Any, error: Exception, is_final_attempt: bool) -> Any:
        """The function raised."""

    def on_step_start(self, ctx: Any, step: StepInfo) -> Any:
        """A step's handler is about to run."""

    def on_step_complete(self, ctx: Any, step: StepInfo, output: Any) -> Any:
        """It returned."""

    def on_step_error(
        self, ctx: Any, step: StepInfo, error: Exception, is_final_attempt: bool
    ) -> Any:
        """It raised."""
