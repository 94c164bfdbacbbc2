"""Events and functions on their way into the ledger, a part at a time: the only place that says
how many go together. One request may hold thousands, and nobody else should wait for all of them.
"""

from collections.abc import Sequence

import msgspec

from stepwell.server.engine.message.input import (
    Accepted,
    Answer,
    AppRegistered,
    Done,
    EventsReceived,
)
from stepwell.server.engine.row.run import EventRow
from stepwell.server.engine.state.former import is_former
from stepwell.server.ledger import EngineFault, Ledger, LedgerClosed
from stepwell.server.store.port import StoreError

PART = 500
FUNCTIONS_PART = 100


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


async def registered(ledger: Ledger, given: AppRegistered) -> Done:
    """Register an app, one registration after another.

    Of many functions only parts become true together. Until all did, the app has no checksum: a
    registration that stopped half-way is made anew. Raises what the ledger raises.
    """
    async with ledger.registering:
        before = ledger.catalog.apps.get(given.app.name)
        if before is None or before.checksum != given.app.checksum:
            named = {function.slug for function in given.functions}
            known = ledger.catalog.of_app(given.app.name)
            gone = sorted(entry.slug for entry in known if entry.slug not in named)
            is_late = given.keeps_order and is_former(before, given.app.checksum)
            if len(gone) + len(named) > FUNCTIONS_PART and not is_late:
                return await _in_parts(ledger, given, gone)
        return _done(await ledger.submit(given))


async def _in_parts(ledger: Ledger, given: AppRegistered, gone: Sequence[str]) -> Done:
    unfinished = msgspec.structs.replace(given.app, checksum="")
    for start in range(0, len(gone), FUNCTIONS_PART):
        left = tuple(gone[start : start + FUNCTIONS_PART])
        await ledger.submit(AppRegistered(unfinished, (), is_part=True, gone=left))
    for start in range(0, len(given.functions), FUNCTIONS_PART):
        part = given.functions[start : start + FUNCTIONS_PART]
        await ledger.submit(AppRegistered(unfinished, part, is_part=True))
    return _done(await ledger.submit(AppRegistered(given.app, (), is_part=True)))


def _done(answer: Answer) -> Done:
    assert isinstance(answer, Done)
    return answer
