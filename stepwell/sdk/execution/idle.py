"""Decides when a handler of several tasks is idle: nothing it needs moves, or can without a step.

The only place that knows how long to watch. Law: without the world, the same handler is idle at the
same points in every call; nothing here sleeps unless the handler itself waits for the world.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from stepwell.sdk.execution.waiting import Survey

ROUNDS = 3
"""How often nothing must have moved: the callbacks of a future that is done take one round each."""
PATIENCE_SECONDS = 5.0
"""How long a handler that waits for new steps and for the world may take to meet more of them."""


class IdleWatch:
    """Calls `act` when the handler is idle, after `soon` was called.

    `look` surveys the handler's tasks, None if there is nothing to decide.
    """

    def __init__(self, look: Callable[[], Survey | None], act: Callable[[], None]) -> None:
        self._look = look
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._due = False
        self._moves = 0
        self._moves_seen = -1
        self._quiet_rounds = 0
        self._rounds_wanted = 0
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked: set[asyncio.Future[Any]] = set()

    def moved(self) -> None:
        """A task of the handler was resumed."""
        self._moves += 1

    def soon(self) -> None:
        """Something has changed: look once the loop has gone round."""
        if not self._due:
            self._due = True
            self._loop.call_soon(self._check)

    def progressed(self) -> None:
        """The handler met a step: its patience begins anew."""
        self._deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.soon()

    def stop(self) -> None:
        """Look no more, and hold nobody who asked to."""
        self._due = True
        self._look = _nothing
        self._act = _nothing
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        self._due = False
        if 0 < self._quiet_rounds < self._rounds_wanted and self._moves == self._moves_seen:
            # What was seen holds until a task moves; the next look is the one that counts.
            self._quiet_rounds += 1
            self.soon()
            return
        found = self._look()
        if found is None:
            self._quiet_rounds = 0
            return
        self._rounds_wanted = ROUNDS + found.depth
        if self._moves != self._moves_seen:
            self._moves_seen = self._moves
            self._quiet_rounds = 0
        impatient = self._is_impatient()
        if found.moving and not impatient:
            self.soon()
        elif found.world and not impatient:
            self._wait_for(found.world)
        elif self._quiet_rounds < self._rounds_wanted:
            self._quiet_rounds += 1
            self.soon()
        else:
            self._quiet_rounds = 0
            self._asked.clear()
            self._act()

    def _is_impatient(self) -> bool:
        now = self._loop.time()
        if self._deadline is None:
            self._deadline = now + PATIENCE_SECONDS
        return now >= self._deadline

    def _wait_for(self, world: list[asyncio.Future[Any]]) -> None:
        for future in world:
            if future not in self._asked:
                self._asked.add(future)
                future.add_done_callback(self._world_moved)
        if self._timer is None:
            assert self._deadline is not None
            self._timer = self._loop.call_at(self._deadline, self.soon)

    def _world_moved(self, _: asyncio.Future[Any]) -> None:
        self.soon()


def _nothing() -> None:
    """There is nothing to decide any more."""
