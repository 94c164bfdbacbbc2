"""So many runs wait for their first call: beyond that the new one is skipped, or the oldest
cancelled."""

import msgspec

from stepwell.server.flow.key import NO_KEY, Key


class Backlog(msgspec.Struct, frozen=True):
    """`cancels` the one that waits for longest; otherwise the new one is skipped."""

    limit: int
    key: Key = NO_KEY
    cancels: bool = False


def in_excess(backlog: Backlog, waiting: int) -> int:
    """How many of those waiting are one too many if another starts."""
    return max(waiting - backlog.limit + 1, 0)
