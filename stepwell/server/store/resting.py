"""The lanes that rest behind one key: the only place that says which of them is roused first. Pure.

Whoever has waited longest comes first, wherever it waited before. So of lanes that stand under
several limits at once each waits only for those that came before it, and no two for each other.
That is so among lanes with the same bound: where functions share a key under limits of their own,
the first of each limit is known, because a place may be none for a lane that has waited longer.
"""

from heapq import heapify, heappop, heappush


class Resting:
    """Lanes by how long they have waited, apart for each bound: the smaller the number, the
    longer."""

    __slots__ = ("_heaps", "_places")

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        self._heaps: dict[int, list[tuple[int, str]]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)

    @property
    def bounds(self) -> tuple[int, ...]:
        """Every bound that some rest under, and perhaps some that nobody does any more."""
        return tuple(self._heaps)

    def add(self, queue: str, since: int, bound: int = 0) -> None:
        """A lane comes to rest."""
        self._places[queue] = since, bound
        heappush(self._heaps.setdefault(bound, []), (since, queue))

    def discard(self, queue: str) -> None:
        """A lane rests here no more."""
        place = self._places.pop(queue, None)
        if place is None:
            return
        bound = place[1]
        heap = self._heaps.get(bound, [])
        if len(heap) > 2 * len(self._places) + 8:
            known = self._places.items()
            kept = [(since, name) for name, (since, theirs) in known if theirs == bound]
            heapify(kept)
            self._heaps[bound] = kept

    def first(self, bound: int) -> tuple[int, str] | None:
        """Who has waited longest of those with a bound."""
        heap = self._heaps.get(bound)
        while heap:
            since, queue = heap[0]
            if self._places.get(queue) == (since, bound):
                return since, queue
            heappop(heap)
        self._heaps.pop(bound, None)
        return None
