"""Files that changed after they were read are found, also those that changed meanwhile."""

import os
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from stepwell.cli.changes import ReadFiles, changed, stamps_of


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


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ReadFiles:
    monkeypatch.setattr(SourceFileLoader, "path_stats", SourceFileLoader.path_stats)
    monkeypatch.syspath_prepend(str(tmp_path))
    return ReadFiles()


def test_a_file_that_is_written_while_it_is_imported_has_changed(
    read: ReadFiles, tmp_path: Path
) -> None:
    early = tmp_path / "early_of_changes.py"
    early.write_text(f"open({str(early)!r}, 'a').write('LATER = 1')\n")
    __import__("early_of_changes")
    later = written(tmp_path / "never_imported.py", 1_000)
    files = (early, later)
    assert changed(read.stamps(files), stamps_of(files)) == [str(early)]
    written(tmp_path / "never_imported.py", 1_001)
    assert changed(read.stamps(files), stamps_of(files)) == [str(early), later]


def test_a_file_that_is_written_before_it_is_imported_has_not_changed(
    read: ReadFiles, tmp_path: Path
) -> None:
    """A project that writes a module each time it is imported does not begin anew for ever."""
    (tmp_path / "writer_of_changes.py").write_text(
        f"open({str(tmp_path / 'written_of_changes.py')!r}, 'w').write('VERSION = 1')\n"
        "import written_of_changes\n"
    )
    __import__("writer_of_changes")
    files = sorted(tmp_path.glob("*.py"))
    assert len(files) == 2
    assert changed(read.stamps(files), stamps_of(files)) == []


def test_a_file_that_cannot_be_imported_is_known_as_it_was(read: ReadFiles, tmp_path: Path) -> None:
    broken = tmp_path / "broken_of_changes.py"
    broken.write_text("this is no Python\n")
    with pytest.raises(SyntaxError):
        __import__("broken_of_changes")
    broken.write_text("mended = True\n")
    assert changed(read.stamps((broken,)), stamps_of((broken,))) == [str(broken)]


def test_a_file_that_vanished_has_changed(read: ReadFiles, tmp_path: Path) -> None:
    path = written(tmp_path / "file", 1_000)
    read.stamps((path,))
    Path(path).unlink()
    assert changed(read.stamps((path,)), stamps_of((path,))) == [path]
