"""The outbox table: how a batch of events is written into a user's transaction, by any driver.

The only place that knows database drivers by their shape. None is imported: a connection is known
by the module its class comes from. `stepwell.outbox` empties the table.

Law: nothing here commits what the user has begun; only the relay commits, on its own connection.
"""

import re
import secrets
import time
from collections.abc import Awaitable, Sequence
from inspect import isawaitable
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.wire.identifier import FIRST_SEEDED, parse_seed, seeded_ulid

TABLE = """CREATE TABLE IF NOT EXISTS stepwell_outbox (
    id VARCHAR(64) PRIMARY KEY,
    body TEXT NOT NULL,
    events INTEGER NOT NULL,
    seed VARCHAR(255) NOT NULL,
    env VARCHAR(255)
)"""
INSERT = "INSERT INTO stepwell_outbox (id, body, events, seed, env) VALUES (?, ?, ?, ?, ?)"
OLDEST = "SELECT id, body, events, seed, env FROM stepwell_outbox ORDER BY id LIMIT ?"
DELETE = "DELETE FROM stepwell_outbox WHERE id = ?"
UNTAKEN = " FOR UPDATE SKIP LOCKED"
"""Rows that another relay is just sending are left to it, where the database can say so."""

Values: TypeAlias = tuple[object, ...]
T = TypeVar("T")


class Row(NamedTuple):
    """One request's worth of events, as it waits."""

    id: str
    body: str
    events: int
    seed: str
    env: str | None

    @property
    def batch(self) -> EventBatch:
        """What is sent."""
        return EventBatch(self.body.encode(), self.events, self.seed, self.env)


async def done(found: Any) -> Any:
    """What a driver returned, awaited if it is one of asyncio's."""
    return await found if isawaitable(found) else found


def _marked(sql: str, style: str) -> str:
    """A statement with the driver's own placeholders in place of question marks."""
    if style == "qmark":
        return sql
    if style in ("format", "pyformat"):
        return sql.replace("?", "%s")
    if style in ("numeric", "numeric_dollar"):
        numbers = iter(range(1, 100))
        sign = "$" if style == "numeric_dollar" else ":"
        return re.sub(r"\?", lambda _: f"{sign}{next(numbers)}", sql)
    raise ConfigurationError(f"the outbox knows no placeholders of the style {style!r}")


class Database:
    """A connection whose `execute` returns a cursor: sqlite3 and psycopg."""

    def __init__(self, connection: Any, style: str, *, asyncio: bool, postgres: bool) -> None:
        """`style` is that of its placeholders, as PEP 249 names them."""
        self.connection = connection
        self.style = style
        self.asyncio = asyncio
        self.postgres = postgres

    @property
    def in_transaction(self) -> bool:
        """Will what is executed wait for a commit of the caller's?"""
        kept = self.connection
        if self.postgres:
            return bool(not kept.autocommit or kept.info.transaction_status != 0)
        itself = kept.isolation_level is None or getattr(kept, "autocommit", None) is True
        return bool(kept.in_transaction or not itself)

    async def refuse_autocommit(self) -> None:
        """Raises ConfigurationError where each statement is committed at once, for connections that
        tell so only when they are asked."""

    async def begin(self) -> None:
        """Begin a transaction on a connection of ours; most drivers do so by themselves."""

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement; returns the cursor."""
        return await done(self.connection.execute(_marked(sql, self.style), values))

    async def ask(self, sql: str, values: Values) -> None:
        """Run a statement that answers with rows, which nobody wants."""
        cursor = await self.execute(sql, values)
        await done(cursor.close())

    async def is_postgres(self) -> bool:
        """Is this a PostgreSQL?"""
        return self.postgres

    async def take(self, rows_max: int) -> list[Row]:
        """The oldest rows, on PostgreSQL those that nobody else is sending until the next commit.

        Elsewhere no lock outlasts this: it would make writers wait for the network.
        """
        cursor = await self.execute(OLDEST + UNTAKEN if self.postgres else OLDEST, (rows_max,))
        rows = [Row(*row) for row in await done(cursor.fetchall())]
        if not self.postgres:
            await self.commit()
        return rows

    async def delete(self, rows: Sequence[Row]) -> None:
        """Forget rows that were sent."""
        for row in rows:
            await self.execute(DELETE, (row.id,))

    async def commit(self) -> None:
        """End the transaction of a connection of ours."""
        await done(self.connection.commit())

    async def close(self) -> None:
        """Close a connection of ours."""
        await done(self.connection.close())


class Psycopg2(Database):
    """A connection of psycopg2, which wants a cursor made first."""

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement; returns the cursor."""
        cursor = self.connection.cursor()
        cursor.execute(_marked(sql, self.style), values)
        return cursor


class Django(Psycopg2):
    """One of `django.db.connections`."""

    @property
    def in_transaction(self) -> bool:
        """Is this within `atomic`, or are transactions managed by hand?"""
        return bool(self.connection.in_atomic_block or not self.connection.get_autocommit())

    async def begin(self) -> None:
        """Leave the mode in which each statement commits itself."""
        self.connection.set_autocommit(False)

    async def commit(self) -> None:
        """Commit, and leave the connection as Django lends it."""
        if not self.connection.get_autocommit():
            self.connection.commit()
            self.connection.set_autocommit(True)


class Asyncpg(Database):
    """A connection of asyncpg, or what a pool of it lends."""

    @property
    def in_transaction(self) -> bool:
        """Is this within `connection.transaction()`?"""
        return bool(self.connection.is_in_transaction())

    async def begin(self) -> None:
        """Begin a transaction."""
        await self.connection.execute("BEGIN")

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement."""
        return await self.connection.execute(_marked(sql, self.style), *values)

    async def ask(self, sql: str, values: Values) -> None:
        """Run a statement that answers with rows, which nobody wants."""
        await self.execute(sql, values)

    async def take(self, rows_max: int) -> list[Row]:
        """The oldest rows that nobody else is sending until the next commit."""
        found = await self.connection.fetch(_marked(OLDEST + UNTAKEN, self.style), rows_max)
        return [Row(*row) for row in found]

    async def commit(self) -> None:
        """End the transaction."""
        await self.connection.execute("COMMIT")


class Alchemy(Database):
    """A session or connection of SQLAlchemy, blocking or of asyncio."""

    @property
    def in_transaction(self) -> bool:
        """Its statements begin one, whatever was executed before."""
        return True

    async def refuse_autocommit(self) -> None:
        """Raises ConfigurationError for SQLAlchemy's isolation level AUTOCOMMIT."""
        inner = await self._inner()
        plain = getattr(inner, "sync_connection", inner)
        level = plain.get_execution_options().get("isolation_level")
        # What `create_engine` was told, which nothing public tells.
        level = level or getattr(plain.dialect, "_on_connect_isolation_level", None)
        if level == "AUTOCOMMIT":
            raise ConfigurationError(
                'the connection has isolation_level = "AUTOCOMMIT", so nothing could take the'
                " events back: give it another, or leave out connection= to send them at once"
            )

    async def begin(self) -> None:
        """Learn which database this is; a transaction begins with the first statement."""
        self.postgres = await self.is_postgres()

    async def is_postgres(self) -> bool:
        """Is this a PostgreSQL?"""
        return bool((await self._inner()).dialect.name == "postgresql")

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement on the connection of the session's transaction."""
        inner = await self._inner()
        marked = _marked(sql, inner.dialect.paramstyle)
        return await done(inner.exec_driver_sql(marked, values))

    async def _inner(self) -> Any:
        session = self.connection
        if hasattr(session, "exec_driver_sql"):
            return session
        return await done(session.connection())


def database(connection: Any) -> Database:
    """What speaks to a connection. Raises ConfigurationError for one nobody understands."""
    kind = cast(type[object], type(connection))
    modules = [base.__module__ for base in kind.__mro__]
    packages = {module.partition(".")[0] for module in modules}
    if "sqlalchemy" in packages:
        if hasattr(connection, "exec_driver_sql") or hasattr(connection, "get_bind"):
            waits = any(module.startswith("sqlalchemy.ext.asyncio") for module in modules)
            return Alchemy(connection, "", asyncio=waits, postgres=False)
        raise ConfigurationError(
            f"connection is SQLAlchemy's {kind.__name__}, which is in no transaction: pass the"
            " session or the connection that is"
        )
    if "sqlite3" in packages:
        return Database(connection, "qmark", asyncio=False, postgres=False)
    if "psycopg" in packages:
        waits = any(base.__name__ == "AsyncConnection" for base in kind.__mro__)
        return Database(connection, "format", asyncio=waits, postgres=True)
    if "asyncpg" in packages:
        return Asyncpg(connection, "numeric_dollar", asyncio=True, postgres=True)
    if "psycopg2" in packages:
        return Psycopg2(connection, "format", asyncio=False, postgres=True)
    if "django" in packages:
        postgres = getattr(connection, "vendor", "") == "postgresql"
        return Django(connection, "format", asyncio=False, postgres=postgres)
    raise ConfigurationError(
        f"connection is of {kind.__module__}.{kind.__qualname__}, which nobody here understands:"
        " pass a connection of sqlite3, psycopg, psycopg2, asyncpg or Django, or one of"
        " SQLAlchemy's connections or sessions"
    )


def in_transaction(connection: Any) -> Database:
    """What speaks to a connection that is in a transaction.

    Raises ConfigurationError for one nobody understands, and outside of a transaction, where
    nothing would hold the events back.
    """
    found = database(connection)
    if not found.in_transaction:
        raise ConfigurationError(
            "the connection is in no transaction, so nothing could take the events back: begin"
            " one, or leave out connection= to send them at once"
        )
    return found


def ids_of(batch: EventBatch) -> tuple[str, ...]:
    """The ids the server gives to the events of a batch.

    Raises ConfigurationError for a seed that cannot be read.
    """
    seed = parse_seed(batch.seed)
    if seed is None:
        raise ConfigurationError(f"seed = {batch.seed!r} is no seed of event ids")
    places = range(FIRST_SEEDED, FIRST_SEEDED + batch.count)
    return tuple(seeded_ulid(seed, place) for place in places)


class OutboxPort:
    """Delivers batches into the outbox, in the transaction of a connection: an EventPort."""

    def __init__(self, connection: Any) -> None:
        """Raises ConfigurationError as `in_transaction` does."""
        self._database = in_transaction(connection)

    async def deliver(self, batch: EventBatch) -> Delivery:
        """Write the batch; the ids are those the server will give. Raises what the driver does,
        and ConfigurationError for a seed that cannot be read, and where nothing waits for a commit
        of the caller's."""
        await self._database.refuse_autocommit()
        ids = ids_of(batch)
        # Rows are sent in the order of their ids.
        row_id = f"{time.time_ns():020d}-{secrets.token_hex(8)}"
        row = Row(row_id, batch.body.decode(), batch.count, batch.seed, batch.env)
        await self._database.execute(INSERT, tuple(row))
        return Delivery(200, ids)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        """The same for blocking code, on the caller's thread. A driver must be a blocking one."""
        return finished(self.deliver(batch))


def finished(work: Awaitable[T]) -> T:
    """The result of a coroutine that waits for nothing; drivers belong to their thread.

    Raises ConfigurationError if it does wait.
    """
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return cast(T, end.value)
    if hasattr(steps, "close"):
        steps.close()  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
    raise ConfigurationError(
        "the connection is one of asyncio: use `await client.send(..., connection=...)`"
    )
