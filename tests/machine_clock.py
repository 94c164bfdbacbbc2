"""Whether somebody set the clock of this machine a moment ago: servers say so then, and rightly."""

import time
from collections.abc import Callable

LINE = "^the clock was set (forward|back) by "
LATELY_S = 60.0
SET_S = 0.5


class MachineClock:
    """Compares the wall's clock with one that nobody sets, each time it is asked."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        """Both tell seconds."""
        self._wall = wall
        self._steady = steady
        self._ahead_s = wall() - steady()
        self._until_s = steady()

    def lines(self) -> tuple[str, ...]:
        """What servers may log now, as regular expressions."""
        now_s = self._steady()
        ahead_s = self._wall() - now_s
        if abs(ahead_s - self._ahead_s) >= SET_S:
            self._until_s = now_s + LATELY_S
        self._ahead_s = ahead_s
        return (LINE,) if now_s < self._until_s else ()


machine = MachineClock(time.time, time.monotonic)
