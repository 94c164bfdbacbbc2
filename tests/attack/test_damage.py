"""A database that is damaged is told of at the start that follows a crash, and by the doctor."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepwell.cli.verbs.doctor import doctor
from stepwell.server.store.port import Corrupt
from stepwell.server.store.sqlite import integrity
from stepwell.server.store.sqlite.connection import PAGE_BYTES
from stepwell.server.store.sqlite.store import SqliteStore

EVENTS = 2_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """As a process left it that was killed."""
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.migrate()
    store._db.execute("BEGIN")
    store._db.executemany(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(n, f"id{n:08}", "name", 1, 1, "", b"x" * 200) for n in range(1, EVENTS)],
    )
    store._db.execute("COMMIT")
    store._db.close()
    store._lock.release()
    return path


def spoil(path: Path) -> None:
    """Overwrite the second half of the database, but for its end."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // PAGE_BYTES * PAGE_BYTES)
        file.write(b"\xa5" * (PAGE_BYTES * 8))


def test_a_crash_alone_harms_nothing(database: Path) -> None:
    store = SqliteStore(database)
    store.migrate()
    assert store._db.execute("SELECT count(*) FROM event").fetchone() == (EVENTS - 1,)
    store.close()


def test_damage_is_told_at_the_start_after_a_crash(database: Path) -> None:
    spoil(database)
    store = SqliteStore(database)
    with pytest.raises(Corrupt, match=r"a\.db is damaged: .*Restore a backup"):
        store.migrate()
    store.close()


def test_what_is_too_large_to_look_at_is_told(
    database: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_STEPS", 1)
    store = SqliteStore(database)
    with caplog.at_level(logging.WARNING, "stepwell.sqlite"):
        integrity.check_at_start(store._db, "a.db", seconds_max=-1)
    assert "too large to be looked at" in caplog.text
    store.migrate()
    store.close()


def test_the_doctor_looks_at_all_of_it(database: Path) -> None:
    told = CliRunner().invoke(doctor, ["--deep", "--database", str(database)])
    assert told.exit_code == 0, told.output
    spoil(database)
    told = CliRunner().invoke(doctor, ["--deep", "--database", str(database)])
    assert told.exit_code == 1
    assert "is damaged; restore a backup" in told.output
    told = CliRunner().invoke(doctor, ["--deep"])
    assert "name it with --database" in told.output
