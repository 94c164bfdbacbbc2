"""Whether the last process that had the database closed it. The only place that reads and writes
the mark of that: the header's `user_version`, 1 while a process has the file."""

import sqlite3

_OPEN = 1


def begin(connection: sqlite3.Connection) -> bool:
    """This process has the database from now on. Whether the one before it ended in order."""
    was_open = connection.execute("PRAGMA user_version").fetchone()[0] == _OPEN
    if not was_open:
        connection.execute(f"PRAGMA user_version = {_OPEN}")
    return not was_open


def end(connection: sqlite3.Connection) -> None:
    """It lets go of it."""
    connection.execute("PRAGMA user_version = 0")
