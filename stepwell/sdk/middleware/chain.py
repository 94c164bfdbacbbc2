"""The onion: which hooks run in which order. The only place that calls them.

"Before" hooks run outermost first, "after" hooks innermost first; client middleware lies outside
function middleware. Without middleware there is no session, and nothing is paid. A member may be
any object; it is asked for those of these hooks it has:

    transform_input  before_memoization  after_memoization  before_execution  after_execution
    transform_output  observe_output  before_response  before_send_events  after_send_events
    transform_step_input  observe_step  read_result
    wrap_request  wrap_function_handler  wrap_step  wrap_step_handler  wrap_send_event

A hook is a plain function, a coroutine function, or a generator that yields what is to be awaited.

Law: a hook that raises fails what it belongs to, and is named in the exception's notes.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextvars import ContextVar
from inspect import isawaitable
from types import GeneratorType
from typing import Any, TypeAlias, cast

from stepwell.sdk import background
from stepwell.sdk.events.event import Event
from stepwell.sdk.function.middleware_factory import MiddlewareFactory
from stepwell.sdk.middleware.around import Wrap, around, around_sync
from stepwell.sdk.middleware.layered import as_member
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import RunResult, StepInfo, TransformOutputResult
from stepwell.sdk.send.result import SendEventsResult
from stepwell.sdk.timing import INPUT, OUTPUT, measured

Bridge: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine for blocking code, and waits for it."""

_WRAPPING: ContextVar[bool] = ContextVar("stepwell_wrapping_a_step", default=False)
"""A step is being wrapped here: steps that its wraps call are not wrapped again."""


class Chain:
    """The middleware of one client, or of one function of it, in order."""

    def __init__(self, factories: Sequence[MiddlewareFactory]) -> None:
        self._factories = tuple(factories)

    def open(self, client: Any, raw_request: object, bridge: Bridge | None = None) -> "Session":
        """Make an instance of each, for one call or one `send`."""
        made = [as_member(factory(client, raw_request)) for factory in self._factories]
        return Session(made, bridge or background.run)


def _name(member: object) -> str:
    """What a member is called in notes."""
    told = getattr(member, "name", None)
    return told if isinstance(told, str) else type(member).__name__


class Session:
    """The middleware of one call or one `send`."""

    def __init__(self, members: Sequence[Any], bridge: Bridge) -> None:
        self._members = members
        self._bridge = bridge
        self._executed = False
        self._stopped = False
        self._ctx: object = None
        self._function: object = None

    async def _run(self, hook: str, *given: object, inward: bool = True) -> None:
        for member in self._members if inward else reversed(self._members):
            try:
                found = getattr(member, hook, _nothing)(*given)
                if isinstance(found, GeneratorType):
                    await _driven(cast(Generator[Any, Any, Any], found))
                elif isawaitable(found):
                    await found
            except Exception as error:
                error.add_note(f"raised by middleware {_name(member)}.{hook}")
                raise

    def _run_sync(self, hook: str, *given: object, inward: bool = True) -> None:
        for member in self._members if inward else reversed(self._members):
            try:
                found = getattr(member, hook, _nothing)(*given)
                if isinstance(found, GeneratorType):
                    self._drive(cast(Generator[Any, Any, Any], found))
                elif isawaitable(found):
                    self._bridge(_awaited(found))
            except Exception as error:
                error.add_note(f"raised by middleware {_name(member)}.{hook}")
                raise

    def _drive(self, hook: Generator[Any, Any, Any]) -> None:
        given: Any = None
        while True:
            try:
                found = hook.send(given)
            except StopIteration:
                return
            given = self._bridge(_awaited(found)) if isawaitable(found) else found

    def _wraps(self, hook: str) -> list[Wrap]:
        found = ((member, getattr(member, hook, None)) for member in self._members)
        return [
            Wrap(f"{_name(member)}.{hook}", call, getattr(member, "blamed", True))
            for member, call in found
            if call is not None
        ]

    # Coroutine handlers

    async def transform_input(self, ctx: object, function: object, steps: StepMemos) -> None:
        """Before anything else of a call; then known steps are gone through."""
        self._ctx, self._function = ctx, function
        with measured(INPUT):
            await self._run("transform_input", ctx, function, steps)
        await self._run("before_memoization")

    async def before_execution(self) -> None:
        """Known steps are gone through, new code is about to run; only the first time counts."""
        if not self._executed:
            self._executed = True
            await self._run("after_memoization", inward=False)
            await self._run("before_execution")

    async def after_execution(self) -> None:
        """New code has stopped, if any ran."""
        if self._executed and not self._stopped:
            self._stopped = True
            await self._run("after_execution", inward=False)

    async def transform_output(self, result: TransformOutputResult) -> None:
        """An output is about to leave; then those who only watch see it."""
        with measured(OUTPUT):
            await self._run("transform_output", result, inward=False)
        await self._run("observe_output", result)

    async def before_response(self) -> None:
        """The answer is about to leave."""
        await self._run("before_response")

    async def before_send_events(self, events: list[Event]) -> None:
        """Events are about to be sent."""
        await self._run("before_send_events", events)

    async def after_send_events(self, result: SendEventsResult) -> None:
        """Events were sent, or could not be."""
        await self._run("after_send_events", result, inward=False)

    async def read_result(self, result: RunResult) -> None:
        """A run that ordinary code started has returned."""
        await self._run("read_result", result)

    async def request(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Around everything a call does."""
        return await around(self._wraps("wrap_request"), work)

    async def handler(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Around the function's handler."""
        wraps = self._wraps("wrap_function_handler")
        return await around(wraps, work, self._ctx, self._function)

    async def step(self, info: StepInfo, work: Callable[[], Awaitable[Any]]) -> Any:
        """Around a step whenever it is met, known or new."""
        wraps = () if _WRAPPING.get() else self._wraps("wrap_step")
        if not wraps:
            return await work()
        token = _WRAPPING.set(True)
        try:
            return await around(wraps, work, info, self._ctx)
        finally:
            _WRAPPING.reset(token)

    async def step_input(self, info: StepInfo, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments a step is run with."""
        changed = list(given)
        await self._run("transform_step_input", info, changed)
        return tuple(changed)

    async def run_step(self, info: StepInfo, work: Callable[[], Awaitable[Any]]) -> Any:
        """Around a step's handler, when it really runs."""
        await self._run("observe_step", info)
        return await around(self._wraps("wrap_step_handler"), work, info, self._ctx)

    async def send(self, events: list[Event], work: Callable[[], Awaitable[Any]]) -> Any:
        """Around the sending of events."""
        return await around(self._wraps("wrap_send_event"), work, events)

    # Blocking code

    def transform_input_sync(self, ctx: object, function: object, steps: StepMemos) -> None:
        """As `transform_input`, for blocking code."""
        self._ctx, self._function = ctx, function
        with measured(INPUT):
            self._run_sync("transform_input", ctx, function, steps)
        self._run_sync("before_memoization")

    def before_execution_sync(self) -> None:
        """As `before_execution`, for blocking code."""
        if not self._executed:
            self._executed = True
            self._run_sync("after_memoization", inward=False)
            self._run_sync("before_execution")

    def after_execution_sync(self) -> None:
        """As `after_execution`, for blocking code."""
        if self._executed and not self._stopped:
            self._stopped = True
            self._run_sync("after_execution", inward=False)

    def transform_output_sync(self, result: TransformOutputResult) -> None:
        """As `transform_output`, for blocking code."""
        with measured(OUTPUT):
            self._run_sync("transform_output", result, inward=False)
        self._run_sync("observe_output", result)

    def before_response_sync(self) -> None:
        """As `before_response`, for blocking code."""
        self._run_sync("before_response")

    def before_send_events_sync(self, events: list[Event]) -> None:
        """As `before_send_events`, for blocking code."""
        self._run_sync("before_send_events", events)

    def after_send_events_sync(self, result: SendEventsResult) -> None:
        """As `after_send_events`, for blocking code."""
        self._run_sync("after_send_events", result, inward=False)

    def read_result_sync(self, result: RunResult) -> None:
        """As `read_result`, for blocking code."""
        self._run_sync("read_result", result)

    def request_sync(self, work: Callable[[], Any]) -> Any:
        """As `request`, for blocking code."""
        return around_sync(self._wraps("wrap_request"), work, self._bridge)

    def handler_sync(self, work: Callable[[], Any]) -> Any:
        """As `handler`, for blocking code."""
        wraps = self._wraps("wrap_function_handler")
        return around_sync(wraps, work, self._bridge, self._ctx, self._function)

    def step_sync(self, info: StepInfo, work: Callable[[], Any]) -> Any:
        """As `step`, for blocking code."""
        wraps = () if _WRAPPING.get() else self._wraps("wrap_step")
        if not wraps:
            return work()
        token = _WRAPPING.set(True)
        try:
            return around_sync(wraps, work, self._bridge, info, self._ctx)
        finally:
            _WRAPPING.reset(token)

    def step_input_sync(self, info: StepInfo, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """As `step_input`, for blocking code."""
        changed = list(given)
        self._run_sync("transform_step_input", info, changed)
        return tuple(changed)

    def run_step_sync(self, info: StepInfo, work: Callable[[], Any]) -> Any:
        """As `run_step`, for blocking code."""
        self._run_sync("observe_step", info)
        wraps = self._wraps("wrap_step_handler")
        return around_sync(wraps, work, self._bridge, info, self._ctx)

    def send_sync(self, events: list[Event], work: Callable[[], Any]) -> Any:
        """As `send`, for blocking code."""
        return around_sync(self._wraps("wrap_send_event"), work, self._bridge, events)


def _nothing(*_: object) -> None:
    """A hook somebody's own class does without."""


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


async def _driven(hook: Generator[Any, Any, Any]) -> None:
    given: Any = None
    while True:
        try:
            found = hook.send(given)
        except StopIteration:
            return
        given = await found if isawaitable(found) else found
