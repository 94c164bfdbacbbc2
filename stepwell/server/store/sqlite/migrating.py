"""Brings a database to the schema of this version. The only place that reads and writes its number.

A fresh file gets `schema.sql` at once; an older one gets every migration it has not seen, each in
a transaction with its number, so that a crash between two of them harms nothing.
"""

import re
import sqlite3
from importlib.resources import files

from stepwell.server.store.port import Corrupt
from stepwell.server.store.sqlite.failure import in_our_words

_FILES = files("stepwell.server.store.sqlite")
_NUMBERED = re.compile(r"(\d{3})\.sql")


def migrations() -> dict[int, str]:
    """Every migration by number, in order. The first makes the schema of the first version."""
    found = {
        int(match[1]): entry.read_text("utf-8")
        for entry in _FILES.joinpath("migration").iterdir()
        if (match := _NUMBERED.fullmatch(entry.name))
    }
    return dict(sorted(found.items()))


def fresh_schema() -> str:
    """The schema of this version."""
    return _FILES.joinpath("schema.sql").read_text("utf-8")


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the database to the schema of this version.

    Raises `Corrupt` if it is newer, or is the database of another program.
    """
    known = migrations()
    latest = max(known)
    with in_our_words(path):
        version = _version(connection, path)
        if version is None:
            _run(connection, fresh_schema(), latest)
            return
        if version > latest:
            raise Corrupt(
                f"{path} has schema {version}, and this version of Stepwell knows {latest} at most;"
                " run the newer version again, or use another file"
            )
        for number in range(version + 1, latest + 1):
            _run(connection, known[number], number)


def check_schema(connection: sqlite3.Connection, path: str) -> None:
    """Raise `Corrupt` unless the database has the schema of this version, whose words we know."""
    latest = max(migrations())
    with in_our_words(path):
        version = _version(connection, path)
    if version != latest:
        raise Corrupt(
            f"{path} has schema {version}, and this version of Stepwell reads {latest}; run the"
            " engine in this version first, or look with the version that wrote it"
        )


def _version(connection: sqlite3.Connection, path: str) -> int | None:
    """The schema's number; None for an empty database."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if not tables:
        return None
    if "schema_version" not in tables:
        raise Corrupt(f"{path} holds tables of another program; use another file")
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    if row is None:
        raise Corrupt(f"{path} does not say which schema it has; restore a backup")
    return int(row[0])


def _run(connection: sqlite3.Connection, script: str, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements(script):
            connection.execute(statement)
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (?)", (number,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def statements(script: str) -> list[str]:
    """The single statements of a script (a script as a whole would end the transaction)."""
    found: list[str] = []
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            found.append(gathered.strip())
            gathered = ""
    return found
