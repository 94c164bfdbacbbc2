"""What became of events that were skipped and were to start their runs after all, as the API tells
it."""

import msgspec


class Replayed(msgspec.Struct, frozen=True):
    """How many started a run or are held for one, how many were skipped once more, and whether
    there are more: then ask again."""

    function: str
    started: int
    skipped: int
    more: bool
