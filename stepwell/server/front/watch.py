"""Looks after the connections of the main port: who takes too long, and whether there is room.

One look a second for all of them, because a timer for each would cost every request.
"""

import asyncio
import logging
from typing import Protocol

from stepwell.server.descriptors import Reserve, is_descriptor_left
from stepwell.server.front.bounds import Bounds

TELL_EVERY_S = 30.0

log = logging.getLogger("stepwell.front")


class Watched(Protocol):
    """A connection that can be judged."""

    def judge(self, now: float) -> None:
        """End whatever took too long, by the clock of the loop."""
        ...


class Watch:
    """Every connection of one server's main port."""

    def __init__(self, bounds: Bounds) -> None:
        """`bounds` for each of them."""
        self.bounds = bounds
        self.connections: set[Watched] = set()
        self._turned_away = 0
        self._reserve = Reserve()
        self._was_short = False
        self._told: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Are more connections here than there may be?"""
        return len(self.connections) > self.bounds.connections

    @property
    def is_crowded(self) -> bool:
        """Is it time to close what rests?"""
        return len(self.connections) > self.bounds.connections * self.bounds.crowded

    def turned_away(self) -> None:
        """A connection was refused because there are too many."""
        self._turned_away += 1

    def took_the_last(self) -> bool:
        """Whether a connection that was just accepted has the last file descriptor there is, and
        must give it back. Then the reserve is given up, too: the next one gets that."""
        if is_descriptor_left():
            return False
        was_spent = self._reserve.is_spent
        self._reserve.spend()
        self._was_short = True
        return was_spent

    def start(self) -> None:
        """Begin to look."""
        self._reserve.hold()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._reserve.spend()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.bounds.look_every_s)
            try:
                self.look(loop.time())
            except Exception:
                # If nobody looked any more, nobody would notice before the way in is blocked.
                log.exception("looking after connections has a fault; it goes on")

    def look(self, now: float) -> None:
        """Judge every connection, and tell what an operator should know."""
        for connection in tuple(self.connections):
            connection.judge(now)
        if self._turned_away and self._may_tell("full", now):
            log.warning(
                "%d connections were refused: %d are open, the most there may be; raise"
                " --http-connections-max, or look who holds them",
                self._turned_away,
                self.bounds.connections,
            )
            self._turned_away = 0
        was_short, self._was_short = self._was_short, False
        if is_descriptor_left():
            self._reserve.hold()
        else:
            was_short = True
            self._reserve.spend()
        if was_short and self._may_tell("descriptors", now):
            log.error(
                "no file descriptor is left, so that new connections and files are refused: raise"
                " the limit (ulimit -n), or lower --http-connections-max and --queue-workers"
            )

    def _may_tell(self, what: str, now: float) -> bool:
        """Once in a while: a flood must not fill the log as well."""
        if now - self._told.get(what, -TELL_EVERY_S) < TELL_EVERY_S:
            return False
        self._told[what] = now
        return True
