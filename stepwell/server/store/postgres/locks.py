"""Locks on what may not be there yet: a key of flow control, a hold, an event's name, a signal.

Each such name falls to one of a fixed number of rows, which is locked until the transaction is
over. Two names of one row wait for each other without need, and harm nothing.

Whoever stores an event locks its name together with all who store others of it; whoever begins to
wait for the name locks it alone. So the one that comes second sees what the first has written, and
no event passes by a wait that another process opens at the same time. Pure.
"""

from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

from stepwell.server.engine.message.need import Need

ROWS = 4096
"""How many rows there are: `migration/004.sql`."""


class Locks(NamedTuple):
    """Rows to lock: alone, and together with others who do; each in order."""

    alone: list[int]
    together: list[int]


def row_of(kind: str, name: str) -> int:
    """The row that a name of a kind falls to."""
    return crc32(f"{kind}\0{name}".encode("utf-8", "surrogatepass")) % ROWS


def row_of_name(event_name: str) -> int:
    """The row of an event's name."""
    return row_of("name", event_name)


def rows_of_names(names: Iterable[str]) -> list[int]:
    """The rows of some, in order."""
    return sorted({row_of_name(name) for name in names})


def row_of_own(owner: str) -> int:
    """The row of a hold, or of anything else that items of the engine itself hang on."""
    return row_of("own", owner)


def locks_of(need: Need) -> Locks:
    """What must be locked before the rows of a need are looked for."""
    alone = {row_of("key", key) for key in need.keys | need.holders}
    alone |= {row_of_own(key) for key in need.holds | need.held}
    alone |= {row_of("dedup", "\0".join(slot)) for slot in need.dedups}
    alone |= {row_of("signal", name) for name in need.signals}
    alone |= {row_of("annotations", run_id) for run_id in need.annotations}
    alone |= {row_of_name(name) for name in need.waits}
    alone |= {row_of_name(look.name) for look in need.look_back}
    together = {row_of_name(name) for name in need.names}
    together |= {row_of_name(meeting.name) for meeting in need.meetings}
    return Locks(sorted(alone), sorted(together - alone))
