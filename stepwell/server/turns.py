"""The only place for long work on the event loop: a part at a time, with others' turns in between.

All of it stands in one line, and only one part is done in each round of the loop. So whoever waits
for the loop waits for one part, however many do long work at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic
from weakref import WeakKeyDictionary

from stepwell.wire.long_json import T, Turns


async def in_turns(work: Turns[T]) -> T:
    """The result of `work`. What it raises is raised here."""
    try:
        next(work)
    except StopIteration as end:
        result: T = end.value
        return result
    return await _in_line(work)


def by_turns(work: Turns[T], then: Callable[[T], None]) -> None:
    """The same where nobody can wait: `then` is told the result, at once if there is no pause.

    `work` must not raise.
    """
    try:
        next(work)
    except StopIteration as end:
        then(end.value)
        return
    _in_line(work).add_done_callback(lambda told: then(told.result()))


async def turn() -> None:
    """Wait for one's turn in the line: after it, do a part of long work."""
    await _in_line(_nothing())


def _nothing() -> Turns[None]:
    return
    yield


def _in_line(work: Turns[T]) -> "asyncio.Future[T]":
    loop = asyncio.get_running_loop()
    line = _lines.get(loop)
    if line is None:
        line = _lines[loop] = _Line()
    told: asyncio.Future[T] = loop.create_future()
    line.join(_Work(work, told).is_over)
    return told


class _Line:
    """Who does long work on one event loop: the first does a part, and goes to the end."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], bool]] = deque()

    def join(self, is_over: Callable[[], bool]) -> None:
        """Have `is_over` called in turn until it says so."""
        self._waiting.append(is_over)
        if len(self._waiting) == 1:
            self._soon()

    def _round(self) -> None:
        is_over = self._waiting[0]
        try:
            if not is_over():
                self._waiting.append(is_over)
        finally:
            # Whatever breaks, the others have their turn.
            self._waiting.popleft()
            if self._waiting:
                self._soon()

    def _soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._round)


class _Work(Generic[T]):
    """One work in the line, and who is told of its end."""

    def __init__(self, work: Turns[T], told: "asyncio.Future[T]") -> None:
        self._work = work
        self._told = told

    def is_over(self) -> bool:
        """Do the next part. Whether it was the last, or nobody waits for it any more."""
        if self._told.done():
            self._work.close()
            return True
        try:
            next(self._work)
        except StopIteration as end:
            self._told.set_result(end.value)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._told.set_exception(error)
        else:
            return False
        return True


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()
