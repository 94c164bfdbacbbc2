"""The bounded pool of threads in which plain (blocking) user code runs beside an event loop.

The only place that decides how many there are.
"""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar

from stepwell.sdk.errors import Error, text_of

T = TypeVar("T")

THREADS_VARIABLE = "STEPWELL_THREADS"
OFFICIAL_VARIABLE = "INNGEST_THREAD_POOL_MAX_WORKERS"
"""The official SDK's name for it; its 0, for no threads at all, is obeyed by the serve handler."""


def threads_max() -> int:
    """How many handlers and steps may block at the same time in this process."""
    given = os.environ.get(THREADS_VARIABLE, "")
    if not given:
        official = os.environ.get(OFFICIAL_VARIABLE, "")
        if official.isdecimal() and int(official) > 0:
            return int(official)
        return min(64, (os.cpu_count() or 1) * 4 + 12)
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"{THREADS_VARIABLE}={given!r}: set it to a whole number above 0")
    return int(given)


class Pool:
    """Threads, started when they are first needed; made anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def executor(self) -> ThreadPoolExecutor:
        """The threads."""
        if self._executor is None:
            with self._lock:
                if self._executor is None:
                    self._executor = ThreadPoolExecutor(threads_max(), "stepwell-sync")
        return self._executor

    @property
    def is_running(self) -> bool:
        """Are there threads?"""
        return self._executor is not None

    def close(self) -> None:
        """End the threads, once they have done what they were given; further work starts others."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def forget(self) -> None:
        """Leave the threads to the process they belong to."""
        self._lock = threading.Lock()
        self._executor = None


handlers = Pool()
"""For whole handlers: each holds its thread until its call ends."""
steps = Pool()
"""For steps of asynchronous handlers; apart, so that waiting handlers cannot starve them."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=handlers.forget)
    os.register_at_fork(after_in_child=steps.forget)


Surrounding: TypeAlias = Callable[[], AbstractContextManager[object]]

_surroundings: list[Surrounding] = []


def surround(made: Surrounding) -> None:
    """From now on run blocking work in these threads inside of this, such as what gives database
    connections back. Saying so twice changes nothing."""
    if made not in _surroundings:
        _surroundings.append(made)


def surrounded(work: Callable[..., T], *args: object) -> T:
    """Do blocking work as it is to be done in a thread of a pool."""
    if not _surroundings:
        return work(*args)
    if len(_surroundings) == 1:  # as ever, and without the price of a stack
        with _surroundings[0]():
            return work(*args)
    with ExitStack() as stack:
        for made in _surroundings:
            stack.enter_context(made())
        return work(*args)


async def in_thread(pool: Pool, work: Callable[..., T], *args: object) -> T:
    """Run blocking work in a pool, in a copy of the caller's context variables.

    What `run_in_executor` does, at three quarters of its price: its two futures and their links
    cost more than most handlers' own code.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[T] = loop.create_future()

    def work_and_tell() -> None:
        tell: Callable[[], None]
        try:
            result = context.run(surrounded, work, *args)
        except (SystemExit, KeyboardInterrupt) as error:
            tell = partial(_fail, waiter, _exit_of(error))
        except BaseException as error:  # noqa: BLE001 - whoever waits decides what it means
            tell = partial(_fail, waiter, error)
        else:
            tell = partial(_settle, waiter, result)
        with suppress(RuntimeError):  # the loop was closed, and with it whoever waited
            loop.call_soon_threadsafe(tell)

    submitted = pool.executor().submit(work_and_tell)
    try:
        return await waiter
    except asyncio.CancelledError:
        submitted.cancel()  # unless it has begun
        raise


class ThreadExit(Error):
    """Code in a thread asked for the end of the program (`sys.exit`). That ends the call, and
    nothing else: other calls run beside it."""


def _exit_of(error: BaseException) -> ThreadExit:
    exit_ = ThreadExit(f"{type(error).__name__} ends this call only: {text_of(error)}")
    exit_.__cause__ = error
    return exit_


def _settle(waiter: "asyncio.Future[T]", result: T) -> None:
    if not waiter.done():
        waiter.set_result(result)


def _fail(waiter: "asyncio.Future[Any]", error: BaseException) -> None:
    if not waiter.done():
        waiter.set_exception(error)
