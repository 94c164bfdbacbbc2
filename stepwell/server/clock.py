"""The clock port: where the server asks what time it is. Tests give it virtual time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, in milliseconds since the Unix epoch."""

    def now_ms(self) -> int:
        """The time now."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """The time now."""
        return time.time_ns() // 1_000_000
