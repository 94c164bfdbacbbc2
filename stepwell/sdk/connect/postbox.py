"""Calls handed from any thread to one event loop: in order, and many with one wake-up."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable


class Postbox:
    """The calls waiting for one loop. Made on, or for, the thread that runs the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread_id: int | None = None) -> None:
        self._loop = loop
        self.thread_id = threading.get_ident() if thread_id is None else thread_id
        self._calls: deque[Callable[[], None]] = deque()
        self._ringing = False

    def put(self, call: Callable[[], None]) -> bool:
        """Have the loop make a call soon; False if the loop is closed and nobody will."""
        self._calls.append(call)
        return self._ringing or self._ring()

    def _ring(self) -> bool:
        self._ringing = True
        try:
            if threading.get_ident() == self.thread_id:
                self._loop.call_soon(self.empty)
            else:
                self._loop.call_soon_threadsafe(self.empty)
        except RuntimeError:
            self._ringing = False
            return False
        return True

    def empty(self) -> None:
        """Make the calls that wait, on the thread of the loop; the loop does it by itself soon."""
        # Whoever puts something in after this line rings again: nothing is left lying.
        self._ringing = False
        calls = self._calls
        try:
            while calls:
                calls.popleft()()
        finally:
            if calls and not self._ringing:
                self._ring()
