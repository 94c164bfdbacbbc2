"""What is due, known in memory: the only place that decides which items a pump is shown.

Every queue has a shelf. A shelf knows all items of its queue up to a *horizon*, and none beyond:
those rest on disk until the shelf is empty and the next page is fetched. So looking for work asks
the disk nothing in the usual case, and a run that sleeps until next year takes no memory. Pure but
for the page it asks its store for.

Law: an item that somebody has is never given; an item within the horizon is never forgotten.
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import TypeAlias

import msgspec

from stepwell.server.engine.message.need import Due
from stepwell.server.engine.row.run import Item, ItemKind, Lease
from stepwell.server.store.reading import order_of

Slot: TypeAlias = tuple[str, str]
Place: TypeAlias = tuple[int, str, str]
"""Due time, run id and key: the order on disk."""

Turn: TypeAlias = tuple[int, int, str, str]
"""Whose turn comes first: `reading.order_of`."""

More: TypeAlias = Callable[[str, Place, int], list[Item]]
"""The items of a queue after a place, in order, at most so many."""

ITEMS_MAX = 8_192
"""How many items may wait in memory (leased ones aside) before the later half is left to disk."""
PAGE = 1_024
"""How many items are fetched when a shelf is empty."""

SHORT_MS = 3_600_000
"""What is due within so long keeps its time when the clock is set back."""

BEFORE_ALL: Place = (-1, "", "")
SLACK = 64


def nearer(item: Item, by_ms: int, now_ms: int) -> Item:
    """An item when the clock moves: what is due soon stays as near as it was."""
    if by_ms >= 0 or item.kind is ItemKind.CRON or item.due_ms > now_ms + SHORT_MS:
        return item
    return msgspec.structs.replace(item, due_ms=item.due_ms + by_ms)


class Shelf:
    """One queue: the places of its items up to the horizon. `None` means: there is no more."""

    __slots__ = ("horizon", "places")

    def __init__(self) -> None:
        self.places: list[Turn] = []
        self.horizon: Place | None = BEFORE_ALL


class DueIndex:
    """Items by queue and due time, and the leases, with the times at which they run out."""

    def __init__(self, more: More, *, items_max: int = ITEMS_MAX, page: int = PAGE) -> None:
        self.leases: dict[Slot, Lease] = {}
        self._more = more
        self._items_max = items_max
        self._page = page
        self._items: dict[Slot, Item] = {}
        self._shelves: dict[str, Shelf] = {}
        self._ends: list[Place] = []
        self._shown: list[tuple[str, Turn]] = []
        self._shown_ends: list[Place] = []

    def __len__(self) -> int:
        return len(self._items)

    # -- what changed ---------------------------------------------------------------------------

    def keep(self, items: Mapping[Slot, Item | None], leases: Mapping[Slot, Lease | None]) -> None:
        """Items and leases as a batch left them; `None` says that there is none any more."""
        for slot, lease in leases.items():
            if lease is not None:
                self._lease(slot, lease)
            elif self.leases.pop(slot, None) is not None and slot not in items:
                item = self._items.get(slot)
                if item is not None:
                    self._put(slot, item)
        for slot, item in items.items():
            if item is None:
                self._items.pop(slot, None)
            else:
                self._put(slot, item)

    def drop(self, run_id: str, keys: Iterable[str]) -> list[Lease]:
        """A run is over: its items need nothing any more, and nobody has them. Returns the leases
        that end with it."""
        ended: list[Lease] = []
        for key in keys:
            self._items.pop((run_id, key), None)
            lease = self.leases.pop((run_id, key), None)
            if lease is not None:
                ended.append(lease)
        return ended

    def _put(self, slot: Slot, item: Item) -> None:
        shelf = self._shelves.get(item.queue)
        if shelf is None or (shelf.horizon is not None and (item.due_ms, *slot) > shelf.horizon):
            self._items.pop(slot, None)
            return
        self._items[slot] = item
        heappush(shelf.places, order_of(item))
        if len(shelf.places) > SLACK + 2 * len(self._items):
            shelf.places = [at for at in set(shelf.places) if self._waits(item.queue, at)]
            heapify(shelf.places)
        if len(self._items) > self._items_max + len(self.leases):
            self._leave_later_half()

    def _lease(self, slot: Slot, lease: Lease) -> None:
        known = self.leases.get(slot)
        self.leases[slot] = lease
        if known is not None and known.until_ms == lease.until_ms:
            return
        heappush(self._ends, (lease.until_ms, *slot))
        if len(self._ends) > SLACK + 2 * len(self.leases):
            self._ends = [(lent.until_ms, *at) for at, lent in self.leases.items()]
            heapify(self._ends)

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """Everything keeps its distance from now; see the store's verb."""
        for slot, lease in self.leases.items():
            self.leases[slot] = msgspec.structs.replace(lease, until_ms=lease.until_ms + by_ms)
        self._ends = [(lent.until_ms, *slot) for slot, lent in self.leases.items()]
        heapify(self._ends)
        self._shown_ends.clear()
        for slot, item in self._items.items():
            self._items[slot] = nearer(item, by_ms, now_ms)
        self._shown.clear()
        places: dict[str, list[Turn]] = {queue: [] for queue in self._shelves}
        for slot, item in self._items.items():
            if slot not in self.leases:
                places[item.queue].append(order_of(item))
        for queue, shelf in self._shelves.items():
            shelf.places = places[queue]
            heapify(shelf.places)

    # -- what is due ----------------------------------------------------------------------------

    def ask(self, due: Due) -> tuple[list[Item], list[Lease], int | None]:
        """Items and lost leases to show, and when to ask again. Shown is not gone: what is not
        leased or changed by then is shown again the next time."""
        self._put_back()
        room = {queue: count for queue, count in due.capacity if count > 0}
        room[""] = due.limit
        queues = tuple(room)
        items = self._take(room, due)
        ends = self._take_ends(due)
        times = [place[0] for queue in queues if (place := self._first(queue)) is not None]
        end = self._first_end()
        if end is not None:
            times.append(end[0])
        return items, ends, min(times, default=None)

    def _put_back(self) -> None:
        for queue, place in self._shown:
            if queue in self._shelves and self._waits(queue, place):
                heappush(self._shelves[queue].places, place)
        for end in self._shown_ends:
            heappush(self._ends, end)
        self._shown.clear()
        self._shown_ends.clear()

    def _take(self, room: dict[str, int], due: Due) -> list[Item]:
        heads = [(place, queue) for queue in room if (place := self._first(queue)) is not None]
        heapify(heads)
        taken: list[Item] = []
        while heads and len(taken) < due.limit and heads[0][0][0] <= due.now_ms:
            place, queue = heappop(heads)
            places = self._shelves[queue].places
            while places and places[0] == place:
                heappop(places)
            self._shown.append((queue, place))
            taken.append(self._items[place[2:]])
            room[queue] -= 1
            following = self._first(queue) if room[queue] else None
            if following is not None:
                heappush(heads, (following, queue))
        return taken

    def _first(self, queue: str) -> Turn | None:
        """The first place of a queue that still holds; fetches a page when none is known."""
        shelf = self._shelves.setdefault(queue, Shelf())
        while True:
            places = shelf.places
            while places:
                if self._waits(queue, places[0]):
                    return places[0]
                heappop(places)
            if shelf.horizon is None:
                return None
            self._fetch(queue, shelf, shelf.horizon)

    def _waits(self, queue: str, place: Turn) -> bool:
        """Whether an item still stands at a place of a queue, and nobody has it."""
        slot = place[2:]
        item = self._items.get(slot)
        return (
            item is not None
            and item.due_ms == place[0]
            and item.queue == queue
            and slot not in self.leases
            and (not place[1] or order_of(item) == place)
        )

    def _fetch(self, queue: str, shelf: Shelf, horizon: Place) -> None:
        page = self._more(queue, horizon, self._page)
        for item in page:
            self._items[item.run_id, item.key] = item
            heappush(shelf.places, order_of(item))
        if len(page) < self._page:
            shelf.horizon = None
        else:
            last = page[-1]
            shelf.horizon = (last.due_ms, last.run_id, last.key)

    def _take_ends(self, due: Due) -> list[Lease]:
        taken: list[Lease] = []
        while len(taken) < due.limit:
            place = self._first_end()
            if place is None or place[0] > due.now_ms:
                break
            while self._ends and self._ends[0] == place:
                heappop(self._ends)
            self._shown_ends.append(place)
            taken.append(self.leases[place[1], place[2]])
        return taken

    def _first_end(self) -> Place | None:
        while self._ends:
            place = self._ends[0]
            lease = self.leases.get(place[1:])
            if lease is not None and lease.until_ms == place[0]:
                return place
            heappop(self._ends)
        return None

    # -- one queue ------------------------------------------------------------------------------

    def first_ms(self, queue: str) -> int | None:
        """When the first item of a queue that nobody has is due."""
        place = self._first(queue)
        return None if place is None else place[0]

    def show(self, queue: str, limit: int, until_ms: int) -> list[Item]:
        """The first items of a queue that nobody has, due by then. Shown is not gone."""
        taken: list[Item] = []
        while len(taken) < limit:
            place = self._first(queue)
            if place is None or place[0] > until_ms:
                break
            places = self._shelves[queue].places
            while places and places[0] == place:
                heappop(places)
            self._shown.append((queue, place))
            taken.append(self._items[place[2:]])
        return taken

    def leave(self, queue: str) -> None:
        """A queue is empty, and may never be asked for again."""
        shelf = self._shelves.get(queue)
        if shelf is not None and shelf.horizon is None and not shelf.places:
            del self._shelves[queue]

    # -- too much for memory --------------------------------------------------------------------

    def _leave_later_half(self) -> None:
        """Leave the later items of the longest queue to the disk."""
        waiting: dict[str, list[Place]] = {}
        for slot, item in self._items.items():
            if slot not in self.leases:
                waiting.setdefault(item.queue, []).append((item.due_ms, *slot))
        queue, places = max(waiting.items(), key=lambda entry: len(entry[1]))
        keep = max(len(places) // 2, self._page)
        if keep >= len(places):
            # Very many queues, each of them short: their number is the operator's choice.
            self._items_max *= 2
            return
        places.sort()
        shelf = self._shelves[queue]
        shelf.places = [order_of(self._items[place[1:]]) for place in places[:keep]]
        heapify(shelf.places)
        shelf.horizon = places[keep - 1]
        self._forget(place[1:] for place in places[keep:])

    def _forget(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            del self._items[slot]
