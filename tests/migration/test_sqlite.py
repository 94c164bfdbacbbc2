"""A database that was migrated is like a fresh one; a newer one is refused."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell.server.store.counting import HOUR_MS, MINUTE_MS
from stepwell.server.store.port import (
    Corrupt,
    CountBy,
    CountFilter,
    CountPlace,
    RunCount,
    RunFilter,
)
from stepwell.server.store.sqlite import migrating
from stepwell.server.store.sqlite.connection import open_writer
from stepwell.server.store.sqlite.store import SqliteStore


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_writer(str(tmp_path / "a.db"), "relaxed")
    yield connection
    connection.close()


def shape(connection: sqlite3.Connection) -> dict[str, object]:
    """Every table with its columns, every index with its columns and condition."""
    found: dict[str, object] = {}
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    for kind, name, sql in rows:
        words = "" if sql is None else " ".join(sql.split())
        if kind == "table":
            columns = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            found[name] = (columns, words.endswith("WITHOUT ROWID"))
        else:
            columns = connection.execute(f"PRAGMA index_xinfo({name})").fetchall()
            found[name] = (columns, words.partition(" WHERE ")[2])
    return found


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = list(migrating.migrations())
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_fresh_schema_equals_a_migrated_one(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    migrating.migrate(connection, "a.db")
    migrated = open_writer(str(tmp_path / "b.db"), "relaxed")
    for number, script in migrating.migrations().items():
        migrating._run(migrated, script, number)
    assert shape(migrated) == shape(connection)
    assert len(shape(connection)) > 15
    migrated.close()


def test_an_older_database_gets_what_it_has_not_seen(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrating.migrate(connection, "a.db")
    latest = max(migrating.migrations())
    scripts = {
        **migrating.migrations(),
        latest + 1: "CREATE TABLE one (x TEXT);\nINSERT INTO one VALUES ('a;b');",
        latest + 2: "ALTER TABLE one ADD COLUMN y TEXT;",
    }
    monkeypatch.setattr(migrating, "migrations", lambda: scripts)
    for _ in range(2):
        migrating.migrate(connection, "a.db")
        assert connection.execute("SELECT * FROM one").fetchall() == [("a;b", None)]
        versions = connection.execute("SELECT version FROM schema_version").fetchall()
        assert versions == [(latest + 2,)]


def test_runs_of_older_versions_are_listed_as_before_and_by_deferral(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = open_writer(str(path), "relaxed")
    for number in (1, 2):
        migrating._run(old, migrating.migrations()[number], number)
    for n, name in enumerate(("paid", "inngest/deferred.schedule"), 1):
        event = (n, f"E{n}", name, 0, 1, "", b"{}")
        old.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", event)
        started = (n, f"R{n}", "a-f", "a", f"E{n}", n, "", None, 300, 1, 2, b"1", 2, 4, None, 0)
        marks = ", ".join("?" * len(started))
        old.execute(f"INSERT INTO run VALUES ({marks}, NULL, NULL, NULL)", started)
    old.close()
    store = SqliteStore(path, durability="relaxed")
    store.migrate()
    reader = store.reader()
    assert [run.id for run in reader.runs(RunFilter())] == ["R2", "R1"]
    (deferred,) = reader.runs(RunFilter(deferred=True))
    assert (deferred.id, deferred.quiet, deferred.deferred) == ("R2", True, True)
    assert [run.id for run in reader.runs(RunFilter(deferred=False))] == ["R1"]
    reader.close()
    store.close()


def test_runs_of_older_versions_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = open_writer(str(path), "relaxed")
    for number in range(1, 9):
        migrating._run(old, migrating.migrations()[number], number)
    newest = 400 * HOUR_MS
    runs = (
        # app, function, status, queued, started, ended
        ("a", "a-f", 300, newest - 90_000, newest - 80_000, newest - 10_000),
        ("a", "a-f", 400, newest - 61_000, newest - 61_000, newest),
        ("b", "b-g", 500, newest - 60_000, 0, newest - 59_000),
        ("b", "b-g", 100, newest, 0, 0),
        # By the minute, this one is too old.
        ("a", "a-f", 300, newest - 50 * HOUR_MS, newest - 50 * HOUR_MS, newest - 50 * HOUR_MS),
    )
    for n, (app, function, status, queued, started, ended) in enumerate(runs, 1):
        row = (n, f"R{n}", function, app, f"E{n}", queued, "", None, status, started, ended)
        marks = ", ".join("?" * len(row))
        old.execute(f"INSERT INTO run VALUES ({marks}, NULL, 2, 0, NULL, 0, NULL, NULL, NULL)", row)
    old.close()
    store = SqliteStore(path, durability="relaxed")
    store.migrate()
    reader = store.reader()
    assert reader.counts(CountFilter(MINUTE_MS, 0, newest + 1, CountBy.APP)) == [
        RunCount(CountPlace(newest - 2 * MINUTE_MS, "a"), queued=2, started=2),
        RunCount(CountPlace(newest - MINUTE_MS, "a"), completed=1),
        RunCount(CountPlace(newest - MINUTE_MS, "b"), queued=1, cancelled=1),
        RunCount(CountPlace(newest, "a"), failed=1),
        RunCount(CountPlace(newest, "b"), queued=1),
    ]
    assert reader.counts(CountFilter(HOUR_MS, 0, newest + 1)) == [
        RunCount(CountPlace(newest - 50 * HOUR_MS), 1, 1, 1),
        RunCount(CountPlace(newest - HOUR_MS), queued=3, started=2, completed=1, cancelled=1),
        RunCount(CountPlace(newest), queued=1, failed=1),
    ]
    reader.close()
    store.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrating.migrate(connection, "a.db")
    before = shape(connection)
    scripts = {**migrating.migrations(), 900: "CREATE TABLE one (x TEXT); SELECT nonsense;"}
    scripts = {number: text for number, text in scripts.items() if number != 900}
    latest = max(scripts)
    scripts[latest + 1] = "CREATE TABLE one (x TEXT);\nINSERT INTO missing VALUES (1);"
    monkeypatch.setattr(migrating, "migrations", lambda: scripts)
    with pytest.raises(Exception, match="no such table: missing"):
        migrating.migrate(connection, "a.db")
    assert shape(connection) == before
    versions = connection.execute("SELECT version FROM schema_version").fetchall()
    assert versions == [(latest,)]


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    store.migrate()
    store._db.execute("UPDATE schema_version SET version = 900")
    with pytest.raises(Corrupt, match=r"a\.db has schema 900, and this version .* knows \d+ at"):
        store.migrate()
    store.close()


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "a.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    store = SqliteStore(tmp_path / "a.db")
    with pytest.raises(Corrupt, match="holds tables of another program"):
        store.migrate()
    store.close()


def test_an_unfinished_first_start_is_begun_again(connection: sqlite3.Connection) -> None:
    """Tables and their number come in one transaction: there is nothing between."""
    scripted = migrating.statements(migrating.fresh_schema())
    connection.execute("BEGIN IMMEDIATE")
    for statement in scripted[:3]:
        connection.execute(statement)
    connection.execute("ROLLBACK")
    migrating.migrate(connection, "a.db")
    assert "schema_version" in shape(connection)
