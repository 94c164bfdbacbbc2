"""One process per file."""

import os
from pathlib import Path

import pytest

from stepwell.server.store.port import Unavailable
from stepwell.server.store.sqlite.file_lock import FileLock


def test_the_second_is_told_who_has_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    lock = FileLock(path)
    with pytest.raises(Unavailable, match=f"a.db is in use by process {os.getpid()}; stop it"):
        FileLock(path)
    lock.release()
    lock.release()
    FileLock(path).release()


def test_a_lock_left_behind_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.db.lock").write_text("4000000000 and more")
    FileLock(str(tmp_path / "a.db")).release()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="check the folder"):
        FileLock(str(tmp_path / "no" / "a.db"))
