"""The driver's exceptions in the port's words. The only place that reads SQLite's error codes."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from stepwell.server.descriptors import is_descriptor_left
from stepwell.server.store.port import (
    Busy,
    Conflict,
    Corrupt,
    StoreError,
    Unavailable,
    Unstorable,
)

_CODE_MASK = 0xFF  # the rest of an extended code says more about the same thing


def translated(error: sqlite3.Error, path: str) -> StoreError:
    """What a failure means to the ledger, with the file and the fix in the message."""
    code = getattr(error, "sqlite_errorcode", None)
    basic = None if code is None else code & _CODE_MASK
    match basic:
        case sqlite3.SQLITE_CONSTRAINT:
            return Conflict(f"a row that must be new is in {path} already: {error}")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Busy(
                f"another program holds the write lock of {path}; end its transaction: only"
                f" Stepwell may write to this file ({error})"
            )
        case sqlite3.SQLITE_FULL:
            return Unavailable(f"no space is left for {path}; free some, or raise its limit")
        case sqlite3.SQLITE_CANTOPEN if not is_descriptor_left():
            return Unavailable(
                f"{path} cannot be opened: no file descriptor is left; raise the limit (ulimit -n)"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return Unavailable(
                f"{path} cannot be written; check its rights and its folder: {error}"
            )
        case sqlite3.SQLITE_TOOBIG:
            return Unstorable(f"a value is too large for any row of {path}: {error}")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return Corrupt(f"{path} is no intact Stepwell database; restore a backup: {error}")
        case _:
            return Unavailable(f"{path} failed: {error}")


@contextmanager
def in_our_words(path: str) -> Generator[None]:
    """Translates whatever the driver raises inside."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error, path) from error
