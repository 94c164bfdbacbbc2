"""A call that may be what ended the process it ran in.

Where functions run in the server's own process, a call that ends the process (a crash in C,
`os._exit`, too much memory) takes with it whoever could have told. So what may have been under way
when a process died has its beginnings counted in the store from the second on, begins behind
everything else and apart from the others like it, and has failed after its tries.
"""

import msgspec

from stepwell.server.engine.calling.advance import call_failed
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import Broke, WorkAsked
from stepwell.server.engine.moment import PLACES, TICKS_PER_MS
from stepwell.server.engine.name.lease_id import place_in_order
from stepwell.server.engine.row.run import Item, ItemKind, Run
from stepwell.wire.failure import Failure, encode_failure

LOCAL = "local"
"""How an app is called whose functions are in the server's own process."""

APART_MS = 1_000
"""So long after one suspect the next begins: whichever ends the process, it is told by that."""

TRIES_MIN = 3
"""A function without retries may have been under way by chance, twice."""


def end_if_fatal(draft: Draft, item: Item) -> None:
    """End the run of a call that was begun as often as it may be, and ended its process."""
    run = draft.run(item.run_id)
    if not item.losses or run is None or run.ended or not _is_here(draft, run, item):
        return
    listing = draft.view.catalog.listing(run.function)
    begun = item.losses + 1
    tries = max(TRIES_MIN, 1 if listing is None else listing.attempts_max)
    if begun + item.attempt < tries:
        return
    failure = Failure(
        name="ProcessEnded",
        message=f"The process this call ran in ended, or was killed, each of the {begun} times the"
        " call was begun.",
    )
    call_failed(draft, run, item, Broke(failure, encode_failure(failure), no_retry=True))


def begun_again(draft: Draft, given: WorkAsked, item: Item, run: Run, place: int) -> Item | None:
    """The item as it is to be begun, its beginning counted if need be; None if it waits for now.

    `place` counts the suspects of one decision.
    """
    if not _is_here(draft, run, item):
        return item
    if item.losses and item.due_ms <= given.suspect_before_ms:
        later = draft.now.ms + APART_MS * (place + item.losses)
        draft.move(msgspec.structs.replace(item, due_ms=later))
        return None
    if not item.losses and _since_ms(item) >= given.suspect_before_ms:
        return item
    counted = msgspec.structs.replace(item, losses=item.losses + 1)
    draft.add(fact.ItemMoved(counted))
    return counted


def _is_here(draft: Draft, run: Run, item: Item) -> bool:
    app = draft.view.catalog.apps.get(run.app)
    return item.kind is ItemKind.CALL and app is not None and app.method == LOCAL


def _since_ms(item: Item) -> int:
    """When the item took its present form, or, where it does not say, fell due."""
    return place_in_order(item) // PLACES // TICKS_PER_MS if item.detail else item.due_ms
