"""Events that are sent if, and only if, a transaction of the user's own database commits.

`client.send(events, connection=...)` writes the events into a table of that database, in the
transaction the connection is in. A `Relay` sends what was committed and deletes it; each row
carries the seed its ids derive from, so that a relay that dies between the two creates nothing
twice within the server's 24 hours.

    relay = Relay(client, lambda: sqlite3.connect("shop.db"))
    await relay.run()

Connections of sqlite3, psycopg (blocking and asyncio), psycopg2, asyncpg and Django are understood,
and SQLAlchemy's sessions and connections (blocking and asyncio). The table is made by
`create_table`, or by the statement `TABLE` in a migration of your own.

Where the engine's tables are in the same PostgreSQL database, `Inngest(shares_database=True)` needs
none of it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.send.outbox import TABLE, Database, Row, database, done, finished

__all__ = ["TABLE", "Relay", "create_table", "create_table_sync"]

ROWS_MAX = 100
POLL_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 60.0

T = TypeVar("T")


async def create_table(connection: Any) -> None:
    """Make the table if it is missing. Commits nothing: that is the caller's.

    Raises ConfigurationError for a connection nobody understands.
    """
    await database(connection).execute(TABLE)


def create_table_sync(connection: Any) -> None:
    """The same for blocking code."""
    finished(create_table(connection))


class Relay:
    """Sends what transactions left in the outbox.

    Several relays may run at once. On PostgreSQL they share the rows among them; elsewhere two may
    send the same row, and the server keeps it once.
    """

    def __init__(
        self, client: Inngest, connect: Callable[[], Any], *, rows_max: int = ROWS_MAX
    ) -> None:
        """`connect` makes a connection, or gives one to await; the relay closes it. It is called
        in a thread of the relay's, where a blocking connection stays.

        `rows_max` is how many calls of `send` are read at once. Raises ConfigurationError if it is
        not positive.
        """
        if rows_max < 1:
            raise ConfigurationError(f"rows_max = {rows_max}: give at least 1")
        self._client = client
        self._connect = connect
        self._rows_max = rows_max

    async def run_once(self) -> int:
        """Send what is there, oldest first; returns the number of events that were accepted.

        Raises SendEventsError at the first refusal or time-out: that row and later ones stay.
        """
        async with self._opened() as outbox:
            return await self._drain(outbox)

    async def run(self, *, poll_seconds: float = POLL_SECONDS) -> None:
        """Go on until cancelled: looks every `poll_seconds`, more rarely while sending fails or
        the database is away. Raises ConfigurationError for what waiting does not mend."""
        wait = poll_seconds
        while True:
            try:
                async with self._opened() as outbox:
                    while True:
                        await self._drain(outbox)
                        wait = poll_seconds
                        await asyncio.sleep(poll_seconds)
            except ConfigurationError:
                raise
            except Exception as error:  # noqa: BLE001 - of any driver; the rows are safe
                wait = min(BACKOFF_SECONDS_MAX, wait * 2)
                self._client.log.warning("the outbox could not be emptied: %s", error)
            await asyncio.sleep(wait)

    async def _drain(self, outbox: "_Opened") -> int:
        sent = 0
        while rows := await outbox.take(self._rows_max):
            gone: list[Row] = []
            try:
                for row in rows:
                    sent += len(await self._client.deliver(row.batch))
                    gone.append(row)
            finally:
                await outbox.forget(gone)
        return sent

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator["_Opened"]:
        with ThreadPoolExecutor(1, thread_name_prefix="stepwell-outbox") as thread:
            loop = asyncio.get_running_loop()
            connection = await done(await loop.run_in_executor(thread, self._connect))
            outbox = _Opened(database(connection), thread)
            try:
                yield outbox
            finally:
                await outbox.close()


class _Opened:
    """A connection of the relay. One that blocks works in a thread of its own, always the same."""

    def __init__(self, outbox: Database, thread: ThreadPoolExecutor) -> None:
        self._outbox = outbox
        self._thread = thread

    async def take(self, rows_max: int) -> list[Row]:
        """The oldest rows, taken until `forget`; none are taken if there are none."""

        async def work() -> list[Row]:
            await self._outbox.begin()
            rows = await self._outbox.take(rows_max)
            if not rows:
                await self._outbox.commit()
            return rows

        return await self._do(work())

    async def forget(self, rows: Sequence[Row]) -> None:
        """Delete rows, and let go of all that were taken."""

        async def work() -> None:
            await self._outbox.delete(rows)
            await self._outbox.commit()

        await self._do(work())

    async def close(self) -> None:
        """Close the connection."""
        await self._do(self._outbox.close())

    async def _do(self, work: Coroutine[Any, Any, T]) -> T:
        if self._outbox.asyncio:
            return await work
        # Who is cancelled leaves; what was begun in the thread ends before the connection closes.
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, finished, work))
