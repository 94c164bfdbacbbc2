"""What the parts of a call took, for the header Server-Timing: the only place that measures them.

Names and meanings are the official SDK's. Sources: features C.9, F-4.
"""

import asyncio
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

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
    """Looks at the running event loop until it is told to end."""

    __slots__ = ("_due", "_loop", "_seconds", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = 0.0
        self._plan()

    def _plan(self) -> None:
        self._due = self._loop.time() + BLOCK_SECONDS
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._add()
        self._plan()

    def _add(self) -> None:
        self._seconds += max(0.0, self._loop.time() - self._due)

    def end(self) -> int:
        """How long it could not turn, in nanoseconds; shorter than a look counts as nothing."""
        self._timer.cancel()
        self._add()
        return int(self._seconds * 1e9)


def in_words(timings: Mapping[str, int]) -> str:
    """The header's value, in milliseconds."""
    return ", ".join(f"{name};dur={spent_ns // 1_000_000}" for name, spent_ns in timings.items())
