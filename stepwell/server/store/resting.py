"""The lanes that rest behind one key: the only place that says which of them is roused first. Pure.

Whoever has waited longest comes first, wherever it waited before. So of lanes that stand under
several limits at once each waits only for those that came before it, and no two for each other.
"""

from heapq import heapify, heappop, heappush


class Resting:
    """Lanes by how long they have waited: the smaller the number, the longer."""

    __slots__ = ("_heap", "_since")

    def __init__(self) -> None:
        self._since: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self._since)

    def add(self, queue: str, since: int) -> None:
        """A lane comes to rest."""
        self._since[queue] = since
        heappush(self._heap, (since, queue))

    def discard(self, queue: str) -> None:
        """A lane rests here no more."""
        self._since.pop(queue, None)
        if len(self._heap) > 2 * len(self._since) + 8:
            self._heap = [(since, queue) for queue, since in self._since.items()]
            heapify(self._heap)

    def first(self) -> tuple[int, str] | None:
        """Who has waited longest."""
        while self._heap:
            since, queue = self._heap[0]
            if self._since.get(queue) == since:
                return since, queue
            heappop(self._heap)
        return None
