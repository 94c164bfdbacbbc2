"""When an input is decided. The only clock the engine ever sees."""

import msgspec

PLACES = 4096
"""How many facts of one input can be put in order: more than any answer may carry."""

TICKS_PER_MS = 128
"""How fast ticks follow the clock. With `PLACES` it leaves room for five centuries in 63 bits."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """Wall time in milliseconds, and a tick that grows with every input, whatever the clock does.

    The tick orders what was saved within one millisecond, so that a replay meets results in the
    order in which they came.
    """

    ms: int
    tick: int

    def place(self, index: int) -> int:
        """Position of the input's `index`-th fact among all facts ever saved."""
        return self.tick * PLACES + min(index, PLACES - 1)


def earlier(one_ms: int | None, other_ms: int | None) -> int | None:
    """The earlier of two times, either of which may be never."""
    if one_ms is None or other_ms is None:
        return one_ms if other_ms is None else other_ms
    return min(one_ms, other_ms)
