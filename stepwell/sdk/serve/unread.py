"""What a durable endpoint has said and nobody has read yet: the only place that bounds it."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

ROOM_BYTES: Final = 1024 * 1024
"""With so much unread, whoever can wait does before saying more."""
UNREAD_BYTES_MAX: Final = 8 * 1024 * 1024
"""With so much unread, the reader is given up: only who cannot wait comes as far."""
UNREAD_SECONDS_MAX: Final = 60.0
"""So long somebody waits for a reader who reads nothing; then the reader is given up."""

_Waiting: TypeAlias = list[Callable[[], None]]


class Unread:
    """Events in their order, from any thread and event loop to one reader. A reader who is given
    up, or has gone, keeps nobody: whatever is said after that is dropped."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._lock = threading.Lock()
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._is_over = False
        self._for_news: _Waiting = []
        self._for_room: _Waiting = []
        self.ended = threading.Event()
        """Set once whoever says has said that it was all."""

    # Who says

    def tell(self, event: bytes) -> None:
        """Say an event, without waiting."""
        with self._lock:
            if self._is_over:
                return
            is_too_much = self._bytes >= UNREAD_BYTES_MAX
            if not is_too_much:
                self._events.append(event)
                self._bytes += len(event)
        if is_too_much:
            self.leave()
        else:
            self._wake(self._for_news)

    def end(self) -> None:
        """It was all."""
        with self._lock:
            self._is_over = True
        self.ended.set()
        self._wake_all()

    async def room(self) -> None:
        """Return once more may be said."""
        if not await self._until(self._has_room, self._for_room, UNREAD_SECONDS_MAX):
            self.leave()

    def wait_for_room(self) -> None:
        """The same, for a thread without an event loop."""
        if not self._wait_until(self._has_room, self._for_room, UNREAD_SECONDS_MAX):
            self.leave()

    # Who reads

    async def next(self) -> bytes | None:
        """The next event; None once there is none any more."""
        await self._until(self._has_news, self._for_news, None)
        return self._taken()

    def wait_for_next(self) -> bytes | None:
        """The same, for blocking code."""
        self._wait_until(self._has_news, self._for_news, None)
        return self._taken()

    def take_all(self) -> bytes:
        """Whatever is there."""
        with self._lock:
            said = b"".join(self._events)
            self._events.clear()
            self._bytes = 0
        self._wake(self._for_room)
        return said

    def leave(self) -> None:
        """Nobody reads any more."""
        with self._lock:
            self._is_over = True
            self._events.clear()
            self._bytes = 0
        self._wake_all()

    # Both

    def _has_room(self) -> bool:
        return self._is_over or self._bytes < ROOM_BYTES

    def _has_news(self) -> bool:
        return self._is_over or bool(self._events)

    def _taken(self) -> bytes | None:
        with self._lock:
            event = self._events.popleft() if self._events else None
            self._bytes -= 0 if event is None else len(event)
        self._wake(self._for_room)
        return event

    def _wake(self, waiting: _Waiting) -> None:
        with self._lock:
            woken = waiting.copy()
            waiting.clear()
        for wake in woken:
            wake()

    def _wake_all(self) -> None:
        self._wake(self._for_news)
        self._wake(self._for_room)

    def _is(self, so: Callable[[], bool], waiting: _Waiting, wake: Callable[[], None]) -> bool:
        """Whether it is so; if not, `wake` is called with the next of what is waited for."""
        with self._lock:
            if so():
                return True
            waiting.append(wake)
            return False

    async def _until(
        self, so: Callable[[], bool], waiting: _Waiting, seconds: float | None
    ) -> bool:
        """Return once it is so; False where nothing that is waited for has come for so long."""
        loop = asyncio.get_running_loop()
        while True:
            changed = asyncio.Event()

            def wake(changed: asyncio.Event = changed) -> None:
                with suppress(RuntimeError):  # that loop is closed, and waits no more
                    loop.call_soon_threadsafe(changed.set)

            if self._is(so, waiting, wake):
                return True
            try:
                async with asyncio.timeout(seconds):
                    await changed.wait()
            except TimeoutError:
                return False

    def _wait_until(self, so: Callable[[], bool], waiting: _Waiting, seconds: float | None) -> bool:
        while True:
            changed = threading.Event()
            if self._is(so, waiting, changed.set):
                return True
            if not changed.wait(seconds):
                return False
