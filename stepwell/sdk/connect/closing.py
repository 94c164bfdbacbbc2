"""How a worker ends: first what runs may finish, then the answers are to be confirmed.

It knows the times of that and nothing else; it never waits. Times are monotonic seconds.
"""

from typing import Final

SETTLE_TIMEOUT_S: Final = 30.0
"""How long a worker without work waits for its answers to be confirmed."""
TELL_WHAT_RUNS_EVERY_S: Final = 60.0
"""How often it is said what a closing worker waits for."""


class Closing:
    """The end of one worker, once it has begun."""

    def __init__(self, patience_s: float | None) -> None:
        """`patience_s`: how long what runs may go on; None without a limit."""
        self._patience_s = patience_s
        self._since: float | None = None
        self._settle_by: float | None = None
        self._tell_at: float | None = None

    @property
    def begun(self) -> bool:
        """Is the worker closing?"""
        return self._since is not None

    def begin(self, now: float) -> None:
        """The worker closes from now on."""
        self._since = now

    def wait_for_work(self, now: float) -> None:
        """It waits for what runs, and says so from time to time."""
        self._tell_at = now + TELL_WHAT_RUNS_EVERY_S

    def deadlines(self) -> list[float | None]:
        """When something is due; None for what has no time."""
        patience, since = self._patience_s, self._since
        ends = None if patience is None or since is None else since + patience
        return [self._settle_by, self._tell_at, ends]

    def patience_over(self, now: float) -> bool:
        """Has what runs had its time?"""
        patience, since = self._patience_s, self._since
        return patience is not None and since is not None and since + patience <= now

    def tell_due(self, now: float) -> bool:
        """Is it time to say what runs? Asked once, it is not for a while."""
        if self._tell_at is None or self._tell_at > now:
            return False
        self.wait_for_work(now)
        return True

    def settle(self, now: float) -> bool:
        """Nothing runs any more: only answers are waited for. True the first time."""
        self._tell_at = None
        if self._settle_by is not None:
            return False
        self._settle_by = now + SETTLE_TIMEOUT_S
        return True

    def settled(self, now: float) -> bool:
        """Are answers waited for no longer?"""
        return self._settle_by is not None and now >= self._settle_by
