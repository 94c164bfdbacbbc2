"""One server's store on a shared database in memory: the model of `store/postgres`. The only place
that says in Python what two servers at once see of each other's batches.

What is due, and which names are locked for what may not be there yet, is decided by the same code
as on PostgreSQL; rows are found as the memory store finds them. Between two statements of a batch
others have their turn: a verb that has to wait raises `Later`, and is called again.
"""

from collections.abc import Callable, Container, Generator, Iterable
from random import Random
from typing import Any

import msgspec

from stepwell.server.engine.message.need import NOTHING, Need
from stepwell.server.engine.moment import PLACES
from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.name.lease_id import granted_tick
from stepwell.server.engine.row.run import Item, ItemKind, Lease, Run, WaitKind
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.store.lanes import LaneIndex
from stepwell.server.store.memory import MemoryReader, MemoryStore
from stepwell.server.store.port import (
    EVERY_NAME,
    CallState,
    Conflict,
    Stale,
    Unavailable,
)
from stepwell.server.store.postgres.claiming import Claimer
from stepwell.server.store.postgres.locks import locks_of, row_of_name, rows_of_names
from stepwell.server.store.postgres.presence import ALIVE_S
from stepwell.server.store.postgres.states import StatesGranted
from stepwell.server.store.postgres.waited_lately import WaitedLately
from stepwell.server.store.postgres.writing import changes_catalog, holds_calls
from stepwell.testing.simulation.faults import Fault, Unanswered
from stepwell.testing.simulation.shared.claims import Claims
from stepwell.testing.simulation.shared.cluster import SharedCluster
from stepwell.testing.simulation.shared.database import Database, Transaction
from stepwell.testing.simulation.shared.refusing import refuse_others
from stepwell.testing.simulation.shared.standing import Standing
from stepwell.testing.virtual_time import Later

LOCK_TIMEOUT_S = 3.0
LOCK_AGAIN_S = 0.003
BETWEEN_S = (0.0, 0.0005, 0.004, 0.3)

Talk = Generator[float, None, None]
"""A verb under way: it yields how long it waits before it goes on."""


class SharedStore(MemoryStore):
    """A store among others on one database."""

    commit_blocks = True
    is_shared = True

    def __init__(self, database: Database, node: str, chance: Random) -> None:
        """`node` is this server; `chance` draws when others have their turn."""
        super().__init__(database.disk)
        self._leases = database.leases
        self._lanes = LaneIndex(self._first_of_lane)
        self._database = database
        self._node = node
        self._chance = chance
        self._secrets: dict[tuple[str, str], bytes] = {}
        self._begun: Transaction | None = None
        self._talk: Talk | None = None
        self._batch: Changes | None = None
        self._catalog = 0
        self._tick = 0
        self._doubted: list[Lease] = []
        self._waited = WaitedLately(lambda: database.now_s)
        self._assumed: frozenset[str] = frozenset()
        self._unsure: frozenset[str] = frozenset()
        """Names for which nobody waits, as the batch goes by; and those of them of which nothing
        was made sure by now."""
        self._states: dict[str, CallState] = {}
        self._is_first = True
        self.is_over = False
        """Whether the process is gone, or let go of the database."""
        self.standing = Standing(database.plan, chance, lambda: database.now_s)
        self._others_here = SharedCluster(database, node, self._lanes)
        self.cluster = self._others_here
        self._claimer = Claimer(
            Claims(database, self._open),
            self._lanes,
            lambda row: self._item(row[0]),
            lambda row: self._lease(row[0]),
            self._see_locked,
            lambda: database.now_s,
        )

    @property
    def waited(self) -> Container[str]:
        """Others may begin to wait at any time."""
        return EVERY_NAME

    def migrate(self) -> None:
        """Begin to use the database."""
        self._is_first = self._database.arrive(self._node)
        self.say_alive()
        self._claimer.find_lanes()
        self.rollback()

    @property
    def ended_in_order(self) -> bool:
        """Whether whoever had the database before let go of it."""
        return self._is_first

    def catalog(self) -> Catalog:
        """Every registered app and function."""
        self._database.check()
        self._catalog = self._database.catalog
        return super().catalog()

    def say_alive(self) -> None:
        """What a server does every few seconds, unless it stands still."""
        if self._database.is_down or self._database.now_s < self.standing.until_s:
            return
        leads = self._database.say_alive(self._node)
        self._others_here.leads_until_s = self._database.now_s + ALIVE_S if leads else 0.0
        for lease in self._doubted:
            self._database.lose((lease.run_id, lease.key), lease.id)
        self._doubted.clear()

    # -- a transaction --------------------------------------------------------------------------

    def _open(self) -> Transaction:
        self._database.check()
        if self._begun is None:
            self._begun = self._database.begin(self._node)
        if self._begun.is_cut:
            raise Unavailable("the connection is lost")
        return self._begun

    def _go_on(self, begin: Callable[[], Talk]) -> None:
        """Begin a verb, or go on with it."""
        self.standing.check(may_begin=self._talk is None)
        try:
            begun = self._open()
            if self._talk is None:
                if self._database.plan.strikes(Fault.LOST_CONNECTION):
                    self._database.cut(begun)
                    self._open()
                self._talk = begin()
            begun.touched_s = self._database.now_s
            for wait_s in self._talk:
                raise Later(wait_s)
        except Later:
            raise
        except BaseException:
            self._talk = None
            raise
        self._talk = None

    def _others(self) -> Iterable[float]:
        """Others have their turn now, perhaps."""
        between = self._chance.choice(BETWEEN_S)
        return (between,) if between else ()

    def _take(self, kind: str, name: str | int, *, alone: bool = True) -> Talk:
        until_s, wait_s = self._database.now_s + LOCK_TIMEOUT_S, LOCK_AGAIN_S
        while not self._database.lock(self._open(), (kind, name), alone=alone):
            if self._database.now_s > until_s:
                raise Conflict("somebody else holds these rows for too long")
            yield wait_s
            wait_s *= 2

    def _take_run(self, run_id: str) -> Talk:
        """A run that is there by now is locked; one that is not, cannot be."""
        begun = self._open()
        if run_id in self.disk.runs and run_id not in begun.seen_runs:
            yield from self._take("run", run_id)
            begun.seen_runs.add(run_id)

    # -- what is assumed ------------------------------------------------------------------------

    def assume(self, need: Need, view: View) -> bool:
        """That nobody waits for events of a name is nearly always so."""
        if not self._waited.may_assume(need):
            return False
        for name in need.names:
            view.see_name(name, waited=False)
        self._assumed = self._unsure = need.names
        return True

    def _made_sure(self) -> Talk:
        """Have it be so that nobody waits, until the batch is over."""
        names, self._unsure = self._unsure, frozenset()
        if not names:
            return
        seen = self._open().seen
        for row in rows_of_names(names):
            yield from self._take("row", row, alone=False)
            seen.together.add(row)
        yield from self._others()
        begun = self._open()
        is_as_known = begun.is_alive and begun.catalog == self._catalog
        waited = super().waited
        if not is_as_known or any(name in waited for name in names):
            raise Conflict("somebody waits, or was first with something else")

    # -- load -----------------------------------------------------------------------------------

    def load(self, need: Need, view: View) -> None:
        """Fill the view with the rows of the need, and lock them."""
        if need is not NOTHING:
            self._go_on(lambda: self._loading(need, view))

    def _loading(self, need: Need, view: View) -> Talk:
        yield from self._made_sure()
        seen, locks = self._open().seen, locks_of(need)
        for row in locks.alone:
            if row not in seen.locked:
                yield from self._take("row", row)
                seen.locked.add(row)
        yield from self._others()
        for row in locks.together:
            if row not in seen.locked | seen.together:
                yield from self._take("row", row, alone=False)
                seen.together.add(row)
        unseen = sorted(run_id for run_id in need.runs if not view.sees_run(run_id))
        for run_id in unseen:
            yield from self._take_run(run_id)
        yield from self._others()
        self._tick = view.newest_tick
        self._see(msgspec.structs.replace(need, runs=frozenset(unseen)), view)
        view.newest_tick = self._tick
        begun = self._open()
        if begun.is_alive and begun.catalog != self._catalog:
            raise Stale("apps or functions were changed by another server")

    def _see(self, need: Need, view: View) -> None:
        seen = self._open().seen
        seen.keys |= {key: key in self.disk.keys for key in need.keys}
        seen.holds |= {key: key in self.disk.holds for key in need.holds}
        waited = super().waited
        self._waited.seen(name for name in need.names if name in waited)
        for name in need.names:
            view.see_name(name, name in waited)
        for run_id in {run_id for run_id, _ in need.steps}:
            places = (step.place for step in self.disk.steps.of(run_id))
            self._tick = max(self._tick, max(places, default=0) // PLACES)
        super().load(msgspec.structs.replace(need, lanes=(), due=None), view)
        if need.lanes:
            self._claimer.see_lanes(need.lanes, view)
        if need.due is not None:
            self._claimer.see_due(need.due, view)

    def _see_locked(self, need: Need, view: View) -> None:
        """What a claim chose, which is locked by then."""
        for run_id in need.runs:
            self._see_run(run_id, view)

    def _see_run(self, run_id: str, view: View) -> None:
        run = self.disk.runs.get(run_id)
        items = [self._item(item) for item in self.disk.items.of(run_id)]
        leases = [self._lease(lease) for lease in self._leases.of(run_id)]
        if run is not None:
            self._open().seen.runs[run_id] = run
        view.see_run(run_id, run, items, self.disk.waits.of(run_id), leases)

    def _item(self, item: Item) -> Item:
        place = item.detail.partition(b" ")[0]
        if item.kind is ItemKind.CALL and place.isdigit():
            self._tick = max(self._tick, int(place) // PLACES)
        slot = item.run_id, item.key
        self._open().seen.items.setdefault(slot, item)
        secret = self._secrets.get(slot)
        return msgspec.structs.replace(item, secret=secret) if secret else item

    def _lease(self, lease: Lease) -> Lease:
        self._tick = max(self._tick, granted_tick(lease.id) or 0)
        self._open().seen.leases.setdefault((lease.run_id, lease.key), lease)
        return lease

    def _leased(self, key: str) -> int:
        counts = (pair for lease in self._leases for pair in lease.counts)
        return sum(load for one, load in counts if one == key)

    # -- write ----------------------------------------------------------------------------------

    def write(self, changes: Changes) -> None:
        """Remember what is to be written: it goes with the commit."""
        self._batch = changes

    def commit(self) -> None:
        """Write and commit, in one piece."""
        changes = self._batch
        if changes is not None:
            self._go_on(lambda: self._committing(changes))

    def _committing(self, changes: Changes) -> Talk:
        yield from self._made_sure()
        begun = self._open()
        if begun.is_alive and begun.catalog != self._catalog:
            raise Stale("apps or functions were changed by another server")
        for run_id in sorted(changes.runs):
            yield from self._take_run(run_id)
        of_events = WaitKind.EVENT, WaitKind.CANCEL
        names = {wait.name for wait in changes.waits.values() if wait and wait.kind in of_events}
        for row in sorted({row_of_name(name) for name in names} - begun.seen.locked):
            yield from self._take("row", row)
        yield from self._others()
        self._open()
        refuse_others(self.disk, self._leases, begun.seen, changes)
        goes_by = changes_catalog(changes) or holds_calls(changes)
        if goes_by and self._database.catalog != self._catalog:
            raise Conflict("somebody else changed apps or functions first")
        if not begun.is_alive:
            raise Unavailable("other servers took this one for dead")
        granted = self._granted(begun, changes)
        self._database.put(changes, self._node)
        states = StatesGranted(self._told, changes, granted).states()
        self._catalog += changes_catalog(changes)
        self._database.end(begun)
        self._begun = self._batch = None
        if self._database.plan.strikes(Fault.UNANSWERED):
            self._doubted += [lease for lease in changes.leases.values() if lease is not None]
            raise Unanswered("the connection is lost, and nobody knows what was kept")
        self._assumed = frozenset()
        self._states = states

    def _granted(self, begun: Transaction, changes: Changes) -> dict[str, Run]:
        """The runs of the leases that a batch grants, by the ids of these."""
        known = begun.seen.runs | changes.runs | changes.started
        granted: dict[str, Run] = {}
        for (run_id, key), lease in changes.leases.items():
            had = begun.seen.leases.get((run_id, key))
            is_new = lease is not None and (had is None or had.id != lease.id)
            if lease is not None and is_new and run_id in known and run_id not in changes.ended:
                granted[lease.id] = known[run_id]
        return granted

    def _told(self, name: str, bytes_max: int, ids: list[str]) -> list[tuple[Any, ...]]:
        """What the statements of `StatesGranted` answer."""
        disk = self.disk
        if name == "bodies_within":
            bodies = [(one, disk.events[one].body) for one in ids if one in disk.events]
            return _within(bytes_max, bodies)
        steps = (sorted(disk.steps.of(one), key=lambda step: step.place) for one in ids)
        memos = [(step.run_id, step.id, step.memo) for of_run in steps for step in of_run]
        return _within(bytes_max, memos)

    def state_of(self, lease_id: str) -> CallState | None:
        """What the call of a lease that the last commit granted is told."""
        return self._states.pop(lease_id, None)

    def confirm(self) -> None:
        """Let go of what was loaded."""
        if self._unsure or self._talk is not None:
            self._go_on(self._made_sure)
        self._assumed = frozenset()
        self.rollback()

    def rollback(self) -> None:
        """Forget what was begun. Of what was assumed for it, it is looked the next time."""
        self._waited.seen(self._assumed)
        self._assumed = self._unsure = frozenset()
        self._talk = self._batch = None
        if self._begun is not None:
            self._database.end(self._begun)
            self._begun = None

    def keep(self, changes: Changes) -> None:
        """Remember lanes, and what is never written."""
        self._claimer.bound.keep(changes)
        for slot, item in changes.items.items():
            if item is not None and item.secret:
                self._secrets[slot] = item.secret
            else:
                self._secrets.pop(slot, None)
            if item is not None and is_lane(item.queue):
                self._lanes.added(item.queue, item.due_ms)
        self._lanes.keep(changes)
        self._others_here.committed(changes)

    # -- beginning and end ----------------------------------------------------------------------

    def reader(self) -> MemoryReader:
        """A read side of this server."""
        return SharedReader(self._database, self.standing)

    def die(self) -> None:
        """The process is gone: the database sees its connections end."""
        self.is_over = True
        self._database.forget(self._node)
        self.rollback()

    def close(self) -> None:
        """Let go of the database, and of what was leased."""
        self.is_over = True
        self.rollback()
        self._database.leave(self._node)


class SharedReader(MemoryReader):
    """What is committed, if the database can be reached."""

    blocks = True

    def __init__(self, database: Database, standing: Standing) -> None:
        super().__init__(database.disk, database.leases)
        self._database = database
        self._standing = standing

    def call_states(self, runs: "Iterable[Run]") -> dict[str, CallState]:
        """What calls of these runs are told."""
        self._standing.check()
        self._database.check()
        return dict(super().call_states(tuple(runs)))


def _within(bytes_max: int, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows, with None in place of a last column that is beyond so many bytes of all."""
    found: list[tuple[Any, ...]] = []
    total = 0
    for *names, value in rows:
        total += len(value)
        found.append((*names, value if total <= bytes_max else None))
    return found
