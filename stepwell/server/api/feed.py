"""What changed lately, in order: the only place that remembers it, for streams of changes.

It remembers which runs, events and lines of logs, not what became of them: whoever asks reads that
anew, so many changes of one run are one. Hearing is a kindness, not a promise: what is too long ago
is told as lost.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from enum import Enum
from itertools import islice
from typing import NamedTuple

KEPT = 20_000
"""So many changes are remembered."""


class Kind(Enum):
    """What changed."""

    RUN = "runs"
    EVENT = "events"
    LINES = "lines"


class Seen(NamedTuple):
    """What changed since a place: ids, and names of lines of logs, each once, the earliest first;
    and the place now."""

    place: int
    runs: Sequence[str]
    events: Sequence[str]
    lines: Sequence[str]


class Feed:
    """One per server. `epoch` tells its places from those of the server before it."""

    def __init__(self, epoch: str, kept: int = KEPT) -> None:
        self._epoch = epoch
        self._changes: deque[tuple[Kind, str]] = deque(maxlen=kept)
        self._place = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self.streams = 0
        """How many listen."""
        self.closed = False

    @property
    def place(self) -> int:
        """Where the feed stands: how much was heard."""
        return self._place

    def hear(self, kind: Kind, subject: str) -> None:
        """Something changed. Cheap: called for every run and event."""
        self._place += 1
        self._changes.append((kind, subject))
        if self._waiting:
            self._wake()

    def id_of(self, place: int) -> str:
        """A place as text that a client sends back."""
        return f"{self._epoch}-{place}"

    def place_of(self, text: str) -> int | None:
        """The place of such a text; None if what came after it is not known any more."""
        epoch, _, number = text.rpartition("-")
        if epoch != self._epoch or not number.isascii() or not number.isdecimal():
            return None
        place = int(number[:20])
        return place if self._place - len(self._changes) <= place <= self._place else None

    def since(self, place: int) -> Seen | None:
        """What changed after a place; None if that is not known any more."""
        count = self._place - place
        if count > len(self._changes):
            return None
        found = dict.fromkeys(islice(reversed(self._changes), count))
        of_kind: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for kind, subject in reversed(found):
            of_kind[kind].append(subject)
        return Seen(self._place, of_kind[Kind.RUN], of_kind[Kind.EVENT], of_kind[Kind.LINES])

    async def wait(self, place: int, seconds: float) -> None:
        """Return when something changed after a place, time is up, or the server stops."""
        if self.closed or self._place > place:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """Let everybody go, now and from now on."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)
