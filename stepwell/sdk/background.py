"""The only place that owns a thread with an event loop: one per process, started when first needed.

Plain (blocking) code uses it to run coroutines: the blocking twin of every network call, and
`async def` functions served by a blocking framework. One long-lived loop keeps connection pools
alive, which a loop per call would destroy.

Law: a fork leaves the child without this loop; it starts its own when it needs one.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """An event loop on a daemon thread of its own. Use the module's `run`; tests make their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop; starts the thread if need be."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            return loop
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._start()
            assert self._loop is not None
            return self._loop

    def _start(self) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=_serve, args=(started,), name="stepwell-background", daemon=True
        )
        self._thread.start()
        self._loop = started.result()

    def owns_current_thread(self) -> bool:
        """Is the caller itself running on this loop's thread, where waiting would deadlock?"""
        return self._thread is threading.current_thread()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its result, in the caller's context variables.

        Called from a coroutine that runs on this very loop, it uses a short-lived loop on another
        thread instead: slower, and the loop is blocked meanwhile, but nothing deadlocks.
        """
        if self.owns_current_thread():
            return _run_aside(work)
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # the caller was interrupted: nobody waits for the work any more
            raise

    def stop(self) -> None:
        """End the loop and its thread: tasks are cancelled, connection pools closed. Idempotent."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join(timeout=5)


def _serve(started: Future[asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        asyncio.set_event_loop(loop)
        loop.call_soon(started.set_result, loop)
        loop.run_forever()


def _run_aside(work: Coroutine[Any, Any, T]) -> T:
    done: Future[T] = Future()

    def body() -> None:
        try:
            done.set_result(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller
            done.set_exception(error)

    thread = threading.Thread(target=body, name="stepwell-aside", daemon=True)
    thread.start()
    return done.result()


_shared = BackgroundLoop()
# What a fork leaves behind is kept for ever: collecting it would touch sockets the parent uses.
_left_behind: list[BackgroundLoop] = []


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the process's background loop and return its result. Blocks the caller."""
    return _shared.run(work)


def shared() -> BackgroundLoop:
    """The process's background loop."""
    return _shared


def _after_fork() -> None:
    global _shared  # noqa: PLW0603 - the one loop of the process; the child needs another
    _left_behind.append(_shared)
    _shared = BackgroundLoop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _stop() -> None:
    _shared.stop()
