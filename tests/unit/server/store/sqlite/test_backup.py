"""A copy of a database in use: whole, of one moment, and never half there."""

import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepwell.cli.main import main
from stepwell.server.store.port import Corrupt, Unavailable
from stepwell.server.store.sqlite import backup
from stepwell.server.store.sqlite.backup import back_up
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.contract.store_world import World, run_id_of
from tests.unit.server.store.sqlite.test_store import Opener


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(Opener(tmp_path / "stepwell.db"))
    for number in range(3):
        world.begin(number)
    return world


def runs_in(path: Path) -> set[str]:
    store = SqliteStore(str(path))
    reader = store.reader()
    try:
        return {f"{number}" for number in range(9) if reader.run(run_id_of(number))}
    finally:
        store.close()


def test_a_copy_of_a_database_in_use(world: World, tmp_path: Path) -> None:
    to = tmp_path / "copy.db"
    size = back_up(tmp_path / "stepwell.db", to)
    assert size == to.stat().st_size
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.glob("copy*")) == ["copy.db"]
    world.begin(3)
    assert runs_in(to) == {"0", "1", "2"}


def test_what_is_written_meanwhile_neither_waits_nor_is_in_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 1)
    told: list[tuple[int, int]] = []

    def progress(done: int, of: int) -> None:
        if len(told) == 1:
            world.begin(3)
        told.append((done, of))

    back_up(tmp_path / "stepwell.db", tmp_path / "copy.db", progress)
    assert [done for done, _ in told] == list(range(1, len(told) + 1)), "it began anew"
    assert told[-1][0] == told[-1][1]
    assert runs_in(tmp_path / "copy.db") == {"0", "1", "2"}


def test_a_file_that_is_there_is_kept(world: World, tmp_path: Path) -> None:
    to = tmp_path / "copy.db"
    to.write_text("mine")
    with pytest.raises(Unavailable, match="is there already"):
        back_up(tmp_path / "stepwell.db", to)
    assert to.read_text() == "mine"


def test_a_folder_that_is_not_there(world: World, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be made; check its folder"):
        back_up(tmp_path / "stepwell.db", tmp_path / "gone" / "copy.db")


def test_what_is_no_database_of_ours_leaves_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE a (b)")
    connection.close()
    with pytest.raises(Corrupt):
        back_up(other, tmp_path / "copy.db")
    assert [p.name for p in tmp_path.iterdir()] == ["other.db"]


def test_the_command(world: World, tmp_path: Path) -> None:
    told = ["backup", str(tmp_path / "copy.db"), "--database", str(tmp_path / "stepwell.db")]
    done = CliRunner().invoke(main, told)
    assert (done.exit_code, done.stdout.split(": ")[0]) == (0, str(tmp_path / "copy.db"))
    twice = CliRunner().invoke(main, told)
    assert (twice.exit_code, "is there already" in twice.stderr) == (1, True)
