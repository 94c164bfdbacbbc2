"""Lets routes read from a database on a network without the event loop standing still: the only
place that knows how.

A route asks the reader as if it answered at once. Where reading waits for a network, each question
is asked on a thread, and the request waits for the answer, but nobody else does. The code between
(which may be deep in functions that know nothing of an event loop) is left and taken up again by
greenlets, as SQLAlchemy does it for its asyncio engine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

from stepwell.server.store.port import Reader

T = TypeVar("T")


class _Leaving(greenlet):
    """One step of a request, from one `await` of its own to the next."""


class _Question:
    """Something a request asks a reader in the middle of a step."""

    __slots__ = ("ask",)

    def __init__(self, ask: Callable[[], object]) -> None:
        self.ask = ask


class AwaitedReader:
    """A reader whose questions do not block the loop, where they are asked within `awaiting`. On
    any other thread they block it, as they would without."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        """A method of the reader, or a property of it."""
        found = getattr(self._reader, name)
        if not callable(found):
            return found

        def asked(*args: object, **named: object) -> object:
            current = getcurrent()
            if not isinstance(current, _Leaving) or current.parent is None:
                return found(*args, **named)
            return current.parent.switch(_Question(lambda: found(*args, **named)))

        return asked


def awaited(reader: Reader) -> Reader:
    """The same reader for routes."""
    return cast("Reader", AwaitedReader(reader))


class _Steps(Awaitable[T]):
    def __init__(self, work: Awaitable[T]) -> None:
        self._work = cast("Coroutine[Any, Any, T]", work)

    def __await__(self) -> Generator[Any, Any, T]:
        value: object = None
        error: BaseException | None = None
        while True:
            said = yield from self._step(value, error)
            if isinstance(said, _Done):
                return cast("T", said.value)
            value, error = None, None
            try:
                value = yield said
            except BaseException as raised:  # noqa: BLE001 - a cancellation is the request's, too
                error = raised

    def _step(self, value: object, error: BaseException | None) -> Generator[Any, Any, object]:
        """What the request waits for next, or what it returned."""
        here = getcurrent()
        step = _Leaving(self._go_on, here)
        step.gr_context = here.gr_context
        said = step.switch(value, error)
        while isinstance(said, _Question):
            try:
                answer = yield from asyncio.to_thread(said.ask).__await__()
            except BaseException as raised:  # noqa: BLE001 - raised where it was asked
                said = step.throw(raised)
            else:
                said = step.switch(answer)
        return said

    def _go_on(self, value: object, error: BaseException | None) -> object:
        try:
            return self._work.send(value) if error is None else self._work.throw(error)
        except StopIteration as end:
            return _Done(end.value)


class _Done:
    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


async def awaiting(work: Awaitable[T]) -> T:
    """Do what a request asks for (a coroutine). Questions to a reader that blocks are waited for
    beside the loop."""
    return await _Steps(work)
