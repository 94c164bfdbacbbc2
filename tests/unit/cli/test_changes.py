"""Files that changed after they were read are found, also those that changed meanwhile."""

import os
from pathlib import Path

from stepwell.cli.changes import changed, stamps_of, stamps_read

YEAR_NS = 365 * 24 * 3600 * 1_000_000_000


def written(path: Path, at_ns: int, text: str = "") -> str:
    path.write_text(text)
    os.utime(path, ns=(at_ns, at_ns))
    return str(path)


def test_files_that_were_written_added_or_removed_are_named(tmp_path: Path) -> None:
    same, longer, touched, gone = (
        written(tmp_path / name, 1_000) for name in ("a_same", "b_longer", "c_touched", "d_gone")
    )
    before = stamps_of((same, longer, touched, gone))
    assert changed(before, stamps_of((same, longer, touched, gone))) == []
    written(tmp_path / "b_longer", 1_000, "more")
    written(tmp_path / "c_touched", 1_001)
    Path(gone).unlink()
    new = written(tmp_path / "e_new", 1_000)
    now = stamps_of((same, longer, touched, gone, new))
    assert changed(before, now) == [longer, touched, gone, new]


def test_a_file_that_was_written_while_it_was_read_has_changed(tmp_path: Path) -> None:
    early = written(tmp_path / "early", 1_000)
    meanwhile = written(tmp_path / "meanwhile", 1_001)
    read = stamps_read((early, meanwhile), 1_000, {})
    assert changed(read, stamps_of((early, meanwhile))) == [meanwhile]


def test_what_was_known_before_is_what_was_read(tmp_path: Path) -> None:
    path = written(tmp_path / "file", 1_000)
    known = stamps_of((path, written(tmp_path / "other", 1_000)))
    written(tmp_path / "file", 999, "an editor may keep the time")
    read = stamps_read((path,), 2_000, known)
    assert read == {path: known[path]}
    assert changed(read, stamps_of((path,))) == [path]


def test_a_known_file_that_vanished_meanwhile_has_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "file", 1_000)
    known = stamps_of((path,))
    Path(path).unlink()
    assert changed(stamps_read((path,), 2_000, known), stamps_of((path,))) == [path]


def test_a_file_from_the_future_does_not_change_for_ever(tmp_path: Path) -> None:
    path = written(tmp_path / "file", tmp_path.stat().st_mtime_ns + YEAR_NS)
    assert changed(stamps_read((path,), 1_000, {}), stamps_of((path,))) == []
