"""Answers on disk."""

import os
from pathlib import Path

import pytest

from stepwell.sdk.connect.spool import Spool
from stepwell.sdk.errors import ConfigurationError


def test_what_is_kept_is_found_again_oldest_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep" / "outbox")
    for age, name in enumerate(("b", "a", "c")):
        assert spool.keep(name, name.encode())
        os.utime(tmp_path / "deep" / "outbox" / f"{name}.reply", (age, age))
    spool.forget("c")
    spool.forget("never kept")
    spool.close()
    assert list(Spool(tmp_path / "deep" / "outbox").load().items()) == [("b", b"b"), ("a", b"a")]


def test_a_newer_answer_replaces_an_older_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.keep("a", b"old")
    spool.keep("a", b"new")
    assert spool.load() == {"a": b"new"}


def test_half_written_files_are_no_answers(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"half")
    spool = Spool(tmp_path)
    assert spool.load() == {}
    assert not (tmp_path / "a.part").exists()


@pytest.mark.parametrize("name", ["../escape", "", "a/b", "a" * 200, "a.b", "\x00"])
def test_ids_that_would_be_odd_names_are_not_kept(tmp_path: Path, name: str) -> None:
    spool = Spool(tmp_path / "outbox")
    assert not spool.keep(name, b"x")
    spool.forget(name)
    assert [path.name for path in tmp_path.rglob("*")] in (["outbox", "lock"], ["lock", "outbox"])


def test_a_directory_belongs_to_one_worker(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    with pytest.raises(ConfigurationError, match="used by another worker"):
        Spool(tmp_path)
    first.close()
    first.close()
    Spool(tmp_path).close()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Spool(tmp_path / "file" / "outbox")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "a.part").mkdir()
    assert not spool.keep("a", b"x")
