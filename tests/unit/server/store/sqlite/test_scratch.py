"""A database that goes with its process, and what is left of those whose process was killed."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from stepwell.server.store.sqlite.scratch import NAME, PREFIX, ScratchStore, sweep

DIES = """
import os
from stepwell.server.store.sqlite.scratch import ScratchStore
store = ScratchStore()
store.migrate()
print(store.folder, flush=True)
os._exit(9)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def aged(folder: Path) -> None:
    os.utime(folder, (1, 1))


def test_it_goes_when_it_is_closed(place: Path) -> None:
    store = ScratchStore()
    store.migrate()
    assert store.folder.parent == place
    assert (store.folder / NAME).is_file()
    store.close()
    assert list(place.iterdir()) == []
    store.close()


def test_what_a_killed_process_left_goes_with_the_next(place: Path) -> None:
    died = subprocess.run(
        [sys.executable, "-c", DIES], capture_output=True, text=True, check=False, timeout=60
    )
    left = Path(died.stdout.strip())
    assert (left / NAME).is_file(), died.stderr
    ScratchStore().close()
    assert left.is_dir()  # it might be in the making still
    aged(left)
    ScratchStore().close()
    assert list(place.iterdir()) == []


def test_what_is_in_use_or_not_ours_stays(place: Path) -> None:
    store = ScratchStore()
    aged(store.folder)
    others = place / "stepwell-demo-x"
    others.mkdir()
    aged(others)
    target = place / "elsewhere"
    target.mkdir()
    (target / NAME).touch()
    link = place / f"{PREFIX}link"
    link.symlink_to(target)
    sweep(place, time.time() + 60)
    assert sorted(path.name for path in place.iterdir()) == sorted(
        (store.folder.name, others.name, target.name, link.name)
    )
    assert (target / NAME).is_file()
    store.close()
