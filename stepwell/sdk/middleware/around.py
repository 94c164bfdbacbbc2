"""How a piece of work is wrapped: the only place that puts functions around functions.

The first wrap is the outermost. Each is called with `next` and what else it is shown, and gives
what it returns to the one outside of it. `async def` wraps may lie around blocking work: they run
on an event loop while the work stays on its own thread.

Law: only a wrap that raises something of its own is named in the exception's notes.
"""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from inspect import isawaitable, iscoroutinefunction
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeAlias

Bridge: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine for blocking code, and waits for it."""


class Wrap(NamedTuple):
    """One wrap, and what it is called in notes. `call` is given `next`, then the rest. What one
    that is not `blamed` raises stands for what the work itself would."""

    name: str
    call: Callable[..., Any]
    blamed: bool = True


class _Inner:
    """What lies inside of a wrap; remembers what it raised."""

    def __init__(self) -> None:
        self.raised: BaseException | None = None

    def blame(self, error: Exception, wrap: Wrap) -> None:
        if error is not self.raised and wrap.blamed:
            error.add_note(f"raised by middleware {wrap.name}")


async def around(wraps: Sequence[Wrap], work: Callable[[], Awaitable[Any]], *given: object) -> Any:
    """What the outermost wrap returns."""
    if not wraps:
        return await work()
    wrap, inner = wraps[0], _Inner()

    async def go_on() -> Any:
        try:
            return await around(wraps[1:], work, *given)
        except BaseException as error:
            inner.raised = error
            raise

    try:
        found = wrap.call(go_on, *given)
        return await found if isawaitable(found) else found
    except Exception as error:
        inner.blame(error, wrap)
        raise


def around_sync(
    wraps: Sequence[Wrap], work: Callable[[], Any], bridge: Bridge, *given: object
) -> Any:
    """As `around`, for blocking work."""
    if not wraps:
        return work()
    wrap, inner = wraps[0], _Inner()

    def go_on() -> Any:
        try:
            return around_sync(wraps[1:], work, bridge, *given)
        except BaseException as error:
            inner.raised = error
            raise

    try:
        if iscoroutinefunction(wrap.call):
            return _beside(wrap.call, go_on, bridge, given)
        return wrap.call(go_on, *given)
    except Exception as error:
        inner.blame(error, wrap)
        raise


def _beside(
    wrap: Callable[..., Any], work: Callable[[], Any], bridge: Bridge, given: tuple[object, ...]
) -> Any:
    """Run a coroutine on its loop; whenever it asks for the work, do that here."""
    asked: SimpleQueue[Future[Any] | None] = SimpleQueue()
    end: Future[Any] = Future()

    async def go_on() -> Any:
        done: Future[Any] = Future()
        asked.put(done)
        return await asyncio.wrap_future(done)

    async def whole() -> Any:
        return await wrap(go_on, *given)

    def run() -> None:
        _settle(end, lambda: bridge(whole()))
        asked.put(None)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="stepwell-wrap", daemon=True).start()
    while (done := asked.get()) is not None:
        _settle(done, work)
    return end.result()


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised where the future is waited for
        future.set_exception(error)
