"""The linter as a command, and as a plugin of flake8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepwell.cli.main import main

WRONG = "async def f(ctx):\n    ctx.step.run('a', print)\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("app", ".hidden", "env", "node_modules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shop.py").write_text(WRONG)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "right.py").write_text("x = 1\n")
    return tmp_path


def test_files_of_a_folder_are_looked_at(folder: Path) -> None:
    told = CliRunner().invoke(main, ["lint"])
    assert told.exit_code == 1
    assert told.output == (
        "app/shop.py:2:5: SW101 ctx.step.run(...) is not awaited, so it never runs: await it\n"
    )
    told = CliRunner().invoke(main, ["lint", "right.py"])
    assert (told.exit_code, told.output) == (0, "nothing found in 1 file\n")


def test_what_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "old.py").write_text("print 'x'\n")
    (folder / "odd.py").write_bytes(b"\xff\n")
    told = CliRunner().invoke(main, ["lint", "old.py", "odd.py"])
    assert told.exit_code == 1
    odd, old = told.output.splitlines()
    assert old.startswith("old.py:1:1: not Python: ")
    assert odd.startswith("odd.py:1:1: not Python: invalid or missing encoding")
    told = CliRunner().invoke(main, ["lint", "gone.py"])
    assert told.exit_code == 2
    assert "gone.py" in told.output


def test_files_are_read_as_python_reads_them(folder: Path) -> None:
    (folder / "mark.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    (folder / "latin.py").write_bytes(b"# coding: latin-1\nx = '\xe9'\n")
    told = CliRunner().invoke(main, ["lint", "mark.py", "latin.py"])
    assert (told.exit_code, told.output) == (0, "nothing found in 2 files\n")


def test_what_nests_too_deeply_is_told_and_others_are_looked_at(folder: Path) -> None:
    (folder / "long.py").write_text("x = " + "+".join(["a"] * 100_000))
    (folder / "minus.py").write_text("x = " + "-" * 100_000 + "1")
    told = CliRunner().invoke(main, ["lint"])
    assert told.exit_code == 1
    assert [line.split(":")[0] for line in told.output.splitlines()] == [
        "app/shop.py",
        "long.py",
        "minus.py",
    ]
    assert told.output.count("cannot be read: it is nested too deeply") == 2


def test_what_is_no_file_is_passed_over(folder: Path) -> None:
    (folder / "#shop.py").symlink_to("anna@host.1234")  # as Emacs does while a file is changed
    os.mkfifo(folder / "pipe.py")
    (folder / "app" / "shop.py").unlink()
    told = CliRunner().invoke(main, ["lint"])
    assert (told.exit_code, told.output) == (0, "nothing found in 1 file\n")


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / "app" / name).symlink_to(folder, target_is_directory=True)
    told = CliRunner().invoke(main, ["lint"])
    assert told.output.splitlines() == [
        "app/shop.py:2:5: SW101 ctx.step.run(...) is not awaited, so it never runs: await it"
    ]


def test_flake8_finds_the_plugin(folder: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "flake8", "--isolated", "--select", "SW", "app"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.stdout == (
        "app/shop.py:2:5: SW101 ctx.step.run(...) is not awaited, so it never runs: await it\n"
    )
