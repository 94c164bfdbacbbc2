"""Opens connections. The only place that knows what a session of ours is set to, and how a database
is called without telling its password."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row

from stepwell.server.store.named_sql import named_statements
from stepwell.server.store.port import Unavailable
from stepwell.server.store.postgres.failure import in_our_words
from stepwell.server.store.postgres.parameters import Encode

Wanted: TypeAlias = Sequence[object] | Mapping[str, object]


class Prepared(NamedTuple):
    """A statement as a connection has it: its name there (none behind a pooler), its text, the
    names of its parameters where they have some, and how each is written."""

    name: bytes
    text: bytes
    names: tuple[str, ...]
    encode: tuple[Encode, ...]

    def values(self, wanted: Wanted) -> list[bytes | None]:
        """Parameters as they are sent."""
        given = [wanted[name] for name in self.names] if isinstance(wanted, Mapping) else wanted
        return [
            None if value is None else encode(value)
            for encode, value in zip(self.encode, given, strict=True)
        ]


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection, and the statements that are prepared on it."""

    def __init__(self, pgconn: pq.abc.PGconn, row_factory: Any = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self.prepared: dict[bytes, Prepared] = {}
        self.is_pooled = False
        """Whether it leads to a pooler that gives each transaction another connection: nothing that
        is set or prepared on this one is there for the next."""


class Address(NamedTuple):
    """Where a database is, as libpq takes it, and whether a pooler in transaction mode is in
    between."""

    url: str
    is_pooled: bool


def address_of(url: str) -> Address:
    """An address as it was given: with `pgbouncer=true` among its parameters if there is a pooler.

    Raises `Unavailable` where that says something else.
    """
    found = _PGBOUNCER.search(url) if "://" in url else None
    if found is None:
        return Address(url, is_pooled=False)
    if found[2] not in ("true", "false"):
        raise Unavailable(
            f"pgbouncer={found[2]} in the address of the database says nothing; give true for a"
            " pooler in transaction mode, or leave it out"
        )
    rest = url[: found.start()] + (found[1] + url[found.end() :] if found[3] else "")
    return Address(rest, found[2] == "true")


def set_to(settings: Mapping[str, str], *, once: bool = False) -> bytes:
    """A statement that sets a connection, or with `once` only the transaction it is in."""
    parts = (f"set_config('{name}', '{value}', {once})" for name, value in settings.items())
    return f"SELECT {', '.join(parts)}".encode()


SQL = {
    name: statement.encode()
    for name, statement in named_statements(
        files("stepwell.server.store.postgres").joinpath("query.sql").read_text("utf-8")
    ).items()
}

FEW_ROWS = 2
"""So many rows are given to a statement value by value: to take columns apart is more work for the
database than to write a row."""
_COLUMNS = re.compile(
    rb"unnest\(((?:\s*%[bs]::\w+\[\],?)+\s*)\)(?!\s+WITH ORDINALITY)(\s+AS\s+\w+)?"
)


def of_rows(name: str, rows: Sequence[Sequence[object]]) -> tuple[bytes, Sequence[object]]:
    """A statement whose parameters are columns, as it is for these rows, and what it is given."""
    few = _of_few(name, len(rows)) if len(rows) <= FEW_ROWS else None
    if few is not None:
        return few, [value for row in rows for value in row]
    return SQL[name], [list(column) for column in zip(*rows, strict=True)]


@cache
def _of_few(name: str, count: int) -> bytes | None:
    """None where the order of the rows counts."""

    def values(found: re.Match[bytes]) -> bytes:
        row = b"(" + found[1].replace(b"[]", b"") + b")"
        return b"(VALUES " + b", ".join([row] * count) + b")" + (found[2] or b" AS few")

    statement, changed = _COLUMNS.subn(values, SQL[name])
    return statement if changed else None


CONNECT_S = 5
"""So long, in seconds, a server may take to answer at first."""
VERSION_MIN = 130000

BY_INDEX = {"enable_seqscan": "off", "jit": "off"}
"""Everything is looked for in an index. Of tables that grow faster than statistics are taken the
database thinks otherwise, and keeps its plan."""
_ALWAYS = BY_INDEX | {"default_transaction_isolation": "read committed"}
_PGBOUNCER = re.compile(r"([?&])pgbouncer=([^&]*)(&?)")

_SETTINGS: dict[str, Any] = {
    "application_name": "stepwell",
    "client_encoding": "UTF8",
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def connect(url: str) -> Connection:
    """A connection on which nothing is in a transaction unless it was begun. What the URL says
    itself goes before our settings.

    Raises `Unavailable`.
    """
    name = name_of(url)
    address = address_of(url)
    with in_our_words(name):
        told = conninfo_to_dict(address.url)
        settings = {key: value for key, value in _SETTINGS.items() if key not in told}
        threshold = None if address.is_pooled else 1
        connection = Connection.connect(
            address.url, autocommit=True, prepare_threshold=threshold, **settings
        )
        connection.is_pooled = address.is_pooled
        if not address.is_pooled:
            connection.execute(set_to(_ALWAYS))
    if connection.info.server_version < VERSION_MIN:
        version = connection.info.server_version // 10_000
        connection.close()
        raise Unavailable(f"{name} is PostgreSQL {version}; Stepwell needs 13 or newer")
    return connection


def name_of(url: str) -> str:
    """What a database is called in messages: where it is, and nothing secret.

    Raises `Unavailable` where the URL cannot be read.
    """
    try:
        told = conninfo_to_dict(address_of(url).url)
    except psycopg.ProgrammingError:
        raise Unavailable(
            "the address of the database cannot be read; give it as"
            " postgresql://user:password@host:5432/database"
        ) from None
    host, port = told.get("host") or "localhost", told.get("port") or 5432
    return f"the database {told.get('dbname') or told.get('user') or ''!r} at {host}:{port}"
