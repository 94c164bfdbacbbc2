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
"""

import asyncio
from collections.abc import Callable
from typing import Any

from stepwell.sdk.client import Inngest
from stepwell.sdk.errors import ConfigurationError, SendEventsError
from stepwell.sdk.outbox import DELETE, OLDEST, TABLE, database, done, finished

__all__ = ["TABLE", "Relay", "create_table", "create_table_sync"]

ROWS_MAX = 100
POLL_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 60.0


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

    Several relays at once harm nothing: both may send a row, and the server keeps it once.
    """

    def __init__(
        self, client: Inngest, connect: Callable[[], Any], *, rows_max: int = ROWS_MAX
    ) -> None:
        """`connect` makes a connection, or gives one to await; the relay closes it.

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
        outbox = database(await done(self._connect()))
        try:
            sent = 0
            while rows := await outbox.rows(OLDEST, (self._rows_max,)):
                await outbox.commit()  # no lock is held while the network is waited for
                for row in rows:
                    sent += len(await self._client.deliver(row.batch))
                    await outbox.execute(DELETE, (row.id,))
                    await outbox.commit()
            return sent
        finally:
            await outbox.close()

    async def run(self, *, poll_seconds: float = POLL_SECONDS) -> None:
        """Go on until cancelled: looks every `poll_seconds`, more rarely while sending fails."""
        wait = poll_seconds
        while True:
            try:
                await self.run_once()
                wait = poll_seconds
            except SendEventsError as error:
                wait = min(BACKOFF_SECONDS_MAX, wait * 2)
                self._client.logger.warning("the outbox could not be emptied: %s", error)
            await asyncio.sleep(wait)
