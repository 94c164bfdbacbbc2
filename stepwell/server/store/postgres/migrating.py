"""Brings a database to the schema of this version, and says how far it is from that. The only place
that reads and writes its number.

Each migration is one transaction with its number, and whoever runs one locks the row of the number
first: many servers may start at once, and one of them does it.
"""

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import takewhile
from typing import NamedTuple

import psycopg

from stepwell.server.store.port import Corrupt
from stepwell.server.store.postgres.connection import SQL, Connection
from stepwell.server.store.postgres.failure import in_our_words

_FILES = files("stepwell.server.store.postgres")
_NUMBERED = re.compile(r"(\d{3})\.sql")
_EXPECTED = "stepwell_expected"
_IS_COMMENT = re.compile("--").match
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


class Plan(NamedTuple):
    """At which schema a database is (0 without one), and what is missing, by number: what each
    migration says of itself."""

    version: int
    missing: dict[int, str]


def plan(connection: Connection, name: str) -> Plan:
    """What `migrate` would do. Changes nothing.

    Raises `Corrupt` if the database is newer.
    """
    known = migrations()
    with in_our_words(name):
        version = _version(connection) or 0
    _refuse_newer(version, known, name)
    told = {number: " ".join(_head(text)) for number, text in known.items() if number > version}
    return Plan(version, told)


def _head(migration: str) -> Iterable[str]:
    lines = (line for line in migration.splitlines() if line)
    return (line.removeprefix("--").strip() for line in takewhile(_IS_COMMENT, lines))


def differences(connection: Connection, name: str) -> list[str]:
    """How the tables of a database differ from those of this version: one sentence each. The user
    must be allowed to make a schema, which is gone again afterwards.

    Raises `Unavailable` where the user may not.
    """
    with in_our_words(name), connection.transaction(force_rollback=True):
        connection.execute(f"CREATE SCHEMA {_EXPECTED}".encode())
        for migration in migrations().values():
            connection.execute(migration.replace("stepwell.", f"{_EXPECTED}.").encode())
        for made in ("make_version", "begin_version"):
            connection.execute(SQL[made].replace(b"stepwell.", f"{_EXPECTED}.".encode()))
        there, expected = (_parts(connection, schema) for schema in ("stepwell", _EXPECTED))
    missing = [f"is missing: {part}" for part in expected if part not in there]
    return missing + [f"is not of this version: {part}" for part in there if part not in expected]


def _parts(connection: Connection, schema: str) -> list[str]:
    rows = connection.execute(SQL["schema_parts"], {"schema": schema})
    return [part.replace(f"{schema}.", "") for (part,) in rows]


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
    _refuse_newer(version, known, name)


def _refuse_newer(version: int, known: Mapping[int, str], name: str) -> None:
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
