"""Looks whether somebody set the clock, and absorbs it: the only place that does.

What is stored is due by wall time, and is done when the wall says so. What only this process knows
(who has what until when, what is due within the hour) has the time it was given: the machine may
have been asleep, or its clock wrong.
"""

import asyncio
import logging
from collections.abc import Callable

from stepwell.server.clock import SystemClock
from stepwell.server.ledger import Ledger

LOOK_EVERY_S = 1.0
DRIFT_MS = 20
JUMP_MS = 1_000

log = logging.getLogger("stepwell.clock")

Moved = Callable[[int], None]


class ClockWatch:
    """One per node."""

    def __init__(
        self, clock: SystemClock, ledger: Ledger, moved: Moved, wake: Callable[[], None]
    ) -> None:
        """`moved` is told by how many milliseconds the clock moves, before anybody sees it; `wake`
        is called after it did."""
        self._clock = clock
        self._ledger = ledger
        self._moved = moved
        self._wake = wake
        self._task: asyncio.Task[None] | None = None
        self.jumps = 0

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """Follow the machine's clock, if it went another way."""
        if abs(self._clock.drift_ms()) >= DRIFT_MS:
            # What a batch under way decides about is in the time as it was.
            self._ledger.between(self._follow)

    def _follow(self) -> None:
        drift_ms = self._clock.drift_ms()
        if abs(drift_ms) < DRIFT_MS:
            return
        if abs(drift_ms) >= JUMP_MS:
            self.jumps += 1
            way = "forward" if drift_ms > 0 else "back"
            log.warning(
                "the clock was set %s by %.1f s: leases and short waits go on, what is stored is"
                " due by the new time",
                way,
                abs(drift_ms) / 1000,
            )
        self._moved(drift_ms)
        self._clock.follow(drift_ms)
        self._wake()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()
