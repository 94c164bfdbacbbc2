"""The outbox table: how a batch of events is written into a user's transaction, by any driver.

The only place that knows database drivers by their shape. None is imported: a connection is known
by the module its class comes from. `stepwell.outbox` empties the table.

Law: nothing here commits what the user has begun; only the relay commits, on its own connection.
"""

import re
import secrets
import time
from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from stepwell.sdk.delivery import Delivery, EventBatch
from stepwell.sdk.errors import ConfigurationError
from stepwell.wire.identifier import parse_seed, seeded_ulid

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

    def __init__(self, connection: Any, style: str) -> None:
        self.connection = connection
        self.style = style

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement; returns the cursor."""
        return await done(self.connection.execute(_marked(sql, self.style), values))

    async def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Run a query."""
        cursor = await self.execute(sql, values)
        return [Row(*row) for row in await done(cursor.fetchall())]

    async def commit(self) -> None:
        """End the transaction of a connection of ours."""
        await done(self.connection.commit())

    async def close(self) -> None:
        """Close a connection of ours."""
        await done(self.connection.close())


class Cursors(Database):
    """A connection that wants a cursor made first: Django, psycopg2 and others of PEP 249."""

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement; returns the cursor."""
        cursor = self.connection.cursor()
        cursor.execute(_marked(sql, self.style), values)
        return cursor


class Asyncpg(Database):
    """A connection of asyncpg, or what a pool of it lends."""

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement."""
        return await self.connection.execute(_marked(sql, self.style), *values)

    async def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Run a query."""
        found = await self.connection.fetch(_marked(sql, self.style), *values)
        return [Row(*row) for row in found]

    async def commit(self) -> None:
        """Outside of a transaction every statement is committed at once."""


class Alchemy(Database):
    """A session or connection of SQLAlchemy, blocking or of asyncio."""

    async def execute(self, sql: str, values: Values = ()) -> Any:
        """Run a statement on the connection of the session's transaction."""
        inner = self.connection
        if not hasattr(inner, "exec_driver_sql"):
            inner = await done(inner.connection())
        marked = _marked(sql, inner.dialect.paramstyle)
        return await done(inner.exec_driver_sql(marked, values))


def database(connection: Any) -> Database:
    """What speaks to a connection. Raises ConfigurationError for one nobody understands."""
    kind = cast(type[object], type(connection))
    packages = {base.__module__.partition(".")[0] for base in kind.__mro__}
    if "sqlalchemy" in packages:
        if hasattr(connection, "exec_driver_sql") or hasattr(connection, "get_bind"):
            return Alchemy(connection, "")
        raise ConfigurationError(
            f"connection is SQLAlchemy's {kind.__name__}, which is in no transaction: pass the"
            " session or the connection that is"
        )
    if "sqlite3" in packages:
        return Database(connection, "qmark")
    if "psycopg" in packages:
        return Database(connection, "format")
    if "asyncpg" in packages:
        return Asyncpg(connection, "numeric_dollar")
    if packages & {"django", "psycopg2"}:
        return Cursors(connection, "format")
    raise ConfigurationError(
        f"connection is of {kind.__module__}.{kind.__qualname__}, which nobody here understands:"
        " pass a connection of sqlite3, psycopg, asyncpg or Django, or one of SQLAlchemy's"
        " connections or sessions"
    )


class OutboxPort:
    """Delivers batches into the outbox, in the transaction of a connection: an EventPort."""

    def __init__(self, connection: Any) -> None:
        """Raises ConfigurationError for a connection nobody understands."""
        self._database = database(connection)

    async def deliver(self, batch: EventBatch) -> Delivery:
        """Write the batch; the ids are those the server will give. Raises what the driver does."""
        # Rows are sent in the order of their ids.
        row_id = f"{time.time_ns():020d}-{secrets.token_hex(8)}"
        row = Row(row_id, batch.body.decode(), batch.count, batch.seed, batch.env)
        await self._database.execute(INSERT, tuple(row))
        seed = parse_seed(batch.seed)
        ids = ("" if seed is None else seeded_ulid(seed, index) for index in range(batch.count))
        return Delivery(200, tuple(ids))

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
