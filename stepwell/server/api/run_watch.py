"""Requests that wait for the end of a run: the only place that keeps them.

Hearing is a kindness, not a promise: who waits looks again when time is up.
"""

import asyncio
from collections import defaultdict


class RunWatch:
    """Wakes whoever waits for a run when its end is announced."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self.released = False
        """Nobody waits any more."""

    def hear(self, run_id: str) -> None:
        """A run has ended."""
        for future in self._waiting.pop(run_id, ()):
            _wake(future)

    async def until(self, run_id: str, seconds: float) -> None:
        """Return when the run's end was announced, time is up, or the server stops."""
        if self.released:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[run_id].add(future)
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            waiting = self._waiting.get(run_id)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiting[run_id]

    def release(self) -> None:
        """Let everybody go, now and from now on."""
        self.released = True
        for run_id in list(self._waiting):
            self.hear(run_id)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
