"""One run at a time for each key, or so many: the new one is skipped, or the oldest cancelled."""

import msgspec

from stepwell.server.flow.key import NO_KEY, Key


class Singleton(msgspec.Struct, frozen=True):
    """`cancels` the oldest; otherwise the new one is skipped."""

    cancels: bool
    key: Key = NO_KEY
    limit: int = 1


def in_excess(singleton: Singleton, running: int) -> int:
    """How many of those running are one too many if another starts."""
    return max(running - singleton.limit + 1, 0)
