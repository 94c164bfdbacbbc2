"""The connection on which batches are loaded and written, and the one transaction that is open on
it. The only place that begins, commits and rolls back."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from psycopg.pq import TransactionStatus

from stepwell.server.engine.row.run import Item, Lease, Run
from stepwell.server.store.port import Stale, Unavailable
from stepwell.server.store.postgres.connection import (
    BY_INDEX,
    SQL,
    Connection,
    connect,
    name_of,
    of_rows,
    set_to,
)
from stepwell.server.store.postgres.failure import in_our_words
from stepwell.server.store.postgres.locks import rows_of_names
from stepwell.server.store.postgres.piece import Answer, Piece

Slot: TypeAlias = tuple[str, str]

_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
"""Rows that are decided about are locked when they are looked at; what is looked at after a lock
must be what it protects, so every statement has a view of its own, whatever the database's own
setting is."""

_ALL_FOUND = b" SELECT 1 / (count(*) = %b::int8)::int4 FROM done"
"""Divides by zero where not all were found."""
_COMMIT = b"COMMIT"
_ROLLBACK = b"ROLLBACK"

_NEVER_IDLE = {"idle_in_transaction_session_timeout": "10s", "lock_timeout": "3s"}
"""A process that stands still in the middle of a batch lets go of its rows, and none waits for ever
for those of another."""
_NOT_SYNCED = {"synchronous_commit": "off"}

_PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan"}
"""Most statements take a list of ids: for a short one the database would rather plan anew each
time, which takes longer than to carry it out."""
PLANS_KEPT_S = 10.0
"""So long, in seconds, a plan is kept: it may be one for tables that were nearly empty."""
_FORGET_PLANS = b"DISCARD PLANS"


@dataclass(slots=True)
class Seen:
    """Rows as the transaction found them first: what is written to them says so, and is a conflict
    if they are others by then."""

    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    items: dict[Slot, Item] = field(default_factory=dict[Slot, Item])
    leases: dict[Slot, Lease] = field(default_factory=dict[Slot, Lease])
    keys: dict[str, bool] = field(default_factory=dict[str, bool])
    holds: dict[str, bool] = field(default_factory=dict[str, bool])
    """Keys and holds that were looked for, and whether they were there."""
    locked: set[int] = field(default_factory=set[int])
    together: set[int] = field(default_factory=set[int])
    """Rows of `lock` that are locked alone, and together with others."""


class Session:
    """One connection, made anew when it was lost."""

    def __init__(self, url: str, node: str, *, is_synced: bool = True) -> None:
        """`node` is the process that has the database; `is_synced` says that a commit waits until
        it is on the database's disk.

        Raises `Unavailable`.
        """
        self._settings = _NEVER_IDLE | _PLANNED_ONCE | ({} if is_synced else _NOT_SYNCED)
        self.name = name_of(url)
        self.seen = Seen()
        self._url = url
        self._node = node
        self._db = self._connected()
        self._piece = Piece(self._db)
        self._begun = False
        self._held: Answer | None = None
        self._is_alive = True
        self._plan_at_s = time.monotonic() + PLANS_KEPT_S
        self.assumed: frozenset[str] = frozenset()
        """Names of events for which nobody waits, as the transaction goes by and has not seen."""
        self.catalog = -1
        """How often apps and functions had changed when they were read."""
        self.changes_catalog = False
        """Whether the transaction changes them."""

    @property
    def connection(self) -> Connection:
        """The connection, for what is asked outside of a transaction."""
        if self._db.closed and not self._begun:
            self._db = self._connected()
            self._piece = Piece(self._db)
        return self._db

    @property
    def is_connected(self) -> bool:
        """Whether it has its connection: to make a new one may take seconds."""
        return not self._db.closed

    def _connected(self) -> Connection:
        db = connect(self._url)
        if not db.is_pooled:
            with in_our_words(self.name):
                db.execute(set_to(self._settings))
        return db

    def ask(self, name: str, *wanted: object) -> Answer:
        """What a statement of ours answers, in the transaction. All that is asked goes to the
        database together as soon as one of the answers is looked at."""
        return self._piece_begun().ask(SQL[name], wanted)

    def ask_named(self, name: str, wanted: Mapping[str, object]) -> Answer:
        """The same, for a statement whose parameters have names."""
        return self._piece_begun().ask(SQL[name], wanted)

    def ask_all(self, name: str, count: int, *wanted: object) -> None:
        """The same, and it is a conflict if it changes another number of rows: the database finds
        that out, so that what follows need not wait for the answer."""
        self._ask_all(SQL[name], (*wanted, count))

    def ask_rows(self, name: str, rows: Sequence[Sequence[object]]) -> Answer:
        """The same, for a statement whose parameters are the columns of rows, at least one."""
        return self._piece_begun().ask(*of_rows(name, rows))

    def find_rows(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        """The same, and it is a conflict if it changes another number of rows than these."""
        statement, wanted = of_rows(name, rows)
        self._ask_all(statement, (*wanted, len(rows)))

    def _ask_all(self, statement: bytes, wanted: Sequence[object]) -> None:
        self._piece_begun().ask(
            b"WITH done AS (" + statement + b" RETURNING 1)" + _ALL_FOUND, wanted
        )

    def _piece_begun(self) -> Piece:
        if not self._begun:
            _ = self.connection
            self._begun = True
            self._piece.ask(_BEGIN)
            if self._db.is_pooled:
                self._piece.ask(set_to(BY_INDEX | self._settings, once=True))
            elif (now_s := time.monotonic()) >= self._plan_at_s:
                self._plan_at_s = now_s + PLANS_KEPT_S
                self._piece.ask(_FORGET_PLANS)
            self._held = self._piece.ask(SQL["node_held"], (self._node,))
        return self._piece

    def send(self) -> None:
        """Do what was asked by now."""
        self._piece.send()

    def check(self) -> None:
        """Look, once in a transaction, whether this process and what it knows still stand.

        Raises `Stale` where another process changed apps or functions.
        """
        self._piece_begun()
        if self._held is None:
            return
        row = self._held.first()
        self._held = None
        self._is_alive = row is not None
        if row is not None and row[0] != self.catalog:
            raise Stale(f"apps or functions of {self.name} were changed by another server")

    def make_sure(self) -> None:
        """Have what the transaction goes by without a look be so: it is a conflict if it is not,
        found out by the database. Nothing was asked before."""
        names, self.assumed = sorted(self.assumed), frozenset()
        self._piece_begun()
        self._held = None
        self._is_alive = True
        self.look_again()
        self.ask("lock_together", rows_of_names(names))
        self.ask("nobody_waits", names)

    def look_again(self) -> None:
        """Have the database find out that apps and functions are as they are known by now: it is a
        conflict if they are not."""
        self.ask("node_as_known", self.catalog, self._node)

    def commit(self) -> None:
        """End the transaction, and keep what it wrote.

        Raises `Conflict` where rows are others than were seen; `Unavailable` where nobody can tell
        whether it was kept, and where this process was taken for dead meanwhile: then nothing is.
        """
        if not self._is_alive:
            raise Unavailable(
                f"other servers on {self.name} took this one for dead: it did not say in time that"
                " it is alive"
            )
        changed = self.changes_catalog
        self._end(_COMMIT)
        self.catalog += changed

    def rollback(self) -> None:
        """End the transaction, and forget what it wrote. A lost connection has done so."""
        self._piece.forget()
        self._held = None
        if self._db.closed or self._db.info.transaction_status is TransactionStatus.IDLE:
            self._begun = False
            self._forget()
        else:
            self._end(_ROLLBACK)

    def _end(self, statement: bytes) -> None:
        if not self._begun:
            return
        self._held = None
        with in_our_words(self.name):
            done = self._piece.ask(statement).tag
        self._begun = False
        self._forget()
        if done != statement:
            raise Unavailable(f"{self.name} did not keep what was written: {done.decode()}")

    def _forget(self) -> None:
        self.seen = Seen()
        self.changes_catalog = False
        self.assumed = frozenset()

    def close(self) -> None:
        """Let go of the connection."""
        self._db.close()
