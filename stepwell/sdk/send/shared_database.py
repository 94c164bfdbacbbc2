"""Events straight into the engine's tables, where those stand beside the user's own in one
PostgreSQL database: no outbox, and nobody who empties it.

The tables are the engine's business. It has a function in the database that stores events, which is
all that is known of it here; what a server would judge is judged before, by the same rules.

Law: nothing here commits what the user has begun.
"""

import time
from typing import Any, Final

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.sdk.send.outbox import finished, ids_of, in_transaction
from stepwell.wire.event import Event, decode_events, encode_event, under_id

STORE: Final = "SELECT stepwell.send(?)"
"""A JSON list of {id, name, ts, key, body} becomes events, and the engine finds them."""
_MISSING: Final = frozenset({"42883", "3F000"})
"""The SQLSTATEs of a function and of a schema that are not there."""
_FORBIDDEN: Final = "42501"
_REFUSED: Final = "22023"


class _Given(msgspec.Struct, frozen=True):
    """One event, as the function in the database takes it."""

    id: str
    name: str
    ts: int
    key: str
    body: str


class SharedDatabasePort:
    """Delivers batches to the engine in the transaction of a connection: an EventPort."""

    def __init__(self, connection: Any) -> None:
        """Raises ConfigurationError as `in_transaction` does."""
        self._database = in_transaction(connection)

    async def deliver(self, batch: EventBatch) -> Delivery:
        """Store the batch; the answer is what a server would say.

        Raises what the driver does, and ConfigurationError for a database without the engine's
        tables, or to which the connection's user may not send, and where nothing waits for a commit
        of the caller's.
        """
        if not await self._database.is_postgres():
            raise ConfigurationError(
                "shares_database = True, and the connection is not of PostgreSQL: only there can an"
                " engine's tables stand beside yours; leave it out to use the outbox"
            )
        await self._database.refuse_autocommit()
        ids = ids_of(batch)
        decoded = decode_events(batch.body, None, time.time_ns() // 1_000_000)
        if decoded.problem is not None:
            return Delivery(400, (), decoded.problem.told)
        given = [_given(id_, event) for id_, event in zip(ids, decoded.events, strict=True)]
        try:
            await self._database.ask(STORE, (msgspec.json.encode(given).decode(),))
        except Exception as error:  # noqa: BLE001 - of any driver
            return _refusal(error)
        return Delivery(200, ids)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        """The same for blocking code, on the caller's thread. A driver must be a blocking one."""
        return finished(self.deliver(batch))


def _given(event_id: str, event: Event) -> _Given:
    body = encode_event(under_id(event, event_id)).decode()
    return _Given(event_id, event.name, event.ts, event.id, body)


def _refusal(error: Exception) -> Delivery:
    """What the database's own word means. Raises what is not about events."""
    found = _cause(error)
    if found is None:
        raise error
    state, told = found
    if state == _REFUSED:
        return Delivery(400, (), told)
    if state in _MISSING:
        raise ConfigurationError(
            "shares_database = True, and the connection's database has no function stepwell.send:"
            " it is another database than the server's, or the server there is older; start one"
            " (or run `stepwell migrate`), or leave out shares_database to use the outbox"
        ) from error
    if state == _FORBIDDEN:
        raise ConfigurationError(
            "the connection's user may not send events: GRANT USAGE ON SCHEMA stepwell to it"
        ) from error
    raise error


def _cause(error: BaseException | None) -> tuple[str, str] | None:
    """The SQLSTATE of a driver's error and its words, whatever wraps it."""
    while error is not None:
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        if isinstance(state, str):
            return state, str(error).partition("\n")[0]
        error = getattr(error, "orig", None) or error.__cause__
    return None
