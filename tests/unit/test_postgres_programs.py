"""Whoever runs PostgreSQL for the tests reaches its programs, wherever the checkout is."""

import os
import pwd
from pathlib import Path

from tests.postgres import reachable


def test_programs_that_are_open_to_all_are_used_where_they_are(tmp_path: Path) -> None:
    user = pwd.getpwuid(os.getuid())
    assert reachable(Path("/usr/bin"), tmp_path, user) == Path("/usr/bin")
    assert list(tmp_path.iterdir()) == []


def test_programs_in_a_closed_folder_are_copied_with_their_libraries(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    parts = ("wheel/installed/bin/initdb", "wheel/installed/share/sample", "wheel.libs/libpq")
    for part in parts:
        file = closed / part
        file.parent.mkdir(parents=True)
        file.write_text(part)
        file.chmod(0o755)
    (closed / "other").mkdir()
    closed.chmod(0o700)
    folder = tmp_path / "data"
    folder.mkdir()
    programs = reachable(closed / "wheel/installed/bin", folder, pwd.getpwuid(os.getuid()))
    assert programs.is_relative_to(folder)
    assert os.access(programs / "initdb", os.X_OK)
    copied = programs.parents[2]
    assert {str(path.relative_to(copied)) for path in copied.rglob("*") if path.is_file()} == {
        *parts
    }
    assert not (copied / "other").exists()
