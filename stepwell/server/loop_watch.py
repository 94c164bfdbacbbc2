"""Measures how late the event loop is: the only place that does. A callback that takes long keeps
everybody waiting, and nothing else tells of it. A machine that is busy with other things does the
same; so what the loop's thread itself worked meanwhile is measured, too."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic, thread_time

LOOK_EVERY_S = 0.05
SLICE_S = 60.0
SLICES = 5
BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopWatch:
    """One per event loop. A timer that should come every 50 ms tells by how much it is late; a loop
    that stands still is noticed for as long as it does, less at most those 50 ms."""

    def __init__(
        self,
        told: Callable[[float], None],
        clock: Callable[[], float] = monotonic,
        worked: Callable[[], float] = thread_time,
    ) -> None:
        """`told` hears every lag, in seconds; `worked` is the processor time of this thread."""
        self._told = told
        self._clock = clock
        self._worked = worked
        self._worked_before = 0.0
        self._due = 0.0
        self._longest: deque[float] = deque([0.0], maxlen=SLICES)
        self._longest_work: deque[float] = deque([0.0], maxlen=SLICES)
        self._slice_ends = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def longest_s(self) -> float:
        """The longest lag of the last five minutes."""
        return max(self._longest)

    @property
    def longest_work_s(self) -> float:
        """The longest of the last five minutes that the loop itself was at work while it was late:
        the rest of a lag was others' who share the machine."""
        return max(self._longest_work)

    def start(self) -> None:
        """Begin to measure the running loop."""
        now = self._clock()
        self._slice_ends = now + SLICE_S
        self._next(now)

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """The timer came."""
        now = self._clock()
        lag = max(now - self._due, 0.0)
        work = min(lag, self._worked() - self._worked_before)
        self._told(lag)
        while now >= self._slice_ends:
            self._longest.append(0.0)
            self._longest_work.append(0.0)
            self._slice_ends += SLICE_S
        self._longest[-1] = max(self._longest[-1], lag)
        self._longest_work[-1] = max(self._longest_work[-1], work)
        self._next(now)

    def _next(self, now: float) -> None:
        self._due = now + LOOK_EVERY_S
        self._worked_before = self._worked()
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self.look)
