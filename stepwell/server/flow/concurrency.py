"""So many at once for each key: calls under way, or runs from their first call to their end.

Counted from leases and places, never kept as a number. The key of a call was evaluated when its run
began; the number is that of the configuration as it is now.
"""

import msgspec

from stepwell.server.flow.key import Evaluate, Key, shared

UNLIMITED = 2**31


class Concurrency(msgspec.Struct, frozen=True):
    """`limit` 0 is none. `owner` is the function, or the scope that functions share."""

    limit: int
    owner: str
    key: Key
    is_shared: bool

    def id_for(self, word: str, evaluate: Evaluate) -> str:
        """The id of the key an event stands under."""
        value = shared(self.key, evaluate)
        # What functions share is told apart by its value alone.
        mark = "" if self.is_shared else f"{self.key.mark}:"
        return f"{word}:{self.owner}:{mark}{value}"

    @property
    def mark(self) -> str:
        """Which entry it is, whatever its number."""
        return f"{self.owner if self.is_shared else 'fn'}.{self.key.mark}"


def limit_of(entries: tuple[Concurrency, ...], mark: str, index: int) -> int:
    """The present limit of a key: of the entry it was made by, or of the one in its place now."""
    found = next((entry for entry in entries if entry.mark == mark), None)
    if found is None:
        found = entries[index] if index < len(entries) else None
    return found.limit or UNLIMITED if found is not None else UNLIMITED
