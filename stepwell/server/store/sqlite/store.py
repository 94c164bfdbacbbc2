"""The store on SQLite: one file, one process, one writer. The only place that owns a transaction.

Loading, writing and keeping happen on one thread; a commit that waits for the disk may happen on
another. Decisions behind this: docs/decisions/003 to 005.
"""

import logging
import os
import sqlite3
from collections.abc import Container
from pathlib import Path

from stepwell.server.engine.message.need import NOTHING, Need
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.flow_state import KINDS
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import CallState, StoreError, Unstorable
from stepwell.server.store.row import app_of, function_of, key_of
from stepwell.server.store.sqlite.connection import (
    SQL,
    Durability,
    make_private,
    open_writer,
    wait_no_more,
)
from stepwell.server.store.sqlite.ending import begin, end
from stepwell.server.store.sqlite.failure import in_our_words, translated
from stepwell.server.store.sqlite.file_lock import FileLock
from stepwell.server.store.sqlite.in_place import InPlace
from stepwell.server.store.sqlite.integrity import check_at_start, problems_of
from stepwell.server.store.sqlite.keeper import Keeper
from stepwell.server.store.sqlite.loading import Loader
from stepwell.server.store.sqlite.log_mark import LogMark
from stepwell.server.store.sqlite.memory import LIMITS, Limits, Memory
from stepwell.server.store.sqlite.migrating import migrate
from stepwell.server.store.sqlite.reader import SqliteReader
from stepwell.server.store.sqlite.recent import RunEntry
from stepwell.server.store.sqlite.writing import Writer

COMMIT_LOG_BYTES = 28_672
ROW_LOG_BYTES = 512
"""About what a commit, and each row in it, adds to the log: enough to know when to copy it back."""

log = logging.getLogger("stepwell.sqlite")


class SqliteStore:
    """A store in one file. Takes the file for this process, until `close`."""

    is_shared = False
    cluster = None

    def __init__(
        self, path: str | Path, *, durability: Durability = "full", limits: Limits = LIMITS
    ) -> None:
        """`path` of the database, made if there is none; `durability` as in `connection.py`;
        `limits` of what is held in memory.

        Raises `Unavailable` if the file is in use by another process or cannot be used, `Corrupt`
        if it is no database.
        """
        self.path = os.path.realpath(path)
        self.commit_blocks = durability == "full"
        self._lock = FileLock(self.path)
        try:
            make_private(self.path)
            self._db = open_writer(self.path, durability)
            self._mark = LogMark(self.path, is_synced=self.commit_blocks)
        except BaseException:
            self._lock.release()
            raise
        self.missing = self._mark.missing()
        """What was acknowledged and is in the log no more, as a sentence; empty if all is there."""
        if self.missing:
            log.error("%s", self.missing)
        self._touched: dict[str, RunEntry] = {}
        self._rows = 0
        self._writes = self._writes_before = 0
        """Transactions that were begun, and how many there were at the last tidying."""
        self._has_rested = False
        self._closed = False
        self._ended_in_order = True
        self._limits = limits
        self._parts: _Parts | None = None

    @property
    def waited(self) -> Container[str]:
        """Every event name somebody waits for."""
        return self._ready.memory.waited

    @property
    def _ready(self) -> "_Parts":
        """What works on a migrated database only, made when it is first asked for."""
        if self._parts is None:
            in_place = InPlace(self.path, self._lock.identity)
            self._parts = _Parts(self._db, self.path, self._limits, self._mark, in_place)
        return self._parts

    def migrate(self) -> None:
        """Bring the database to the schema of this version, or raise `Corrupt` if it is newer."""
        migrate(self._db, self.path)
        with in_our_words(self.path):
            self._ended_in_order = begin(self._db)
            if not self._ended_in_order:
                check_at_start(self._db, self.path)
            wait_no_more(self._db)

    @property
    def ended_in_order(self) -> bool:
        """Whether whoever had the database before closed it. Known after `migrate`."""
        return self._ended_in_order

    def problems(self) -> list[str]:
        """What is wrong with the file, as sentences. Reads all of it."""
        with in_our_words(self.path):
            return [*filter(None, (self.missing,)), *problems_of(self._db)]

    def catalog(self) -> Catalog:
        """Every registered app and function."""
        try:
            apps = [app_of(row) for row in self._db.execute(SQL["apps"])]
            functions = [function_of(row) for row in self._db.execute(SQL["functions"])]
            flow = [
                key_of(row)
                for kind in KINDS
                for row in self._db.execute(SQL["flow_keys"], (int(kind),))
            ]
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        return Catalog.of(apps, functions, flow)

    def newest_place(self) -> int:
        """The place of the step that was saved last: rows are added at the end."""
        try:
            found = self._db.execute(SQL["newest_place"]).fetchone()
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        return 0 if found is None else found[0]

    def load(self, need: Need, view: View) -> None:
        """Fill the view with the rows of the need."""
        if need is NOTHING:
            return
        try:
            self._ready.loader.load(need, view)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def write(self, changes: Changes) -> None:
        """Put the rows into a transaction of their own. Leases stay in memory."""
        if self._ready.in_place.gone:
            self._ready.in_place.check()
        self._writes += 1
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._touched, self._rows = self._ready.writer.write(changes)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        except (OverflowError, UnicodeEncodeError) as error:
            raise Unstorable(f"a value fits no row of {self.path}: {error}") from error

    def commit(self) -> None:
        """Make the written rows durable, and be sure that they can be found again."""
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        self._ready.in_place.check()
        self._mark.committed()

    def confirm(self) -> None:
        """Be sure that what was committed can be found again."""
        self._ready.in_place.check()

    def rollback(self) -> None:
        """Forget what was written since the last commit."""
        self._touched = {}
        self._rows = 0
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def keep(self, changes: Changes) -> None:
        """Remember what is due, who has it, and what was in use."""
        self._ready.memory.keep(changes, self._touched)
        if self._rows:
            self._ready.keeper.wrote(COMMIT_LOG_BYTES + ROW_LOG_BYTES * self._rows)
        self._touched = {}
        self._rows = 0

    def assume(self, need: Need, view: View) -> bool:
        """Never: to look costs nothing."""
        return False

    def state_of(self, lease_id: str) -> CallState | None:
        """Nothing: reading waits for nobody here."""

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """What is known in memory keeps its distance from now."""
        self._ready.memory.due.clock_moved(by_ms, now_ms)
        self._ready.memory.lanes.clock_moved()

    def reader(self) -> SqliteReader:
        """A read side of this store, safe from any thread."""
        memory = self._ready.memory
        return SqliteReader(
            self.path, memory.recent, memory.due.leases, self._ready.in_place, memory.live
        )

    def tidy(self) -> None:
        """Give some of the space that removed rows left back to the system, on another thread, and
        memory that was not in use since the last time. Call it between commits."""
        parts = self._ready
        parts.memory.recent.age()
        rests = self._writes == self._writes_before
        if rests and not self._has_rested:
            self._db.execute("PRAGMA shrink_memory")
            parts.keeper.trim()
        self._has_rested, self._writes_before = rests, self._writes
        parts.keeper.tidy()

    def close(self) -> None:
        """Let go of the database. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._parts is not None:
            self._parts.keeper.stop()
        try:
            self.rollback()
            end(self._db)
            self._mark.withdraw()
            self._db.close()
        except (sqlite3.Error, StoreError):
            # Everything answered is committed; the log is read again at the next start.
            pass
        finally:
            self._mark.close()
            self._lock.release()


class _Parts:
    """What is made once the schema is there."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        limits: Limits,
        mark: LogMark,
        in_place: InPlace,
    ) -> None:
        try:
            self.memory = Memory(connection, limits)
        except sqlite3.Error as error:
            raise translated(error, path) from error
        self.in_place = in_place
        self.loader = Loader(connection, self.memory)
        self.writer = Writer(connection, self.memory)
        self.keeper = Keeper(path, mark.emptying)
