"""A copy of a database that is in use: the only place that makes one.

The copy is what was committed when it began. It is made beside the place it is meant for, looked
at, brought to the disk, and only then given its name: a file of that name is whole.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from stepwell.server.store.port import Corrupt, Unavailable
from stepwell.server.store.sqlite.connection import open_reader
from stepwell.server.store.sqlite.failure import in_our_words
from stepwell.server.store.sqlite.integrity import problems_of
from stepwell.server.store.sqlite.migrating import check_schema

PAGES_AT_ONCE = 2_048
OWNER_ONLY = 0o600

Progress = Callable[[int, int], None]
"""Told how many pages were copied, and of how many."""


def back_up(database: Path, to: Path, progress: Progress = lambda done, of: None) -> int:
    """Copy a database to a file that is not there yet; returns the size of the copy in bytes.

    Whoever writes to the database meanwhile is not held up. Raises `Unavailable` if the file is
    there or cannot be made, `Corrupt` if the database is none of this version or is damaged.
    """
    if to.exists():
        raise Unavailable(f"{to} is there already; name another file, or remove that one")
    part = to.with_name(f"{to.name}.part")
    try:
        _made(part)
        with closing(open_reader(str(database))) as source:
            check_schema(source, str(database))
            _copy(source, part, progress)
        _to_disk(part)
        part.rename(to)
        _to_disk(to.parent)
    except OSError as error:
        raise Unavailable(f"{to} cannot be made; check its folder and its room: {error}") from error
    finally:
        for left in (part, Path(f"{part}-wal"), Path(f"{part}-shm")):
            with suppress(OSError):
                left.unlink()
    return to.stat().st_size


def _made(part: Path) -> None:
    """An empty file that its owner alone may read."""
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))


def _copy(source: sqlite3.Connection, part: Path, progress: Progress) -> None:
    with in_our_words(str(part)), closing(sqlite3.connect(part, isolation_level=None)) as copy:
        # One transaction: what others write meanwhile does not make the copy begin anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(
            copy,
            pages=PAGES_AT_ONCE,
            progress=lambda _status, left, of: progress(of - left, of),
            sleep=0.001,
        )
        source.execute("ROLLBACK")
        problems = problems_of(copy)
    if problems:
        raise Corrupt(
            f"the database is damaged, and so is its copy: {'; '.join(problems[:5])}. Keep your"
            " older backups; what can be read of it, `sqlite3 FILE .recover` gives"
        )


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
