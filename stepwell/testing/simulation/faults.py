"""Faults by name, and where they strike. The only place that pretends what can go wrong around the
engine: a store that dies, refuses or dawdles, actions that get lost, replies that come late, twice
or never. What strikes when is drawn from a seed.
"""

from collections.abc import Callable, Container, Sequence
from enum import StrEnum
from random import Random

from stepwell.server.engine.message.action import Action
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.runtime.perform import Performer
from stepwell.server.store.port import (
    CallState,
    Cluster,
    Conflict,
    Reader,
    Store,
    StoreError,
    Unavailable,
)


class Fault(StrEnum):
    """Everything that can be made to go wrong."""

    CRASH_BEFORE_WRITE = "crash-before-write"
    CRASH_BEFORE_COMMIT = "crash-before-commit"
    CRASH_AFTER_COMMIT = "crash-after-commit"
    CRASH_AFTER_ANSWER = "crash-after-answer"
    CONFLICT = "conflict"
    REFUSED = "refused"
    SLOW_COMMIT = "slow-commit"
    LOST_ACTIONS = "lost-actions"
    LOST_CALL = "lost-call"
    LOST_REPLY = "lost-reply"
    REPEATED_REPLY = "repeated-reply"
    LATE_REPLY = "late-reply"
    LOST_WORKER = "lost-worker"
    VANISHED_CALL = "vanished-call"
    CLOCK_SET = "clock-set"
    PAUSED = "paused"
    LOST_CONNECTION = "lost-connection"
    UNANSWERED = "unanswered"
    LOST_HINT = "lost-hint"
    REPEATED_HINT = "repeated-hint"
    TWO_LEADERS = "two-leaders"
    OLD_LOOK = "old-look"


CRASHES = frozenset(
    {
        Fault.CRASH_BEFORE_WRITE,
        Fault.CRASH_BEFORE_COMMIT,
        Fault.CRASH_AFTER_COMMIT,
        Fault.CRASH_AFTER_ANSWER,
    }
)


SHARED = frozenset(
    {
        Fault.PAUSED,
        Fault.LOST_CONNECTION,
        Fault.UNANSWERED,
        Fault.LOST_HINT,
        Fault.REPEATED_HINT,
        Fault.TWO_LEADERS,
        Fault.OLD_LOOK,
    }
)
"""What can befall servers that share a database: one stands still, loses its connection, is not
told whether a commit was kept, hears nothing of others, thinks that it leads, or looks at rows as
they were a moment ago."""


class Unanswered(Unavailable):
    """The commit was kept, and whoever asked for it is not told."""


class Crashed(StoreError):
    """The process is gone. Whoever still hears this is a ghost."""


class Plan:
    """Which faults strike how often. `strikes` draws; a plan that is over strikes never."""

    def __init__(self, chance: Random, odds: dict[Fault, float]) -> None:
        """`odds` between 0 and 1, per opportunity; what is not named never strikes."""
        self._chance = chance
        self._odds = odds
        self.struck: dict[Fault, int] = {}
        self.over = False

    def strikes(self, fault: Fault) -> bool:
        """Whether it happens now."""
        odds = self._odds.get(fault, 0.0)
        if self.over or not odds or self._chance.random() >= odds:
            return False
        self.struck[fault] = self.struck.get(fault, 0) + 1
        return True


class FaultyStore:
    """Any store, with faults around each of its verbs. After a crash it answers nothing more."""

    def __init__(
        self,
        inner: Store,
        plan: Plan,
        *,
        crashed: Callable[[], None],
        committed: Callable[[Changes], None],
        kept: Callable[[Changes], None],
    ) -> None:
        """`crashed` is told once that the process is gone; `committed`, what each commit changed,
        even if the process died over it; `kept`, the same once the store knows of it. A shared
        store has it in its rows at once."""
        self.inner = inner
        self.dead = False
        self._plan = plan
        self._crashed = crashed
        self._committed = committed
        self._kept = kept
        self._written: Changes | None = None

    @property
    def commit_blocks(self) -> bool:
        """Whether this commit is done beside the loop: drawn anew for every commit."""
        return self._plan.strikes(Fault.SLOW_COMMIT)

    @property
    def is_shared(self) -> bool:
        """As the store's own."""
        return self.inner.is_shared

    @property
    def cluster(self) -> Cluster | None:
        """As the store's own."""
        return self.inner.cluster

    @property
    def waited(self) -> Container[str]:
        """Every event name somebody waits for."""
        return self.inner.waited

    def die(self) -> None:
        """The process is gone."""
        if not self.dead:
            self.dead = True
            self._crashed()

    def _strike(self, fault: Fault) -> None:
        if self._plan.strikes(fault):
            self.die()
        self._check()

    def _check(self) -> None:
        if self.dead:
            raise Crashed("the process is gone")

    def migrate(self) -> None:
        """As the store's own."""
        self.inner.migrate()

    def catalog(self) -> Catalog:
        """As the store's own."""
        return self.inner.catalog()

    @property
    def ended_in_order(self) -> bool:
        """As the store's own."""
        return self.inner.ended_in_order

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """As the store's own."""
        self.inner.clock_moved(by_ms, now_ms)

    def newest_place(self) -> int:
        """As the store's own."""
        return self.inner.newest_place()

    def load(self, need: Need, view: View) -> None:
        """As the store's own."""
        self._check()
        self.inner.load(need, view)

    def write(self, changes: Changes) -> None:
        """Write, or die before it, or refuse."""
        self._strike(Fault.CRASH_BEFORE_WRITE)
        if self._plan.strikes(Fault.CONFLICT):
            raise Conflict("somebody else changed the same rows")
        if self._plan.strikes(Fault.REFUSED):
            raise Unavailable("the disk is full")
        self.inner.write(changes)
        self._written = changes

    def commit(self) -> None:
        """Commit, or die on either side of it."""
        self._strike(Fault.CRASH_BEFORE_COMMIT)
        try:
            self.inner.commit()
        except Unanswered:
            self._tell()
            raise
        self._tell()
        self._strike(Fault.CRASH_AFTER_COMMIT)

    def _tell(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            self._committed(written)
            if self.is_shared:
                self._kept(written)

    def confirm(self) -> None:
        """As the store's own."""
        self.inner.confirm()

    def rollback(self) -> None:
        """As the store's own."""
        self._written = None
        if not self.dead:
            self.inner.rollback()

    def keep(self, changes: Changes) -> None:
        """As the store's own; then the rows are judged."""
        self._check()
        self.inner.keep(changes)
        if not self.is_shared:
            self._kept(changes)

    def assume(self, need: Need, view: View) -> bool:
        """As the store's own."""
        return self.inner.assume(need, view)

    def state_of(self, lease_id: str) -> CallState | None:
        """As the store's own."""
        return self.inner.state_of(lease_id)

    def reader(self) -> Reader:
        """As the store's own."""
        return self.inner.reader()

    def tidy(self) -> None:
        """Nothing to give back."""

    def close(self) -> None:
        """As the store's own."""
        self.dead = True
        self.inner.close()


class FaultyPerformer(Performer):
    """Actions, some of which get lost; sometimes with the whole process."""

    def __init__(self, plan: Plan, die: Callable[[], None]) -> None:
        super().__init__()
        self._plan = plan
        self._die = die

    def perform(self, actions: Sequence[Action]) -> None:
        """Perform, or lose them all."""
        if self._plan.strikes(Fault.CRASH_AFTER_ANSWER):
            self._die()
        elif not self._plan.strikes(Fault.LOST_ACTIONS):
            super().perform(actions)
