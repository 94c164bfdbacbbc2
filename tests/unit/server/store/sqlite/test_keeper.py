"""The log is copied back, and space is given back, beside the writer."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from stepwell.server.store.port import Unavailable
from stepwell.server.store.sqlite import keeper
from stepwell.server.store.sqlite.connection import open_keeper, open_reader, open_writer
from stepwell.server.store.sqlite.store import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


@pytest.fixture
def writer(path: str) -> Iterator[sqlite3.Connection]:
    connection = open_writer(path, "relaxed")
    connection.execute("CREATE TABLE t (x BLOB)")
    yield connection
    connection.close()


def fill(writer: sqlite3.Connection, rows: int) -> None:
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO t VALUES (?)", [(b"x" * 3_000,)] * rows)
    writer.execute("COMMIT")


def size(path: str) -> int:
    return Path(path).stat().st_size


def test_the_log_is_copied_back_and_written_anew_from_its_beginning(
    writer: sqlite3.Connection, path: str
) -> None:
    connection = open_keeper(path)
    fill(writer, 500)
    before = size(f"{path}-wal")
    assert keeper.copy_back(connection, path)
    assert size(path) > 500 * 3_000
    for _ in range(5):
        fill(writer, 400)
        assert keeper.copy_back(connection, path)
    assert size(f"{path}-wal") <= before
    connection.close()


def test_a_reader_that_stays_only_delays_it(
    writer: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LOG_FILE_BYTES_MAX", 1_000)
    connection, reader = open_keeper(path), open_reader(path)
    fill(writer, 10)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (10,)
    fill(writer, 10)
    assert not keeper.copy_back(connection, path)
    reader.execute("COMMIT")
    assert keeper.copy_back(connection, path)
    assert size(f"{path}-wal") == 0
    reader.close()
    connection.close()


def test_free_pages_go_back_to_the_system(writer: sqlite3.Connection, path: str) -> None:
    connection = open_keeper(path)
    fill(writer, 1_000)
    keeper.copy_back(connection, path)
    full = size(path)
    writer.execute("DELETE FROM t WHERE rowid > 10")
    assert keeper.return_pages(connection) == 0
    keeper.copy_back(connection, path)
    assert size(path) < full / 10
    connection.close()


def test_one_tidying_is_bounded(
    writer: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FREE_PAGES_STEP", 10)
    monkeypatch.setattr(keeper, "FREE_PAGES_STEPS_MAX", 3)
    connection = open_keeper(path)
    fill(writer, 500)
    writer.execute("DELETE FROM t")
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    assert keeper.return_pages(connection) == free - 30
    connection.close()


def test_the_thread_does_both_when_told(
    writer: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LOG_BYTES", 1_000)
    monkeypatch.setattr(keeper, "LOG_FILE_BYTES_MAX", 1_000)
    fill(writer, 100)
    writer.execute("DELETE FROM t")
    kept = keeper.Keeper(path)
    kept.wrote(999)
    kept.tidy()
    kept.wrote(1)
    deadline = time.monotonic() + 10
    while writer.execute("PRAGMA freelist_count").fetchone()[0] or size(f"{path}-wal"):
        kept.wrote(1_000)
        assert time.monotonic() < deadline
        time.sleep(0.005)
    kept.stop()


@pytest.mark.parametrize("error", [Unavailable("locked"), OSError("gone"), sqlite3.DatabaseError()])
def test_the_thread_goes_on_after_any_failure(
    writer: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """If it ended, the log would grow for ever, and nobody would notice."""
    tries = 0

    def refuse(path: str) -> sqlite3.Connection:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise error
        return open_keeper(path)

    monkeypatch.setattr(keeper, "open_keeper", refuse)
    monkeypatch.setattr(keeper, "AGAIN_S", 0.01)
    monkeypatch.setattr(keeper, "LOG_FILE_BYTES_MAX", 1_000)
    fill(writer, 100)
    kept = keeper.Keeper(path)
    kept.tidy()
    deadline = time.monotonic() + 10
    while size(f"{path}-wal"):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    kept.stop()
    assert tries == 3


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_log_gives_its_space_back_when_nothing_is_written(
    writer: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """57 MB of it lay beside a database of 0.1 MB."""
    monkeypatch.setattr(keeper, "REST_S", 0.1)
    working = keeper.Keeper(path)
    for _ in range(3):  # and again after each rest
        fill(writer, 300)
        working.wrote(1)
        assert size(f"{path}-wal") > 300 * 3_000
        until(lambda: size(f"{path}-wal") == 0)
    writer.execute("DELETE FROM t")
    working.wrote(1)
    until(lambda: size(path) < 100_000)
    working.stop()


def test_a_log_that_is_written_or_read_is_left_alone(
    writer: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "REST_S", 0.1)
    monkeypatch.setattr(keeper, "AGAIN_S", 0.1)
    reader = open_reader(path)
    working = keeper.Keeper(path)
    fill(writer, 10)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (10,)
    fill(writer, 300)
    working.wrote(1)
    time.sleep(0.5)
    assert size(f"{path}-wal") > 300 * 3_000
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (10,)
    reader.execute("COMMIT")
    until(lambda: size(f"{path}-wal") == 0)
    working.stop()
    reader.close()


def test_only_the_owner_may_read_what_is_stored(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new.db")
    store.migrate()
    rights = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    store.close()
    assert set(rights) >= {"new.db", "new.db-wal", "new.db-shm", "new.db.lock"}
    assert set(rights.values()) == {0o600}


@pytest.mark.parametrize(("durability", "asked"), [("full", 1), ("relaxed", 0)])
def test_the_drive_itself_is_asked_to_write_where_durability_is_full(
    tmp_path: Path, durability: Literal["full", "relaxed"], asked: int
) -> None:
    connection = open_writer(str(tmp_path / "a.db"), durability)
    assert connection.execute("PRAGMA fullfsync").fetchone() == (asked,)
    connection.close()
    keeper_of_it = open_keeper(str(tmp_path / "a.db"))
    assert keeper_of_it.execute("PRAGMA checkpoint_fullfsync").fetchone() == (1,)
    keeper_of_it.close()


def test_free_memory_is_returned_when_told(
    writer: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned = threading.Event()
    monkeypatch.setattr(keeper, "trim_heap", returned.set)
    kept = keeper.Keeper(path)
    kept.trim()
    assert returned.wait(10)
    kept.stop()


def test_every_system_may_be_asked_for_memory() -> None:
    keeper.trim_heap()
