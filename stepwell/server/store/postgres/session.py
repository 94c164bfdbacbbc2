"""The connection on which batches are loaded and written, and the one transaction that is open on
it. The only place that begins, commits and rolls back."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg

from stepwell.server.engine.row import Item, Lease, Run
from stepwell.server.store.port import Unavailable
from stepwell.server.store.postgres.connection import SQL, Connection, connect, name_of
from stepwell.server.store.postgres.failure import in_our_words

Slot: TypeAlias = tuple[str, str]

_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
"""Rows that are decided about are locked when they are looked at; what is looked at after a lock
must be what it protects, so every statement has a view of its own, whatever the database's own
setting is."""

_NEVER_IDLE = b"SET idle_in_transaction_session_timeout = '10s'"
"""A process that stands still in the middle of a batch lets go of its rows."""
_NOT_SYNCED = b"; SET synchronous_commit = off"


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


class Session:
    """One connection, made anew when it was lost."""

    def __init__(self, url: str, node: str, *, is_synced: bool = True) -> None:
        """`node` is the process that has the database; `is_synced` says that a commit waits until
        it is on the database's disk.

        Raises `Unavailable`.
        """
        self._settings = _NEVER_IDLE if is_synced else _NEVER_IDLE + _NOT_SYNCED
        self.name = name_of(url)
        self.seen = Seen()
        self._url = url
        self._node = node
        self._db = self._connected()
        self._begun = False
        self._held: psycopg.Cursor[tuple[Any, ...]] | None = None

    @property
    def connection(self) -> Connection:
        """The connection, outside of a transaction unless one was begun."""
        if self._db.closed and not self._begun:
            self._db = self._connected()
        return self._db

    def _connected(self) -> Connection:
        db = connect(self._url)
        with in_our_words(self.name):
            db.execute(self._settings)
        return db

    def begun(self) -> Connection:
        """The connection, in a transaction. Within a pipeline it costs no round trip."""
        db = self.connection
        if not self._begun:
            db.execute(_BEGIN)
            self._begun = True
            self._held = db.execute(SQL["node_held"], (self._node,))
        return db

    def commit(self) -> None:
        """End the transaction, and keep what it wrote.

        Raises `Unavailable` where nobody can tell whether it was kept, and where this process was
        taken for dead meanwhile: then nothing is.
        """
        if self._held is not None and self._held.fetchone() is None:
            raise Unavailable(
                f"{self.name} was taken over: this server did not say in time that it is alive."
                " Nothing more is accepted; start it again"
            )
        self._end(b"COMMIT")

    def rollback(self) -> None:
        """End the transaction, and forget what it wrote. A lost connection has done so."""
        if self._db.closed:
            self._begun, self._held = False, None
            self.seen = Seen()
            return
        self._end(b"ROLLBACK")

    def _end(self, statement: bytes) -> None:
        if not self._begun:
            return
        self._held = None
        with in_our_words(self.name):
            self._db.execute(statement)
        self._begun = False
        self.seen = Seen()

    def close(self) -> None:
        """Let go of the connection."""
        self._db.close()
