"""What the parts of a call took, for the header Server-Timing: the only place that measures them.

Names and meanings are the official SDK's.
"""

import asyncio
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias
from weakref import WeakKeyDictionary

COMM_HANDLER = "comm_handler"
"""From the reading of a request to its answer."""
FUNCTION = "function"
"""The user's function, with its steps and without its middleware."""
INPUT = "mw.transform_input"
OUTPUT = "mw.transform_output"
USE_API = "use_api"
"""Fetching what was too large to travel with the call."""
ASYNC_BLOCK = "async_block"
"""How long the event loop could not turn meanwhile: blocking code in a coroutine."""

BLOCK_SECONDS = 0.1
"""How often the loop is looked at."""

Timings: TypeAlias = dict[str, int]
"""Names to nanoseconds."""

_TIMINGS: ContextVar[Timings | None] = ContextVar("stepwell_timings", default=None)


@contextmanager
def timing(timings: Timings) -> Generator[None, None, None]:
    """Note in here what is measured inside, also in threads and tasks that begin there."""
    token = _TIMINGS.set(timings)
    try:
        yield
    finally:
        _TIMINGS.reset(token)


@contextmanager
def measured(name: str) -> Generator[None, None, None]:
    """Add what this takes to what `name` took, if somebody wants to know."""
    timings, began_ns = _TIMINGS.get(), time.perf_counter_ns()
    try:
        yield
    finally:
        if timings is not None:
            timings[name] = timings.get(name, 0) + time.perf_counter_ns() - began_ns


class LoopLook:
    """Looks at an event loop while calls are under way: one timer for all of them."""

    __slots__ = ("__weakref__", "_calls", "_due", "_seconds")

    def __init__(self) -> None:
        self._calls = 0
        self._due: float | None = None
        self._seconds = 0.0

    def begin(self) -> float:
        """A call begins; what `end` needs to know."""
        self._calls += 1
        loop = asyncio.get_running_loop()
        if self._due is None:
            self._plan(loop)
        return self._blocked(loop)

    def end(self, begun: float) -> int:
        """How long the loop could not turn meanwhile, in nanoseconds; shorter than a look counts as
        nothing."""
        self._calls -= 1
        return int((self._blocked(asyncio.get_running_loop()) - begun) * 1e9)

    def _blocked(self, loop: asyncio.AbstractEventLoop) -> float:
        late = 0.0 if self._due is None else loop.time() - self._due
        return self._seconds + max(0.0, late)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + BLOCK_SECONDS
        loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._seconds, self._due = self._blocked(loop), None
        if self._calls:
            self._plan(loop)


_LOOKS: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopLook] = WeakKeyDictionary()


def loop_look() -> LoopLook:
    """The look at the loop that runs here."""
    loop = asyncio.get_running_loop()
    found = _LOOKS.get(loop)
    if found is None:
        found = _LOOKS[loop] = LoopLook()
    return found


def in_words(timings: Mapping[str, int]) -> str:
    """The header's value, in milliseconds."""
    return ", ".join(f"{name};dur={spent_ns // 1_000_000}" for name, spent_ns in timings.items())
