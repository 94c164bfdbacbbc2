"""The only place that makes and reads the names of lanes.

A lane is a queue of calls that stand under the same limits: those of one function with the same
values of its key expressions, which were evaluated once, when the run began. Its name says where
the calls go (an app, or the server's own gateway), whose they are, and under which keys they stand;
the numbers of the limits are read from the function's present configuration. Calls without flow
control have no lane: their queue is the app alone.
"""

from enum import StrEnum
from functools import lru_cache

import msgspec

SEPARATOR = "\x1f"
_PART = "|"


class PartKind(StrEnum):
    """What a part of a lane's name stands for."""

    STEP = "s"  # at most so many calls at once
    RUN = "r"  # at most so many runs at once: for first calls
    THROTTLE = "t"  # so many first calls per period
    PRIORITY = "p"  # the order is not that of time: for first calls
    FAIR = "f"  # a turn of its own, with a weight
    LIMIT = "l"  # a named limit, with how much of it a call takes
    PAUSE = "z"  # nothing else: calls of a paused function that stand under no limit


class Part(msgspec.Struct, frozen=True):
    """One part: `mark` tells which entry of the configuration it is of, or is a weight."""

    kind: PartKind
    mark: str
    key: str


class Lane(msgspec.Struct, frozen=True):
    """What a lane's name says."""

    place: str
    function: str
    parts: tuple[Part, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys a call of this lane counts under while it is under way."""
        return tuple(p.key for p in self.parts if p.kind in (PartKind.STEP, PartKind.LIMIT))

    @property
    def is_ranked(self) -> bool:
        """Whether the times of its items are ranks, so that none is too early."""
        return any(part.kind is PartKind.PRIORITY for part in self.parts)

    @property
    def is_of_starts(self) -> bool:
        """Whether its items are first calls, which meet limits that later calls do not."""
        return any(part.kind in _STARTS for part in self.parts)

    @property
    def weight(self) -> float:
        """How large its turn is."""
        return next((float(p.mark) for p in self.parts if p.kind is PartKind.FAIR), 1.0)


_STARTS = frozenset({PartKind.RUN, PartKind.THROTTLE, PartKind.PRIORITY})


class LaneSeen(msgspec.Struct, frozen=True, gc=False):
    """A lane with something to do, and what is left of its turn."""

    queue: str
    credit: float = 0.0

    @property
    def is_lane(self) -> bool:
        """False for the plain queue of a place, which has its turn among its lanes."""
        return SEPARATOR in self.queue


def lane_name(place: str, function: str, parts: tuple[Part, ...]) -> str:
    """The name of a lane; that of the place itself if nothing limits the calls."""
    if not parts:
        return place
    told = (f"{part.kind}{_PART}{part.mark}{_PART}{part.key}" for part in parts)
    return SEPARATOR.join((place, function, *told))


def is_lane(queue: str) -> bool:
    """Whether a queue is a lane."""
    return SEPARATOR in queue


def place_of(queue: str) -> str:
    """Where the calls of a queue go."""
    return queue.partition(SEPARATOR)[0]


@lru_cache(maxsize=8192)
def lane_of(queue: str) -> Lane:
    """What the name of a lane says."""
    place, function, *told = queue.split(SEPARATOR)
    parts = (text.split(_PART, 2) for text in told)
    return Lane(place, function, tuple(Part(PartKind(k), mark, key) for k, mark, key in parts))


def moved_to(queue: str, place: str) -> str:
    """The lane for calls that go elsewhere, under the same limits."""
    _, separator, rest = queue.partition(SEPARATOR)
    return f"{place}{separator}{rest}" if separator else place
