"""Brings a database to the schema of this version. The only place that reads and writes its number.

Each migration is one transaction with its number, and whoever runs one locks the row of the number
first: many servers may start at once, and one of them does it.
"""

import re
from importlib.resources import files

import psycopg

from stepwell.server.store.port import Corrupt
from stepwell.server.store.postgres.connection import SQL, Connection
from stepwell.server.store.postgres.failure import in_our_words

_FILES = files("stepwell.server.store.postgres")
_NUMBERED = re.compile(r"(\d{3})\.sql")
ATTEMPTS = 10
"""Whoever makes a schema at the same moment as another may be refused it, and looks again."""


def migrations() -> dict[int, str]:
    """Every migration by number, in order. The first makes the schema of the first version."""
    found = {
        int(match[1]): entry.read_text("utf-8")
        for entry in _FILES.joinpath("migration").iterdir()
        if (match := _NUMBERED.fullmatch(entry.name))
    }
    return dict(sorted(found.items()))


def migrate(connection: Connection, name: str) -> None:
    """Bring the database to the schema of this version.

    Raises `Corrupt` if it is newer.
    """
    known = migrations()
    with in_our_words(name):
        version = _version(connection)
        if version is None:
            _begin(connection)
            version = 0
        while version < max(known):
            version = _step(connection, known)
    if version > max(known):
        raise Corrupt(
            f"{name} has schema {version}, and this version of Stepwell knows {max(known)} at most;"
            " run the newer version again, or use another database"
        )


def _version(connection: Connection) -> int | None:
    """The schema's number; None for a database that has none of our tables."""
    try:
        row = connection.execute(SQL["version"]).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    return None if row is None else int(row[0])


def _begin(connection: Connection) -> None:
    """Make the row that is locked, if nobody else did."""
    for attempt in range(ATTEMPTS):
        try:
            # Who may not make a schema may be given one.
            if connection.execute(SQL["schema_made"]).fetchone() is None:
                connection.execute(SQL["make_schema"])
            connection.execute(SQL["make_version"])
            connection.execute(SQL["begin_version"])
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


def _step(connection: Connection, known: dict[int, str]) -> int:
    """The next migration, unless somebody else did it meanwhile. Returns the schema's number."""
    with connection.transaction():
        row = connection.execute(SQL["version_locked"]).fetchone()
        version = 0 if row is None else int(row[0])
        following = version + 1
        if following not in known:
            return version
        connection.execute(known[following].encode())
        connection.execute(SQL["set_version"], (following,))
    return following
