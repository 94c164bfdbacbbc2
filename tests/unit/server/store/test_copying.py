"""Everything is copied from SQLite to PostgreSQL and back, or nothing is."""

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from stepwell.server.engine.row.run import MAIN, Item, ItemKind
from stepwell.server.store.port import Corrupt, StoreError, Unavailable, Unstorable
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.server.store.row import Values, main_values
from stepwell.server.store.sqlite.migrating import fresh_schema
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.server.store.transfer import postgres_side, sqlite_side
from stepwell.server.store.transfer.copying import copy_all, counts_of
from stepwell.server.store.transfer.tables import TABLES, Otherwise, Table, Tally, otherwise

ROWS = 3
RETRIED = Item("", MAIN, ItemKind.CALL, 77, "lane", 2, "step", 1, b"detail")
FIXED: dict[str, dict[str, object]] = {
    "item": {"kind": int(ItemKind.CALL)},
    "run": {"event_id": None},
}


def sqlite_columns() -> dict[str, dict[str, str]]:
    """The type of every column, by table."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(fresh_schema())
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {
            name: {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({name})")}
            for name in names
        }


def value(kind: str, column: str, number: int) -> object:
    if kind == "TEXT":
        return f"{column} ä☃ {number}\n\t\\x"
    return bytes([0, 92, 255, number]) if kind == "BLOB" else 2**30 + number


def full_file(path: Path) -> None:
    """A database that a server left, with rows in every table and a value in every column."""
    with closing(SqliteStore(path)) as store:
        store.migrate()
    with closing(sqlite3.connect(path)) as db:
        for table, columns in sqlite_columns().items():
            if table == "schema_version":
                continue
            for number in range(1, ROWS + 1):
                row: dict[str, object] = {
                    name: value(kind, name, number) for name, kind in columns.items()
                }
                row |= FIXED.get(table, {})
                row |= {name: number for name in ("seq", "run") if name in row}
                if table == "run":
                    # Each of the three kinds of main item: none, an ordinary one, and another.
                    main = (None, (77, "", None), main_values(RETRIED))[number - 1]
                    main = (None, None, None) if main is None else main
                    row |= dict(zip(("due_ms", "queue", "main"), main, strict=True))
                    row |= {"output": None} if number == 1 else {}
                marks = ", ".join("?" for _ in row)
                names = ", ".join(row)
                db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
        db.commit()


def columns_as_copied(otherwise_kept: dict[str, Otherwise], table: Table) -> set[str]:
    kept = otherwise_kept.get(table.name, otherwise())
    return (set(table.columns) - kept.without) | kept.own


def test_every_column_of_both_schemas_is_copied_or_one_sides_own(migrated_database: str) -> None:
    with psycopg.connect(migrated_database) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'stepwell'"
        ).fetchall()
    postgres: dict[str, set[str]] = {}
    for table, column in rows:
        postgres.setdefault(table, set()).add(column)
    sqlite = {table: set(columns) for table, columns in sqlite_columns().items()}
    for side, found in ((sqlite_side, sqlite), (postgres_side, postgres)):
        copied = {table.name: columns_as_copied(side.OTHERWISE, table) for table in TABLES}
        left = {table: found[table] for table in side.NOT_COPIED}
        assert found == {**copied, **left}, side.__name__


def told(path: Path) -> dict[str, Tally]:
    with sqlite_side.reading(path) as source:
        tallies = {table.name: Tally() for table in TABLES}
        for table in TABLES:
            for row in source.rows(table):
                tallies[table.name].add(row)
    return tallies


def copied(source: str | Path, target: str | Path) -> int:
    """How many rows were told of."""
    heard: list[int] = []
    reading = (
        sqlite_side.reading(source) if isinstance(source, Path) else postgres_side.reading(source)
    )
    filling = (
        sqlite_side.making(target) if isinstance(target, Path) else postgres_side.filling(target)
    )
    with reading as opened, filling as filled:
        copy_all(opened, filled, heard.append)
    return sum(heard)


def test_all_of_a_database_comes_back_as_it_was(tmp_path: Path, database: str) -> None:
    there, back = tmp_path / "there.db", tmp_path / "back.db"
    full_file(there)
    with sqlite_side.reading(there) as source:
        counts = counts_of(source)
    # Two runs have a main item.
    assert counts == {table.name: ROWS + 2 * (table.name == "item") for table in TABLES}
    assert copied(there, database) == 2 * sum(counts.values())
    assert copied(database, back) == 2 * sum(counts.values())
    assert told(back) == told(there)
    assert back.stat().st_mode & 0o777 == 0o600
    with closing(SqliteStore(back)) as store:
        store.migrate()
        assert store.ended_in_order
        assert not store.problems()
        assert store.newest_place() == 2**30 + ROWS


def test_counts_of_several_servers_become_one(tmp_path: Path, engine_database: str) -> None:
    with psycopg.connect(engine_database, autocommit=True) as connection:
        for node in ("a", "b"):
            connection.execute(
                "INSERT INTO stepwell.run_count VALUES (60000, 1, 'app', 'f', %s, 1, 2, 3, 4, 5)",
                (node,),
            )
    copied(engine_database, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("SELECT * FROM run_count").fetchall() == [
            (60000, 1, "app", "f", 2, 4, 6, 8, 10)
        ]


class Losing:
    """A source that forgets a row, or a target that gives another one back."""

    def __init__(self, inner: sqlite_side.SqliteRows, *, changes: bool) -> None:
        self._inner = inner
        self._changes = changes
        self.name = inner.name

    def count(self, table: Table) -> int:
        return self._inner.count(table)

    def rows(self, table: Table) -> Generator[Values]:
        for number, row in enumerate(self._inner.rows(table)):
            if number or table.name != "hold":
                yield row
            elif self._changes:
                yield "another", *row[1:]

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        self._inner.put(table, rows)


def test_a_copy_that_is_another_is_not_kept(tmp_path: Path, database: str) -> None:
    there, back = tmp_path / "there.db", tmp_path / "back.db"
    full_file(there)
    with (
        pytest.raises(Corrupt, match="the table hold has 3 rows, and 2 can be read"),
        sqlite_side.reading(there) as source,
        postgres_side.filling(database) as target,
    ):
        copy_all(Losing(source, changes=False), target)
    # Nothing is left of it: the database is as empty as before.
    copied(there, database)
    with (
        pytest.raises(Corrupt, match="the table hold has 3 rows of 3, or others"),
        postgres_side.reading(database) as source,
        sqlite_side.making(back) as target,
    ):
        copy_all(source, Losing(target, changes=True))
    assert not list(tmp_path.glob("back*"))


def refused(kind: type[StoreError], source: str | Path, target: str | Path) -> str:
    with pytest.raises(kind) as error:
        copied(source, target)
    return str(error.value)


def test_what_is_in_use_is_not_copied(tmp_path: Path, engine_database: str) -> None:
    path = tmp_path / "there.db"
    with closing(SqliteStore(path)) as store:
        store.migrate()
        assert "is in use by process" in refused(Unavailable, path, engine_database)
    with closing(PostgresStore(engine_database)) as store:
        store.migrate()
        for source, target in ((engine_database, tmp_path / "x.db"), (path, engine_database)):
            told_ = refused(Unavailable, source, target)
            assert "is in use by" in told_
            assert "stop every server of it first" in told_
    copied(path, engine_database)


def test_a_server_that_comes_meanwhile_has_to_wait(tmp_path: Path, engine_database: str) -> None:
    path = tmp_path / "there.db"
    with closing(SqliteStore(path)) as store:
        store.migrate()
    with sqlite_side.reading(path), pytest.raises(Unavailable, match="is in use by process"):
        SqliteStore(path)
    with (
        postgres_side.reading(engine_database),
        psycopg.connect(engine_database) as other,
        pytest.raises(psycopg.errors.LockNotAvailable),
    ):
        other.execute("SELECT * FROM stepwell.schema_version FOR UPDATE NOWAIT")


def test_what_is_not_empty_stays_as_it_is(tmp_path: Path, engine_database: str) -> None:
    there, other = tmp_path / "there.db", tmp_path / "other.db"
    full_file(there)
    copied(there, engine_database)
    assert "is not empty: its table event has rows" in refused(Unavailable, there, engine_database)
    other.write_bytes(b"mine")
    assert "is there already" in refused(Unavailable, engine_database, other)
    assert other.read_bytes() == b"mine"
    other.rename(tmp_path / "new.db-wal")
    assert "new.db-wal is there already" in refused(
        Unavailable, engine_database, tmp_path / "new.db"
    )
    assert "is not there" in refused(Unavailable, engine_database, tmp_path / "no" / "new.db")


def test_another_schema_is_not_copied(tmp_path: Path, database: str) -> None:
    path = tmp_path / "there.db"
    assert "is not there" in refused(Unavailable, path, database)
    full_file(path)
    assert "holds nothing of Stepwell" in refused(Corrupt, database, tmp_path / "new.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE schema_version SET version = 1")
        db.commit()
    assert "has schema 1, and this version of Stepwell reads" in refused(Corrupt, path, database)
    with postgres_side.filling(database):
        pass
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE stepwell.schema_version SET version = 1")
    full_file(tmp_path / "again.db")
    for places in ((tmp_path / "again.db", database), (database, tmp_path / "new.db")):
        assert "run `stepwell migrate` on it first" in refused(Corrupt, *places)


def test_a_value_that_fits_no_row_stops_the_copy(tmp_path: Path, database: str) -> None:
    path = tmp_path / "there.db"
    full_file(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE bulk SET wanted = 'a' || char(0) || 'b'")
        db.commit()
    assert "a value fits no row of" in refused(Unstorable, path, database)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM stepwell.event").fetchone() == (0,)
