"""Starts that were put off and cannot go on: their function is gone, or their timer is. Pure but
for what the reader reads."""

from collections.abc import Container

import msgspec

from stepwell.server.engine.row.flow import Hold, HoldKind
from stepwell.server.store.port import Reader
from stepwell.wire.duration import format_instant

LATE_MS = 60_000
"""A hold that is due is started at once; so long after, something is amiss."""
SHOWN_MAX = 200


class HeldBack(msgspec.Struct, frozen=True):
    """An open debounce or batch that does not start, with how many events, and why."""

    function: str
    events: int
    since: str
    text: str


def held_back(reader: Reader, functions: Container[str], now_ms: int) -> list[HeldBack]:
    """Holds that are long due, or whose function is registered no more; the oldest first."""
    amiss = (
        hold
        for hold in reader.holds()
        if hold.function not in functions or hold.due_ms < now_ms - LATE_MS
    )
    found = (_told(reader, functions, hold) for hold in amiss)
    return [one for one in found if one is not None][:SHOWN_MAX]


def _told(reader: Reader, functions: Container[str], hold: Hold) -> HeldBack | None:
    kind = "batch" if hold.kind is HoldKind.BATCH else "debounce"
    since = format_instant(hold.opened_ms)
    count = f"{hold.count} event{'s' if hold.count > 1 else ''}"
    if hold.function not in functions:
        text = f"{count} in a {kind} since {since}: serve the function again under that id"
    elif not reader.items(hold.key):
        text = f"{count} in a {kind} since {since}, which has no timer: a fault of the server"
    else:
        return None
    return HeldBack(hold.function, hold.count, since, text)
