"""What goes wrong again and again is told once and then counted: the only place that decides how
often the log hears of one thing. A full disk refuses thousands of requests, and a log that tells
of each fills what is left.
"""

import logging
import time
from collections.abc import Callable

TELL_EVERY_S = 60.0
KINDS_MAX = 100


class Repeated:
    """Tells a log."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._log = log
        self._clock = clock
        self._untold: dict[str, int] = {}
        self._told_s: dict[str, float] = {}

    def tell(self, level: int, kind: str, text: str) -> None:
        """Something went wrong. The first of a kind is told as it is, the next are counted, and the
        count is told once a minute, as long as there are more."""
        now = self._clock()
        if kind not in self._told_s:
            if len(self._told_s) >= KINDS_MAX:
                self.over()
            self._told_s[kind] = now
            self._untold[kind] = 0
            self._log.log(level, "%s", text)
            return
        self._untold[kind] += 1
        if now - self._told_s[kind] >= TELL_EVERY_S:
            self._log.log(level, "%s (and %d more like it)", text, self._untold[kind])
            self._told_s[kind] = now
            self._untold[kind] = 0

    def over(self) -> None:
        """It goes right again: what was counted and not told is told."""
        for kind, count in self._untold.items():
            if count:
                self._log.warning("over, after %d more: %s", count, kind)
        self._told_s.clear()
        self._untold.clear()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing went wrong lately."""
        return not self._told_s
