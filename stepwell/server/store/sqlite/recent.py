"""Runs and events that were in use a moment ago, so that going on with a run reads nothing.

Written after every commit by the only writer there is, hence always true. Bounded by weight and by
time: two generations of entries, of which the older is dropped when the younger is full, or when a
while has passed; whatever is used moves to the younger. Only the writer's thread changes entries;
readers on other threads may look at what is only ever replaced or appended to.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from stepwell.server.engine.row.run import EventRow, Item, Run, Wait

Entry = TypeVar("Entry")

RUN_BYTES = 2_048
"""What a run weighs without its payloads: about what its objects take."""
EVENT_BYTES = 512
MEMO_BYTES = 256
"""What a saved step weighs without its result."""
MEMOS_BYTES_MAX = 1024 * 1024
"""Results of a run beyond this are not kept: reading them from the disk costs little by then."""


class RunEntry:
    """A run with everything a decision may need of it.

    `saved` are the ids of its saved steps, with `saved_bytes` of results in all; `memos` are these
    results in order. Both are `None` while unknown.
    """

    __slots__ = (
        "items",
        "last_place",
        "main",
        "memos",
        "memos_bytes",
        "run",
        "saved",
        "saved_bytes",
        "seq",
        "waits",
    )

    def __init__(
        self,
        seq: int,
        run: Run,
        main: Item | None,
        items: dict[str, Item],
        waits: dict[str, Wait],
    ) -> None:
        self.seq = seq
        self.run = run
        self.main = main
        self.items = items
        self.waits = waits
        self.saved: set[str] | None = None
        self.saved_bytes = 0
        self.memos: list[tuple[str, bytes]] | None = None
        self.memos_bytes = 0
        self.last_place = -1

    def add_step(self, step_id: str, place: int, memo: bytes) -> None:
        """A step was saved."""
        if self.saved is not None:
            self.saved.add(step_id)
            self.saved_bytes += len(memo)
        if self.memos is None:
            return
        self.memos_bytes += len(memo)
        if place <= self.last_place or self.memos_bytes > MEMOS_BYTES_MAX:
            self.memos = None
            return
        self.last_place = place
        self.memos.append((step_id, memo))


class Generations(Generic[Entry]):
    """Entries by id, the least used of them forgotten when they weigh too much."""

    def __init__(self, bytes_max: int, weigh: Callable[[Entry], int]) -> None:
        """`weigh` says what an entry takes, in bytes, about."""
        self._half = bytes_max // 2
        self._weigh = weigh
        self._young: dict[str, Entry] = {}
        self._old: dict[str, Entry] = {}
        self._weight = 0

    def peek(self, key: str) -> Entry | None:
        """An entry, without saying that it is in use. Safe from any thread."""
        entry = self._young.get(key)
        return self._old.get(key) if entry is None else entry

    def use(self, key: str) -> Entry | None:
        """An entry that is in use."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is not None:
                self.put(key, entry)
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """An entry comes into use."""
        self._young[key] = entry
        self.grow(self._weigh(entry))

    def grow(self, weight: int) -> None:
        """Some entry weighs more now."""
        self._weight += weight
        if self._weight > self._half:
            self.age()

    def age(self) -> None:
        """A while has passed: what was not in use since the last time is forgotten."""
        self._old = self._young
        self._young = {}
        self._weight = 0

    def drop(self, key: str) -> None:
        """An entry is gone for good."""
        self._young.pop(key, None)
        self._old.pop(key, None)


def _run_weight(entry: RunEntry) -> int:
    return RUN_BYTES + entry.memos_bytes + len(entry.run.output or b"")


def _event_weight(event: EventRow) -> int:
    return EVENT_BYTES + len(event.body)


class Recent:
    """The runs and events in use."""

    def __init__(self, runs_bytes_max: int, events_bytes_max: int) -> None:
        self.runs = Generations(runs_bytes_max, _run_weight)
        self.events = Generations(events_bytes_max, _event_weight)

    def age(self) -> None:
        """What was not in use since the last time is forgotten."""
        self.runs.age()
        self.events.age()
