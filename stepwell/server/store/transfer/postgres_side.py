"""A PostgreSQL database as what is copied from, and as what is copied to: one transaction, which
locks the row that every server locks as it arrives."""

from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager

from stepwell.server.store.port import Corrupt, Unavailable
from stepwell.server.store.postgres.connection import SQL, Connection, connect, name_of
from stepwell.server.store.postgres.failure import in_our_words
from stepwell.server.store.postgres.migrating import migrate, migrations, plan
from stepwell.server.store.postgres.rows import columns_of_item
from stepwell.server.store.row import Values, item_of
from stepwell.server.store.transfer.tables import TABLES, Table, otherwise

OTHERWISE = {
    "item": otherwise("turn"),
    "dropped": otherwise("seq"),
    "audit": otherwise("seq"),
    "run_count": otherwise("node"),
    "duration_count": otherwise("node"),
    "failure_count": otherwise("node"),
}
NOT_COPIED = frozenset({"schema_version", "lock", "lease", "node", "leader", "common"})

COPIED_NODE = ""
"""Whoever counted runs elsewhere."""
_NUMBERED = ("dropped", "audit")
_BEGIN = (
    b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '3s';"
    b" SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0"
)
_SELECT = "SELECT"
_COUNTED = {
    "run_count": (4, ""),
    "duration_count": (4, "longest_ms"),
    "failure_count": (5, "last_ms"),
}
"""How many of a table's columns say what is counted, and which other says whose name, message and
run are told."""
_TEXTS = frozenset({"name", "message", "run_id"})
_CHOSEN = {"first_ms": "min", "last_ms": "max", "longest_ms": "max"}


class PostgresRows:
    """The rows of a database, in the transaction that is open."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self._db = connection

    def count(self, table: Table) -> int:
        """How many rows there are to copy."""
        found = self._db.execute(f"{_SELECT} count(*) FROM ({_reading(table)}) AS one".encode())
        row = found.fetchone()
        return 0 if row is None else int(row[0])

    def rows(self, table: Table) -> Generator[Values]:
        """The rows of a table, one by one."""
        order = f" ORDER BY {table.postgres_order}" if table.postgres_order else ""
        with self._db.cursor(binary=True) as cursor:
            yield from cursor.stream(f"{_reading(table)}{order}".encode())

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        """Write the rows of a table."""
        own = () if table.name in _NUMBERED else OTHERWISE.get(table.name, otherwise()).own
        columns = ", ".join((*table.columns, *own))
        statement = f"COPY stepwell.{table.name} ({columns}) FROM STDIN"
        with self._db.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(_whole(table, row))


def _reading(table: Table) -> str:
    if table.name not in _COUNTED:
        return f"{_SELECT} {', '.join(table.columns)} FROM stepwell.{table.name}"
    # Each server counts in rows of its own.
    size, by = _COUNTED[table.name]
    place = ", ".join(table.columns[:size])
    rest = ", ".join(_together(name, by) for name in table.columns[size:])
    return f"{_SELECT} {place}, {rest} FROM stepwell.{table.name} GROUP BY {place}"


def _together(name: str, by: str) -> str:
    if name in _TEXTS:
        return f"(array_agg({name} ORDER BY {by} DESC, node))[1] AS {name}"
    return f"{_CHOSEN.get(name, 'sum')}({name})::bigint AS {name}"


def _whole(table: Table, row: Values) -> Values:
    """A row with the columns that are only here."""
    match table.name:
        case "item":
            return columns_of_item(item_of(row))
        case name if name in _COUNTED:
            return *row, COPIED_NODE
        case _:
            return row


@contextmanager
def reading(url: str) -> Generator[PostgresRows]:
    """A database that no server has, and that none may have meanwhile.

    Raises `Unavailable` if it is in use or cannot be reached, `Corrupt` if it has not the schema of
    this version.
    """
    name = name_of(url)
    with in_our_words(name), closing(connect(url)) as connection:
        _refuse_other_schema(connection, name, may_be_none=False)
        with _alone(connection, name):
            yield PostgresRows(connection, name)


@contextmanager
def filling(url: str) -> Generator[PostgresRows]:
    """A database with the tables of this version and nothing in them. What is written stays only if
    nothing is raised.

    Raises `Unavailable` if it holds anything, is in use or cannot be reached, `Corrupt` if it has
    the schema of another version.
    """
    name = name_of(url)
    with in_our_words(name), closing(connect(url)) as connection:
        _refuse_other_schema(connection, name, may_be_none=True)
        migrate(connection, name)
        with _alone(connection, name):
            _refuse_rows(connection, name)
            yield PostgresRows(connection, name)


def check_free(url: str) -> None:
    """Raise what `filling` would, and change nothing."""
    name = name_of(url)
    with in_our_words(name), closing(connect(url)) as connection:
        if _refuse_other_schema(connection, name, may_be_none=True):
            with _alone(connection, name):
                _refuse_rows(connection, name)


def _refuse_other_schema(connection: Connection, name: str, *, may_be_none: bool) -> int:
    latest = max(migrations())
    version = plan(connection, name).version
    if not version and not may_be_none:
        raise Corrupt(f"{name} holds nothing of Stepwell; give the database of your servers")
    if version not in (0, latest):
        raise Corrupt(
            f"{name} has schema {version}, and this version of Stepwell copies {latest}; run"
            " `stepwell migrate` on it first"
        )
    return version


@contextmanager
def _alone(connection: Connection, name: str) -> Generator[None]:
    with connection.transaction():
        connection.execute(_BEGIN, prepare=False)
        connection.execute(SQL["version_locked"])
        nodes = connection.execute(SQL["nodes"]).fetchall()
        alive = ", ".join(label for _, label, _, is_alive, _ in nodes if is_alive)
        if alive:
            raise Unavailable(
                f"{name} is in use by {alive}; stop every server of it first. One that was killed"
                " counts for 10 seconds more"
            )
        yield


def _refuse_rows(connection: Connection, name: str) -> None:
    for table in TABLES:
        found = connection.execute(f"{_SELECT} 1 FROM stepwell.{table.name} LIMIT 1".encode())
        if found.fetchone() is not None:
            raise Unavailable(
                f"{name} is not empty: its table {table.name} has rows. Give an empty database, or,"
                " if nobody needs what it holds, DROP SCHEMA stepwell CASCADE"
            )
