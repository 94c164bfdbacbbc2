"""The only place that makes and reads the names of lanes.

A lane is a queue of calls that stand under the same limits: those of one function with the same
values of its key expressions, which were evaluated once, when the run began. Its name says where
the calls go (an app, or the server's own gateway), whose they are, and under which keys they stand;
the numbers of the limits are read from the function's present configuration. Calls without flow
control have no lane: their queue is the app alone.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

import msgspec

SEPARATOR = "\x1f"
AT_ANY_TIME_MS = 2**62
"""Until when what is in a ranked lane is due: its times are ranks."""
_PART = "|"


class PartKind(StrEnum):
    """What a part of a lane's name stands for."""

    STEP = "s"  # at most so many calls at once
    RUN = "r"  # at most so many runs at once: for first calls
    THROTTLE = "t"  # so many first calls per period
    PRIORITY = "p"  # the order is not that of time: for first calls
    FAIR = "f"  # a turn of its own, with a weight
    LIMIT = "l"  # a named limit of a step, with how much of it each call takes
    LIMIT_FIRST = "b"  # one of a function, for first calls
    LIMIT_LATER = "h"  # one of a function, for calls that only count as long as they are under way
    KEY = "k"  # a key of first calls, of which later calls only keep the cool-downs
    PAUSE = "z"  # nothing else: calls of a paused function that stand under no limit


class Part(msgspec.Struct, frozen=True):
    """One part: `mark` tells which entry of the configuration it is of, or is a weight."""

    kind: PartKind
    mark: str
    key: str

    @property
    def weight(self) -> int:
        """How much a call counts, or takes."""
        return int(self.mark) if self.kind in LIMITS else 1

    @property
    def may_cool(self) -> bool:
        """Whether the key rests if a call under it asks for it."""
        if self.kind is PartKind.STEP:
            return not self.mark.endswith(".")
        return self.kind in _COOLING


class Lane(msgspec.Struct, frozen=True):
    """What a lane's name says."""

    place: str
    function: str
    parts: tuple[Part, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys a call of this lane counts under while it is under way."""
        return tuple(part.key for part in self.parts if part.kind in _COUNTED)

    @property
    def loads(self) -> tuple[int, ...]:
        """How much a call counts under each of them; empty if it is one everywhere."""
        if not any(part.kind in LIMITS for part in self.parts):
            return ()
        return tuple(part.weight for part in self.parts if part.kind in _COUNTED)

    @property
    def numbered(self) -> Iterator[tuple[int, Part]]:
        """Its parts, each with how many of its kind come before it."""
        seen: dict[PartKind, int] = {}
        for part in self.parts:
            index = seen.get(part.kind, 0)
            seen[part.kind] = index + 1
            yield index, part

    @property
    def cooling(self) -> tuple[str, ...]:
        """The keys that rest if a call of this lane asks for it: those that tell events apart, and
        those of named limits."""
        return tuple(part.key for part in self.parts if part.may_cool)

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


LIMITS = frozenset({PartKind.LIMIT, PartKind.LIMIT_FIRST, PartKind.LIMIT_LATER})
"""The parts that stand for named limits."""

_COOLING = frozenset({PartKind.LIMIT, PartKind.LIMIT_LATER, PartKind.FAIR, PartKind.KEY})
_COUNTED = LIMITS | {PartKind.STEP}
_STARTS = frozenset({PartKind.RUN, PartKind.THROTTLE, PartKind.PRIORITY, PartKind.LIMIT_FIRST})


class LaneSeen(msgspec.Struct, frozen=True, gc=False):
    """A lane with something to do, and what is left of its turn. `turn_at` is the key it rested
    behind until now, as the first there. Of two that wait for room, the one whose `since` is
    smaller has waited longer; 0 says that it does not wait. `bound` is what it rests under there:
    of lanes behind a key, those with the same bound find room at the same time."""

    queue: str
    credit: float = 0.0
    turn_at: str = ""
    since: int = 0
    bound: int = 0

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


def pause_key(function: str) -> str:
    """The key behind which the calls of a paused function rest."""
    return f"pause:{function}"
