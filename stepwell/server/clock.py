"""The clock port: where the server asks what time it is. Tests give it virtual time."""

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Wall time, in milliseconds since the Unix epoch."""

    def now_ms(self) -> int:
        """The time now."""
        ...


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class SystemClock:
    """The machine's clock, without its jumps: wall time as it was, and goes on steadily, until
    somebody has it follow (`follow`). So that whoever is at work has the time it was given."""

    def __init__(
        self, wall_ms: Callable[[], int] = _wall_ms, steady_ms: Callable[[], int] = _steady_ms
    ) -> None:
        """Where wall time and steady time come from, in milliseconds."""
        self._wall_ms = wall_ms
        self._steady_ms = steady_ms
        self._offset_ms = wall_ms() - steady_ms()

    def now_ms(self) -> int:
        """The time now."""
        return self._steady_ms() + self._offset_ms

    def drift_ms(self) -> int:
        """How far the machine's clock is ahead of this one."""
        return self._wall_ms() - self.now_ms()

    def follow(self, by_ms: int) -> None:
        """Go on from where the machine's clock is."""
        self._offset_ms += by_ms
