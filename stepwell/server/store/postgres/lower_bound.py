"""From when on a claim looks for what is due: the only place that decides to look at less than
everything.

What was done leaves its entry in the index until no transaction could see it any more. Whoever
looks from the beginning of a queue passes all of these, which takes longer and longer while
somebody sits in a transaction. So most claims begin a little before the oldest that was there when
everything was looked at last; from time to time, everything is looked at again. Nothing depends on
the bound but how soon something is found that others put before it.
"""

from typing import Final

from stepwell.server.engine.state.changes import Changes

LEASES: Final = "\x1d"
"""Leases have a bound, too: this is no name of a queue."""
WHOLE_MS: Final = 1_000
"""So often all of a queue is looked at."""
WHOLE_SHARE: Final = 40
"""The time between two such looks is at least so many times that of a look."""
MARGIN_MS: Final = 10_000
"""What others put may be so much older: their clocks differ, their transactions take time."""


class LowerBound:
    """The bounds of the queues of one process."""

    def __init__(self) -> None:
        self._since_ms: dict[str, int] = {}
        self._whole_at_ms: dict[str, int] = {}
        self._now_ms = 0

    def of(self, queue: str, now_ms: int) -> int:
        """From which time on what is due in a queue is to be looked for; 0 means all of it."""
        if now_ms < self._now_ms:
            self.forget()
        self._now_ms = now_ms
        return 0 if now_ms >= self._whole_at_ms.get(queue, 0) else self._since_ms[queue]

    def looked(self, queue: str, oldest_ms: int | None, now_ms: int, took_ms: float) -> None:
        """All of a queue was looked at: the oldest that was found, and how long it took. What is
        put into a queue may be due by then; leases end later, and so does what is looked for."""
        if oldest_ms is None or queue != LEASES:
            oldest_ms = now_ms if oldest_ms is None else min(oldest_ms, now_ms)
        self._since_ms[queue] = max(oldest_ms - MARGIN_MS, 1)
        self._whole_at_ms[queue] = now_ms + max(WHOLE_MS, int(WHOLE_SHARE * took_ms))

    def keep(self, changes: Changes) -> None:
        """A batch of this process was kept."""
        for item in changes.items.values():
            if item is not None:
                self.added(item.queue, item.due_ms)
        for lease in changes.leases.values():
            if lease is not None:
                self.added(LEASES, lease.until_ms)

    def added(self, queue: str, due_ms: int) -> None:
        """This process put something there."""
        if due_ms < self._since_ms.get(queue, 0):
            self._since_ms[queue] = max(due_ms, 1)

    def forget(self) -> None:
        """Look at all of every queue the next time."""
        self._since_ms.clear()
        self._whole_at_ms.clear()
