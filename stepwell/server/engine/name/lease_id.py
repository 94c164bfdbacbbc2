"""The only place that makes and reads the ids of leases.

A lease's id says when the lease was granted, to the tick. So an item that nobody holds any more
can tell whether a late reply is about its present form or about one that was answered before: a
reply that comes twice counts once, even when the first of them freed the item for another call.
"""

from stepwell.server.engine.moment import PLACES, TICKS_PER_MS, Moment
from stepwell.server.engine.row.run import Item, ItemKind
from stepwell.wire.identifier import is_ulid, number_of, ulid_at

_SUB_BITS = 10
_REST_BITS = 80 - _SUB_BITS
_TIME_LETTERS = 12
INDEX_LETTERS = 4
PLANNED = b"0 "
"""Before the name of a step that was planned: no call was about it before, whenever it was."""


def lease_ids(now: Moment, seed: str) -> str:
    """What the ids of all leases granted at one moment begin with: 22 letters.

    `seed` is a ULID or the beginning of one, at least 22 letters; its random part is kept.
    """
    sub = now.tick % TICKS_PER_MS << _REST_BITS
    return ulid_at(now.tick // TICKS_PER_MS, sub.to_bytes(10, "big"))[:_TIME_LETTERS] + seed[12:22]


def lease_id(prefix: str, index: int) -> str:
    """The id of the `index`-th lease of one moment."""
    return f"{prefix}{index:0{INDEX_LETTERS}X}"


def granted_tick(lease: str) -> int | None:
    """When a lease was granted; None if the text is none of our ids."""
    if not is_ulid(lease):
        return None
    time_ms, sub = divmod(number_of(lease[:_TIME_LETTERS]), 1 << _SUB_BITS)
    return time_ms * TICKS_PER_MS + sub if sub < TICKS_PER_MS else None


def since(now: Moment, step: str = "", index: int = 0) -> bytes:
    """What a call's item keeps to know when it took its present form, and as the how-manieth of its
    decision (calls of a lane that are due together come in this order); and what people call its
    step (its key is a hash)."""
    return f"{now.place(index)} {step}".rstrip().encode()


def place_in_order(item: Item) -> int:
    """When a call's item took its present form, as a place in the order of all facts."""
    return int(item.detail.partition(b" ")[0] or b"0")


def step_name(item: Item) -> str:
    """What people call the step of a call's item; empty where that is not known."""
    return item.detail.partition(b" ")[2].decode()


def is_about(lease: str, item: Item) -> bool:
    """Whether a lease that has ended was one on the item as it is now.

    False for work of the server's own: whoever did it is gone when its lease is.
    """
    if item.kind is not ItemKind.CALL:
        return False
    granted = granted_tick(lease)
    return granted is not None and granted > place_in_order(item) // PLACES
