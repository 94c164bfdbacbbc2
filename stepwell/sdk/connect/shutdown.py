"""Signals that ask a worker to stop, heard even while user code keeps the main thread busy.

Python runs handlers of signals only in the main thread, and only between two instructions of it.
The interpreter itself, though, writes the number of every signal to a socket at once; the
connection's thread reads that socket. So the gateway hears of the pause immediately, whatever the
main thread does. The first signal asks for a graceful end and gives the signals back to whoever had
them, so that a second one does what it always did; where the main thread is stuck and could not
give them back, a second signal ends the process here.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, TypeAlias

_Handler: TypeAlias = "Callable[[int, FrameType | None], Any] | int | signal.Handlers | None"


def may_watch() -> bool:
    """Only the main thread may decide what signals do."""
    return threading.current_thread() is threading.main_thread()


class SignalWatch:
    """Watches the given signals from `start` until `stop`, both called in the main thread."""

    def __init__(self, signals: Sequence[signal.Signals]) -> None:
        self._signals = tuple(signals)
        self._before: dict[signal.Signals, _Handler] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._fd_before = -1
        self._count = 0
        self._asked: Callable[[signal.Signals], None] | None = None

    def start(self) -> None:
        """Take the signals over."""
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._signals:
            self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # The connection's thread has heard it already; here only the second one is prepared.
        self._give_back()

    def _give_back(self) -> None:
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def stop(self) -> None:
        """Give everything back."""
        self._give_back()
        signal.set_wakeup_fd(self._fd_before)
        self._writer.close()
        self._reader.close()

    # --- on the connection's loop -----------------------------------------------------------

    def listen(self, asked: Callable[[signal.Signals], None]) -> asyncio.Task[None]:
        """Call `asked` for the first signal. The task is to be cancelled when nobody listens."""
        self._asked = asked
        return asyncio.get_running_loop().create_task(self._listen(), name="stepwell-signals")

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.sock_recv(self._reader, 64)
            except OSError:
                return
            if not data:
                return
            self._pass_on(data)
            for number in data:
                self._heard(number)

    def _pass_on(self, data: bytes) -> None:
        """Somebody else may have listened before, such as the user's event loop."""
        if self._fd_before >= 0:
            with suppress(OSError):
                os.write(self._fd_before, data)

    def _heard(self, number: int) -> None:
        if number not in self._signals:
            return
        self._count += 1
        if self._count == 1 and self._asked is not None:
            self._asked(signal.Signals(number))
        elif self._before:
            # The main thread never came to its handler: it is stuck, and was asked twice.
            os._exit(128 + number)
