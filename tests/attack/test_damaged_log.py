"""What a write-ahead log lost of what was acknowledged: told at the next start, and by the doctor.

SQLite takes the first page that does not fit for the end of the log. A copy of the files of a
database that is open is what a killed process leaves behind.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepwell.cli.verbs.doctor import doctor
from stepwell.server.engine.row.run import EventRow
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.sqlite import keeper
from stepwell.server.store.sqlite.connection import PAGE_BYTES, Durability, open_keeper, open_reader
from stepwell.server.store.sqlite.store import SqliteStore

EVENTS = 60
HEAD_BYTES = 32
FRAME_BYTES = 24 + PAGE_BYTES
GARBAGE = b"\xa5" * 300
FILES = ("", "-wal", ".mark")


def commit(store: SqliteStore, first: int, count: int) -> None:
    """So many commits of an event each."""
    for number in range(first, first + count):
        changes = Changes()
        changes.events.append(EventRow(f"id{number:06}", "name", 1, 1, b"x" * 200))
        store.write(changes)
        store.commit()
        store.keep(changes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    (tmp_path / "alive").mkdir()
    store = SqliteStore(tmp_path / "alive" / "a.db", durability="relaxed")
    store.migrate()
    # Nothing is copied back while the files are copied.
    store._ready.keeper.stop()
    commit(store, 0, EVENTS)
    yield store
    store.close()


def killed(store: SqliteStore, folder: Path, names: tuple[str, ...] = FILES) -> Path:
    """What is left behind if its process is killed now."""
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copyfile(f"{store.path}{name}", folder / f"a.db{name}")
    return folder / "a.db"


def overwritten(at: Callable[[int], int]) -> Callable[[Path], None]:
    def spoil(log: Path) -> None:
        with log.open("r+b") as file:
            file.seek(at(log.stat().st_size))
            file.write(GARBAGE)

    return spoil


def cut(log: Path) -> None:
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2)


def emptied(log: Path) -> None:
    log.write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "head of the log": overwritten(lambda size: 0),
    "its salt": overwritten(lambda size: 17),
    "head of the first page": overwritten(lambda size: HEAD_BYTES),
    "first page": overwritten(lambda size: HEAD_BYTES + 2_000),
    "a third": overwritten(lambda size: size // 3),
    "the middle": overwritten(lambda size: size // 2),
    "head of a page": overwritten(
        lambda size: HEAD_BYTES + (size - HEAD_BYTES) // FRAME_BYTES // 2 * FRAME_BYTES
    ),
    "last page": overwritten(lambda size: size - FRAME_BYTES + 100),
    "cut in half": cut,
    "emptied": emptied,
    "removed": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_the_log_lost_is_told_at_the_start(
    store: SqliteStore, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = killed(store, tmp_path / "killed")
    log = Path(f"{path}-wal")
    DAMAGES[damage](log)
    left = log.read_bytes() if log.exists() else b""
    with caplog.at_level(logging.ERROR, "stepwell.sqlite"):
        again = SqliteStore(path)
    assert "what was acknowledged last, up to 20" in caplog.text.lower()
    assert str(log) in caplog.text
    again.migrate()
    again.close()
    copies = list(path.parent.glob("a.db-wal.damaged-*"))
    assert [copy.read_bytes() for copy in copies] == ([left] if left else [])
    assert all(copy.stat().st_mode & 0o077 == 0 for copy in copies)


def test_the_doctor_tells_what_the_log_lost(store: SqliteStore, tmp_path: Path) -> None:
    path = killed(store, tmp_path / "killed")
    DAMAGES["the middle"](Path(f"{path}-wal"))
    told = CliRunner().invoke(doctor, ["--deep", "--database", str(path)])
    assert told.exit_code == 1
    assert "the log, ends after" in told.output
    again = CliRunner().invoke(doctor, ["--deep", "--database", str(path)])
    assert again.exit_code == 0, again.output


# -- nothing is told where nothing was lost -------------------------------------------------------


def opened_in_silence(path: Path) -> int:
    """Opens a database that lost nothing. How many events it has."""
    store = SqliteStore(path)
    assert store.missing == ""
    store.migrate()
    found = store._db.execute("SELECT count(*) FROM event").fetchone()[0]
    store.close()
    return int(found)


def test_a_killed_process_lost_nothing(store: SqliteStore, tmp_path: Path) -> None:
    for count in (0, 1, 7):
        commit(store, 1_000 + count * 10, count)
        path = killed(store, tmp_path / f"killed{count}")
        assert opened_in_silence(path) >= EVENTS + count
        assert opened_in_silence(path) >= EVENTS + count


def test_a_note_may_be_behind_or_of_no_use(store: SqliteStore, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    killed(store, folder, (".mark",))
    commit(store, 1_000, 5)
    path = killed(store, folder, ("", "-wal"))
    assert opened_in_silence(path) == EVENTS + 5
    for text in (b"", GARBAGE):
        path = killed(store, folder, ("", "-wal"))
        Path(f"{path}.mark").write_bytes(text)
        assert opened_in_silence(path) == EVENTS + 5


def test_a_log_that_began_anew_lost_nothing(store: SqliteStore, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    killed(store, folder, (".mark",))
    connection = open_keeper(store.path)
    assert keeper.copy_back(connection, store.path)
    connection.close()
    commit(store, 1_000, 1)
    assert opened_in_silence(killed(store, folder, ("", "-wal"))) == EVENTS + 1
    assert opened_in_silence(killed(store, folder)) == EVENTS + 1


def test_a_log_that_was_emptied_lost_nothing(store: SqliteStore, tmp_path: Path) -> None:
    """The note is withdrawn before; what is committed meanwhile is noted by the commit after."""
    folder = tmp_path / "killed"
    connection = open_keeper(store.path)
    with store._mark.emptying():
        killed(store, folder, (".mark",))
        assert keeper.empty_log(connection)
        path = killed(store, folder, ("", "-wal"))
        assert Path(f"{path}-wal").stat().st_size == 0
        assert opened_in_silence(path) == EVENTS
        commit(store, 1_000, 2)
        assert keeper.empty_log(connection)
        assert opened_in_silence(killed(store, folder)) == EVENTS + 2
    connection.close()
    commit(store, 2_000, 3)
    path = killed(store, folder)
    DAMAGES["last page"](Path(f"{path}-wal"))
    again = SqliteStore(path)
    assert "ends after" in again.missing
    again.close()


def test_a_database_that_was_closed_lost_nothing(store: SqliteStore, tmp_path: Path) -> None:
    path = killed(store, tmp_path / "killed")
    opened_in_silence(path)
    assert not Path(f"{path}-wal").exists()
    assert opened_in_silence(path) == EVENTS


def test_closing_the_note_takes_no_locks_away(store: SqliteStore) -> None:
    """The log may not begin anew under a reader."""
    reader = open_reader(store.path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM event").fetchone() == (EVENTS,)
    commit(store, 1_000, 3)
    connection = open_keeper(store.path)
    assert not keeper.empty_log(connection)
    assert reader.execute("SELECT count(*) FROM event").fetchone() == (EVENTS,)
    reader.close()
    connection.close()


@pytest.mark.parametrize("durability", ["full", "relaxed"])
def test_a_log_that_was_not_synced_may_have_ended_with_the_machine(
    tmp_path: Path, durability: Durability
) -> None:
    (tmp_path / "alive").mkdir()
    store = SqliteStore(tmp_path / "alive" / "a.db", durability=durability)
    store.migrate()
    store._ready.keeper.stop()
    commit(store, 0, 3)
    path = killed(store, tmp_path / "killed")
    cut(Path(f"{path}-wal"))
    again = SqliteStore(path)
    assert ("durability" in again.missing) is (durability == "relaxed")
    again.close()
    store.close()
