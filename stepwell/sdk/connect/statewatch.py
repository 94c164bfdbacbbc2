"""The public state of a worker, set by one thread and waited for by any event loop."""

import asyncio
import threading
from contextlib import suppress

from stepwell.sdk.connect.phase import ConnectionState
from stepwell.sdk.errors import Error

_Waiter = tuple[frozenset[ConnectionState], asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class StateWatch:
    """The state now, and those who wait for another one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = ConnectionState.CONNECTING
        self._waiters: list[_Waiter] = []

    @property
    def state(self) -> ConnectionState:
        """The state now."""
        return self._state

    def set(self, state: ConnectionState) -> None:
        """The state changed; wake those who waited for it, and all once nothing can follow."""
        last = state is ConnectionState.CLOSED
        with self._lock:
            self._state = state
            woken = [w for w in self._waiters if last or state in w[0]]
            self._waiters = [w for w in self._waiters if w not in woken]
        for _, loop, future in woken:
            with suppress(RuntimeError):  # its loop has ended, nobody waits any more
                loop.call_soon_threadsafe(_wake, future)

    async def wait_for(self, *states: ConnectionState) -> None:
        """Wait until the state is, or has been since this was called, one of these.

        Raises Error if the worker is closed and will never get there.
        """
        loop = asyncio.get_running_loop()
        wanted = frozenset(states)
        future: asyncio.Future[None] = loop.create_future()
        waiter: _Waiter = (wanted, loop, future)
        with self._lock:
            if self._state in wanted:
                return
            if self._state is not ConnectionState.CLOSED:
                self._waiters.append(waiter)
            else:
                future.set_result(None)
        try:
            await future
        finally:
            with self._lock:
                self._waiters = [w for w in self._waiters if w is not waiter]
        if self._state is ConnectionState.CLOSED and self._state not in wanted:
            names = " or ".join(state.value for state in states)
            raise Error(f"the worker is CLOSED and will not become {names}; make a new connection")


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
