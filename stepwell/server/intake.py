"""Events on their way into the ledger, a part at a time: the only place that says how many go
together. One request may hold thousands, and nobody else should wait for all of them.
"""

from collections.abc import Sequence

from stepwell.server.engine.input import Accepted, EventsReceived
from stepwell.server.engine.row import EventRow
from stepwell.server.ledger import EngineFault, Ledger, LedgerClosed
from stepwell.server.store.port import StoreError

PART = 500


class Refused(Exception):
    """Some of the events were not stored. `ids` are those of the ones before."""

    def __init__(self, ids: tuple[str, ...], reason: Exception) -> None:
        """The ids of what is stored, and what the ledger said."""
        super().__init__(f"{len(ids)} events were stored, the others were not: {reason}")
        self.ids = ids
        self.reason = reason


async def received(ledger: Ledger, rows: Sequence[EventRow], *, fresh: bool) -> tuple[str, ...]:
    """Store events and answer their ids, in order. `fresh` as in `EventsReceived`.

    Raises `Refused` where the ledger refuses; what was stored before is stored.
    """
    ids: tuple[str, ...] = ()
    for start in range(0, len(rows), PART):
        given = EventsReceived(tuple(rows[start : start + PART]), fresh=fresh)
        try:
            answer = await ledger.submit(given)
        except (StoreError, LedgerClosed, EngineFault) as error:
            raise Refused(ids, error) from error
        assert isinstance(answer, Accepted)
        ids += answer.ids
    return ids
