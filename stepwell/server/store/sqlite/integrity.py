"""Is a database what SQLite wrote? The only place that asks. SQLite keeps no checksums of pages: it
knows a broken structure, not a value that reads as another.
"""

import logging
import sqlite3
import time

from stepwell.server.store.port import Corrupt

CHECK_S = 10.0
_STEPS = 100_000
_SHOWN_MAX = 5

log = logging.getLogger("stepwell.sqlite")


def check_at_start(
    connection: sqlite3.Connection, path: str, *, seconds_max: float = CHECK_S
) -> None:
    """Look at a database whose last process did not close it, for so long at most.

    Raises `Corrupt` where it is damaged; the log is told of what was not looked at.
    """
    until = time.monotonic() + seconds_max
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        problems = _asked(connection, "PRAGMA quick_check(5)")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        log.warning(
            "%s was not closed by the process before, and is too large to be looked at in %.0f s;"
            " `stepwell doctor --deep --database FILE` looks at all of it while no server runs",
            path,
            seconds_max,
        )
        return
    finally:
        connection.set_progress_handler(None, 0)
    if problems:
        raise Corrupt(
            f"{path} is damaged: {'; '.join(problems[:_SHOWN_MAX])}. Restore a backup; what can be"
            f" read of it, `sqlite3 FILE .recover` gives"
        )


def problems_of(connection: sqlite3.Connection) -> list[str]:
    """Everything that is wrong with a database, indexes included, as sentences; at most 100."""
    return _asked(connection, "PRAGMA integrity_check(100)")


def _asked(connection: sqlite3.Connection, question: str) -> list[str]:
    try:
        found = [line for row in connection.execute(question) for line in str(row[0]).splitlines()]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        return [str(error)]
    return [] if found == ["ok"] else found
