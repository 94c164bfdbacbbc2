"""The onion: which hooks run in which order. The only place that calls them.

"Before" hooks run outermost first, "after" hooks innermost first; client middleware lies outside
function middleware. Without middleware there is no session, and nothing is paid.

Law: a hook that raises fails what it belongs to, and is named in the exception's notes.
Source: features E-122, E-126 to E-128, C.7.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from inspect import isawaitable
from typing import Any, TypeAlias

from stepwell.sdk import background
from stepwell.sdk.middleware.factory import MiddlewareFactory
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import SendEventsResult, TransformOutputResult
from stepwell.sdk.schema import Event

Bridge: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine for blocking code, and waits for it."""


class Chain:
    """The middleware of one client, or of one function of it, in order."""

    def __init__(self, factories: Sequence[MiddlewareFactory]) -> None:
        self._factories = tuple(factories)

    def open(self, client: Any, raw_request: object, bridge: Bridge | None = None) -> "Session":
        """Make an instance of each, for one call or one `send`."""
        made = [factory(client, raw_request) for factory in self._factories]
        return Session(made, bridge or background.run)


class Session:
    """The middleware of one call or one `send`."""

    def __init__(self, members: Sequence[Any], bridge: Bridge) -> None:
        self._members = members
        self._bridge = bridge
        self._executed = False
        self._stopped = False

    async def _run(self, hook: str, *given: object, inward: bool = True) -> None:
        for member in self._members if inward else reversed(self._members):
            try:
                found = getattr(member, hook, _nothing)(*given)
                if isawaitable(found):
                    await found
            except Exception as error:
                error.add_note(f"raised by middleware {type(member).__name__}.{hook}")
                raise

    def _run_sync(self, hook: str, *given: object, inward: bool = True) -> None:
        for member in self._members if inward else reversed(self._members):
            try:
                found = getattr(member, hook, _nothing)(*given)
                if isawaitable(found):
                    self._bridge(_awaited(found))
            except Exception as error:
                error.add_note(f"raised by middleware {type(member).__name__}.{hook}")
                raise

    async def transform_input(self, ctx: object, function: object, steps: StepMemos) -> None:
        """Before anything else of a call."""
        await self._run("transform_input", ctx, function, steps)

    async def before_execution(self) -> None:
        """New code is about to run; only the first time counts."""
        if not self._executed:
            self._executed = True
            await self._run("before_execution")

    async def after_execution(self) -> None:
        """New code has stopped, if any ran."""
        if self._executed and not self._stopped:
            self._stopped = True
            await self._run("after_execution", inward=False)

    async def transform_output(self, result: TransformOutputResult) -> None:
        """An output is about to leave."""
        await self._run("transform_output", result, inward=False)

    async def before_response(self) -> None:
        """The answer is about to leave."""
        await self._run("before_response")

    async def before_send_events(self, events: list[Event]) -> None:
        """Events are about to be sent."""
        await self._run("before_send_events", events)

    async def after_send_events(self, result: SendEventsResult) -> None:
        """Events were sent, or could not be."""
        await self._run("after_send_events", result, inward=False)

    def transform_input_sync(self, ctx: object, function: object, steps: StepMemos) -> None:
        """As `transform_input`, for blocking code."""
        self._run_sync("transform_input", ctx, function, steps)

    def before_execution_sync(self) -> None:
        """As `before_execution`, for blocking code."""
        if not self._executed:
            self._executed = True
            self._run_sync("before_execution")

    def after_execution_sync(self) -> None:
        """As `after_execution`, for blocking code."""
        if self._executed and not self._stopped:
            self._stopped = True
            self._run_sync("after_execution", inward=False)

    def transform_output_sync(self, result: TransformOutputResult) -> None:
        """As `transform_output`, for blocking code."""
        self._run_sync("transform_output", result, inward=False)

    def before_response_sync(self) -> None:
        """As `before_response`, for blocking code."""
        self._run_sync("before_response")

    def before_send_events_sync(self, events: list[Event]) -> None:
        """As `before_send_events`, for blocking code."""
        self._run_sync("before_send_events", events)

    def after_send_events_sync(self, result: SendEventsResult) -> None:
        """As `after_send_events`, for blocking code."""
        self._run_sync("after_send_events", result, inward=False)


def _nothing(*_: object) -> None:
    """A hook somebody's own class does without."""


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
