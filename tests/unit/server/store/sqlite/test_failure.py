"""The driver's exceptions in our words."""

import sqlite3

import pytest

from stepwell.server.store.port import (
    Busy,
    Conflict,
    Corrupt,
    StoreError,
    Unavailable,
    Unstorable,
)
from stepwell.server.store.sqlite.failure import in_our_words, translated


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Conflict),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Busy),
        (sqlite3.SQLITE_FULL, Unavailable),
        (sqlite3.SQLITE_READONLY_DBMOVED, Unavailable),
        (sqlite3.SQLITE_IOERR_WRITE, Unavailable),
        (sqlite3.SQLITE_CORRUPT_INDEX, Corrupt),
        (sqlite3.SQLITE_NOTADB, Corrupt),
        (sqlite3.SQLITE_TOOBIG, Unstorable),
    ],
)
def test_codes(code: int, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("it said so")
    error.sqlite_errorcode = code
    told = translated(error, "/data/x.db")
    assert type(told) is kind
    assert "/data/x.db" in str(told)


def test_an_error_without_a_code() -> None:
    assert "closed" in str(translated(sqlite3.ProgrammingError("closed database"), "x"))


def test_the_drivers_exception_is_the_cause() -> None:
    with pytest.raises(Unavailable) as caught, in_our_words("x"):
        sqlite3.connect(":memory:").execute("SELECT * FROM nothing")
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
