"""A SQLite file as what is copied from, and as what is copied to.

There a run and its main item are one row, and steps name the row of their run by its number.
"""

import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from stepwell.server.engine.row.run import MAIN
from stepwell.server.store.port import Corrupt, Unavailable
from stepwell.server.store.row import Values, item_of, item_values, main_of, main_values
from stepwell.server.store.sqlite.connection import (
    keep_log,
    make_private,
    open_reader,
    open_unshared,
)
from stepwell.server.store.sqlite.failure import in_our_words
from stepwell.server.store.sqlite.file_lock import FileLock
from stepwell.server.store.sqlite.log_mark import LogMark
from stepwell.server.store.sqlite.migrating import check_schema, migrate
from stepwell.server.store.transfer.tables import Table, otherwise

OTHERWISE = {
    "event": otherwise("seq"),
    "run": otherwise("seq due_ms queue main"),
    "run_event": otherwise("run", without="run_id"),
    "step": otherwise("run", without="run_id"),
    "audit": otherwise("seq"),
}
NOT_COPIED = frozenset({"schema_version"})

_FROM = {
    "run_event": "run_event JOIN run ON run.seq = run_event.run",
    "step": "step JOIN run ON run.seq = step.run",
}
_RUN_ID = "run.id"
_SEQ_OF_RUN = "(SELECT seq FROM run WHERE id = ?)"
_MAINS = "SELECT id, due_ms, queue, main FROM run WHERE due_ms IS NOT NULL"
_INSERT = "INSERT INTO"
_COUNT = "SELECT count(*) FROM"
_MAIN_COUNT = "SELECT count(*) FROM run WHERE due_ms IS NOT NULL"
_PUT_MAIN = "UPDATE run SET due_ms = ?, queue = ?, main = ? WHERE id = ?"
_BESIDE = ("", "-wal", "-shm", "-journal", ".mark")


class SqliteRows:
    """The rows of a file."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self._db = connection

    def count(self, table: Table) -> int:
        """How many rows there are to copy, main items among the items."""
        with in_our_words(self.name):
            (count,) = self._db.execute(f"{_COUNT} {table.name}").fetchone()
            if table.name == "item":
                count += self._db.execute(_MAIN_COUNT).fetchone()[0]
        return int(count)

    def rows(self, table: Table) -> Generator[Values]:
        """The rows of a table, one by one."""
        with in_our_words(self.name):
            yield from self._db.execute(_reading(table))
            if table.name == "item":
                for row in self._db.execute(_MAINS):
                    yield item_values(main_of(row))

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        """Write the rows of a table."""
        with in_our_words(self.name):
            self._db.execute("BEGIN")
            if table.name == "item":
                self._put_items(table, rows)
            else:
                self._db.executemany(_writing(table), rows)
            self._db.execute("COMMIT")

    def _put_items(self, table: Table, rows: Iterable[Values]) -> None:
        put = _writing(table)
        for row in rows:
            item = item_of(row)
            if item.key != MAIN:
                self._db.execute(put, row)
            elif not self._db.execute(_PUT_MAIN, (*main_values(item), item.run_id)).rowcount:
                raise Corrupt(f"run {item.run_id} has an item, and there is no such run")


def _reading(table: Table) -> str:
    without = OTHERWISE.get(table.name, otherwise()).without
    named = (_RUN_ID if name in without else f"{table.name}.{name}" for name in table.columns)
    order = f" ORDER BY {table.sqlite_order}" if table.sqlite_order else ""
    return " ".join(("SELECT", ", ".join(named), "FROM", _FROM.get(table.name, table.name) + order))


def _writing(table: Table) -> str:
    kept = OTHERWISE.get(table.name, otherwise())
    columns = ", ".join("run" if name in kept.without else name for name in table.columns)
    values = ", ".join(_SEQ_OF_RUN if name in kept.without else "?" for name in table.columns)
    return f"{_INSERT} {table.name} ({columns}) VALUES ({values})"


@contextmanager
def reading(path: Path) -> Generator[SqliteRows]:
    """A file that nobody has, and that nobody may have meanwhile.

    Raises `Unavailable` if it is in use or is not there, `Corrupt` if it is damaged or has not the
    schema of this version.
    """
    if not path.is_file():
        raise Unavailable(f"{path} is not there; give the file of the server that was stopped")
    real = os.path.realpath(path)
    lock = FileLock(real)
    with ExitStack() as after:
        after.callback(lock.release)
        with closing(open_reader(real)) as connection:
            check_schema(connection, real)
            if Path(f"{real}-shm").exists():
                # Closed after the connection, whose locks it would take away.
                mark = after.enter_context(closing(LogMark(real, is_synced=True)))
                missing = mark.missing()
            else:
                missing = ""  # it has no log
            if missing:
                raise Corrupt(f"{missing}. Start a server on it, which goes on without; copy then")
            with in_our_words(real):
                connection.execute("BEGIN")
            yield SqliteRows(connection, str(path))


def check_free(path: Path) -> None:
    """Raise `Unavailable` where a file could not be made, or would be read with what is beside."""
    for ending in _BESIDE:
        if (there := Path(f"{path}{ending}")).exists():
            raise Unavailable(f"{there} is there already; name another file, or remove that one")
    if not path.absolute().parent.is_dir():
        raise Unavailable(f"the folder of {path} is not there; make it first")


@contextmanager
def making(path: Path) -> Generator[SqliteRows]:
    """A file with the tables of this version and nothing in them. It is made beside its place, and
    given its name at the end: a file of that name is whole. Its owner alone may read it.

    Raises `Unavailable` if it is there already or cannot be made.
    """
    check_free(path)
    part = Path(f"{path}.part")
    try:
        part.unlink(missing_ok=True)
        make_private(str(part))
        with closing(open_unshared(str(part))) as connection:
            migrate(connection, str(part))
            yield SqliteRows(connection, str(path))
            keep_log(connection)
        _to_disk(part)
        part.rename(path)
        _to_disk(path.absolute().parent)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be made; check its folder and its room: {error}"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
