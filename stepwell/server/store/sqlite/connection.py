"""Opens connections, each set up for its task. The only place that knows SQLite's settings.

The write-ahead log lets readers read while the one writer writes. Copying the log back into the
database is left to a connection of its own, so that no commit ever waits for it.
"""

import os
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias

from stepwell.server.store.named_sql import named_statements
from stepwell.server.store.port import Unavailable
from stepwell.server.store.sqlite.failure import in_our_words

Durability: TypeAlias = Literal["full", "relaxed"]
"""`full`: a commit is on the disk when it is answered. `relaxed`: it survives the end of the
process, but perhaps not of the machine. (On macOS a plain sync leaves what was written in the
drive, so `full` means `fullfsync` as well, which means nothing elsewhere.)"""

SQL = named_statements(
    files("stepwell.server.store.sqlite").joinpath("query.sql").read_text("utf-8")
)

VERSION_MIN = (3, 35, 0)
PAGE_BYTES = 4_096
WRITER_CACHE_KB = 16_384
READER_CACHE_KB = 2_048
BUSY_MS = 5_000
STATEMENTS = 256


def open_writer(path: str, durability: Durability) -> sqlite3.Connection:
    """The one connection that writes. Makes the file if there is none. Whoever brings it to its
    schema waits for others' locks; from then on (`wait_no_more`) it does not.

    Raises `Unavailable` if the file cannot be opened, or cannot have a write-ahead log.
    """
    if sqlite3.sqlite_version_info < VERSION_MIN:
        raise Unavailable(
            f"this Python has SQLite {sqlite3.sqlite_version}; Stepwell needs 3.35 or newer"
        )
    synchronous = "FULL" if durability == "full" else "NORMAL"
    with in_our_words(path):
        connection = _connect(path, "rwc")
        if not Path(path).stat().st_size:
            # These must come first, and would write to a file whose log is still to be looked at.
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            connection.close()
            raise Unavailable(
                f"{path} cannot have a write-ahead log (got {mode!r}); use a file on a local disk"
            )
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA fullfsync = {int(durability == 'full')}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        # Reads the log, and makes its index if there is none.
        connection.execute("PRAGMA schema_version").fetchone()
    return connection


def wait_no_more(connection: sqlite3.Connection) -> None:
    """From now on a lock that somebody else holds is refused at once (`Busy`)."""
    connection.execute("PRAGMA busy_timeout = 0")


def make_private(path: str) -> None:
    """Make the file for its owner alone, if there is none; SQLite gives its log the same rights.

    Raises `Unavailable`.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise Unavailable(
            f"cannot make {path}; check the folder and its rights: {error.strerror}"
        ) from error


def open_reader(path: str) -> sqlite3.Connection:
    """A connection that only reads, and never makes a file."""
    with in_our_words(path):
        connection = _connect(path, "ro")
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KB}")
        connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def open_keeper(path: str) -> sqlite3.Connection:
    """A connection that copies the log back and gives space back. It never waits for the writer."""
    with in_our_words(path):
        connection = _connect(path, "rw")
        wait_no_more(connection)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
    return connection


def open_unshared(path: str) -> sqlite3.Connection:
    """A connection to an empty file that nobody else opens, and that is thrown away unless all of
    it is written: nothing can be rolled back, and nothing is synced."""
    with in_our_words(path):
        connection = _connect(path, "rw")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KB}")
    return connection


def keep_log(connection: sqlite3.Connection) -> None:
    """From now on the file has a write-ahead log."""
    connection.execute("PRAGMA journal_mode = WAL")


def _connect(path: str, mode: Literal["ro", "rw", "rwc"]) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{Path(path).absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS,
    )
