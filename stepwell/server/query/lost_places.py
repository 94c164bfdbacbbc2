"""Places under the keys of flow control that nobody frees: their runs have ended. Pure but for what
the reader reads."""

import msgspec

from stepwell.server.store.port import Reader
from stepwell.wire.duration import format_instant

SHOWN_MAX = 200


class LostPlace(msgspec.Struct, frozen=True):
    """A place under a key whose run has ended: there is none, or there is a fault."""

    key: str
    run_id: str
    since: str
    text: str


def lost_places(reader: Reader) -> list[LostPlace]:
    """Those there are, by key."""
    return [
        LostPlace(
            slot.key,
            slot.run_id,
            format_instant(slot.taken_ms),
            f"run {slot.run_id} has ended, and a place under {slot.key} is still its own:"
            " a fault of the server",
        )
        for slot in reader.lost_slots(SHOWN_MAX)
    ]
