"""Which lanes have something to do, and which rest: the only place that decides in which order a
claim is shown lanes.

Nothing blocked is polled: a lane that may not be served rests behind the key that stopped it, and
is not looked at until that key lets go of something, or until a time. So a claim costs the same
with ten or a hundred thousand lanes at rest. All of this can be lost: it is made again from the
items, and the first claims find out once more which lanes must rest. Pure.

Law: a lane with an item that is due is open, or rests behind a key that was full when it was last
looked at, and that lets it go as soon as it is not.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from heapq import heappop, heappush
from itertools import islice
from typing import TypeAlias

from stepwell.server.engine.message.record import LaneRested, LaneServed
from stepwell.server.engine.name.lane import Lane, LaneSeen, lane_of, place_of
from stepwell.server.engine.row.flow import KeyKind
from stepwell.server.engine.row.limit import limit_name
from stepwell.server.engine.row.run import Lease
from stepwell.server.engine.state.changes import Changes, LaneChange
from stepwell.server.store.resting import Resting

First: TypeAlias = Callable[[str], int | None]
"""When the first item of a queue that nobody has is due; None if there is none."""

SHOWN_MAX = 128
"""So many lanes are shown to one claim; if there are more, it is asked again at once."""


class _Standing:
    """How a lane stands: open, or at rest behind a key, or until a time. `since` tells who has
    waited longer, from the first rest to the next call that begins; 0 if it does not wait."""

    __slots__ = ("behind", "credit", "lane", "since", "since_ms", "turn_at", "until_ms")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.behind = ""
        self.since_ms = 0
        self.until_ms = 0
        self.credit = 0.0
        self.since = 0
        self.turn_at = ""


Group: TypeAlias = "OrderedDict[str, None]"


class LaneIndex:
    """Every lane with items: whose turn it is, and what rests behind which key."""

    def __init__(self, first: First) -> None:
        self._first = first
        self._standing: dict[str, _Standing] = {}
        self._floors: dict[str, OrderedDict[str, Group]] = {}
        self._resting: dict[str, Resting] = {}
        self._rests = 0
        self._timers: list[tuple[int, str, bool]] = []
        self._alarms: dict[str, int] = {}
        self._turns: dict[str, tuple[str, int]] = {}
        self._leased: dict[str, int] = {}

    def __len__(self) -> int:
        """How many lanes and keys are remembered."""
        return len(self._standing) + len(self._resting) + len(self._leased) + len(self._floors)

    # -- what a view is told --------------------------------------------------------------------

    def leased(self, key: str) -> int:
        """How much the calls under way count under a key."""
        return self._leased.get(key, 0)

    def firsts(self, key: str) -> tuple[LaneSeen, ...]:
        """The lanes behind a key that are the next to be roused, one of each bound."""
        found = ((bound, self._first_of(key, bound)) for bound in self._bounds(key))
        return tuple(
            LaneSeen(first[1], since=first[0], bound=bound) for bound, first in found if first
        )

    def _bounds(self, key: str) -> tuple[int, ...]:
        resting = self._resting.get(key)
        return () if resting is None else resting.bounds

    def _first_of(self, key: str, bound: int) -> tuple[int, str] | None:
        resting = self._resting.get(key)
        return None if resting is None else resting.first(bound)

    def standing(self, queue: str) -> tuple[str, int, int]:
        """Behind which key a lane rests, since when, and until when at the latest."""
        known = self._standing.get(queue)
        return ("", 0, 0) if known is None else (known.behind, known.since_ms, known.until_ms)

    def ask(self, places: Iterable[str], now_ms: int) -> tuple[list[LaneSeen], int | None]:
        """The lanes of these places whose turn comes next, in order, each place's plain queue at
        its turn among them; and when to ask again."""
        if not self._standing:
            return [], None
        places = tuple(places)
        self._wake(now_ms)
        if self._turns:
            self._let_by(places)
        while True:
            shown: list[LaneSeen] = []
            idle = more = False
            for place in places:
                room = SHOWN_MAX - len(shown)
                found, left = self._open_lanes(place, now_ms, room)
                shown += found[:room]
                more = more or len(found) > room
                idle = idle or left
            if more or any(place_of(queue) not in places for queue in self._turns):
                return shown, now_ms
            if not idle:
                return shown, self._next_ms()
            # What left has roused others, perhaps of a place that was looked at before.

    def _let_by(self, places: tuple[str, ...]) -> None:
        """Whoever has its turn where no calls are taken now lets the next one by."""
        while self._turns:
            queue, (key, bound) = self._turns.popitem()
            if place_of(queue) not in places:
                self._rouse_of(key, bound, 1)

    def _open_lanes(self, place: str, now_ms: int, limit: int) -> tuple[list[LaneSeen], bool]:
        """Open lanes in turn, at most one beyond the limit; and whether some had nothing to do now,
        and left."""
        found: list[LaneSeen] = []
        idle: list[tuple[str, int | None]] = []
        floor = self._floors.get(place)
        for group, lanes in floor.items() if floor is not None else ():
            if not group:
                found.append(LaneSeen(place))
                continue
            for queue in lanes:
                due = self._first(queue)
                known = self._standing[queue]
                if due is None or (due > now_ms and not known.lane.is_ranked):
                    idle.append((queue, due))
                    continue
                found.append(LaneSeen(queue, known.credit, known.turn_at, known.since))
                if len(found) > limit:
                    break
            if len(found) > limit:
                break
        for queue, due in idle:
            self._leave(queue, due)
        return found if any(seen.queue != place for seen in found) else [], bool(idle)

    def _leave(self, queue: str, due: int | None) -> None:
        """An open lane has nothing to do now: what it was roused for is another's."""
        known = self._standing[queue]
        self._shut(queue, known)
        if due is None:
            del self._standing[queue]
        else:
            known.until_ms, known.since = due, 0
            self._time(due, queue, of_key=False)
        for part in known.lane.parts:
            self.rouse(part.key, 1)

    # -- what a commit changed ------------------------------------------------------------------

    def added(self, queue: str, due_ms: int) -> None:
        """An item was put into a lane, or is free again."""
        known = self._standing.get(queue)
        if known is None:
            known = self._standing[queue] = _Standing(lane_of(queue))
            if known.lane.is_ranked:
                self._open(queue, known)
                return
            known.until_ms = due_ms
            self._time(due_ms, queue, of_key=False)
        elif known.until_ms > due_ms and not known.behind:
            known.until_ms = due_ms
            self._time(due_ms, queue, of_key=False)

    def lent(self, before: Lease | None, after: Lease | None) -> None:
        """A call began, or is over."""
        if not (before and before.keys) and not (after and after.keys):
            return
        for key, load in before.counts if before is not None else ():
            left = self._leased.get(key, 0) - load
            if left > 0:
                self._leased[key] = left
            else:
                self._leased.pop(key, None)
        for key, load in after.counts if after is not None else ():
            self._leased[key] = self._leased.get(key, 0) + load

    def keep(self, changes: Changes) -> None:
        """What a batch changed, items and leases aside."""
        self.apply(changes.lanes, changes.freed)
        if changes.functions:
            self.rouse_functions(changes.functions)
        for row in changes.keys.values():
            if row is not None and row.kind is KeyKind.LIMIT:
                self.rouse_limit(row.id.partition(":")[2])

    def apply(self, changes: Iterable[LaneChange], freed: Iterable[str]) -> None:
        """What a claim said of lanes, then what keys let go of."""
        for change in changes:
            if isinstance(change, LaneServed):
                self._served(change)
            elif isinstance(change, LaneRested):
                self._rest(change)
            else:
                self.rouse(change.key, change.count, change.bound)
        for key in freed:
            self.rouse(key, 1)

    def rouse(self, key: str, count: int, bound: int | None = None) -> None:
        """So many lanes that rest behind a key are looked at again: of each bound, since a place
        may be one for some of them and none for others; or of one."""
        for one in self._bounds(key) if bound is None else (bound,):
            self._rouse_of(key, one, count)

    def _rouse_of(self, key: str, bound: int, count: int) -> None:
        while count > 0 and (first := self._first_of(key, bound)) is not None:
            _, queue = first
            self._get_up(queue)
            self._standing[queue].turn_at = key
            self._turns[queue] = key, bound
            count -= 1

    def rouse_functions(self, functions: Container[str]) -> None:
        """Look at every lane of these functions again: their limits may be others."""
        for queue, known in self._standing.items():
            if known.behind and known.lane.function in functions:
                self._get_up(queue)

    def rouse_limit(self, name: str) -> None:
        """Look at every lane again that rests behind a key of a named limit: its numbers are
        others, and so is what there is room for."""
        for key in [key for key in self._resting if limit_name(key) == name]:
            self.rouse(key, len(self._resting[key]))

    def look_again(self, keys_max: int) -> None:
        """Another process may have made room, and not said so: behind each of so many keys one lane
        is looked at again, those first that were not for the longest."""
        for key in list(islice(self._resting, keys_max)):
            self.rouse(key, 1)
            resting = self._resting.pop(key, None)
            if resting is not None:
                self._resting[key] = resting

    def clock_moved(self) -> None:
        """Times mean something else now: whatever rests until one is looked at again."""
        for queue, known in self._standing.items():
            if not known.behind and known.until_ms:
                self._open(queue, known)
        alarms, self._alarms, self._timers = self._alarms, {}, []
        for key in alarms:
            self.rouse(key, 1)

    def _served(self, change: LaneServed) -> None:
        place = place_of(change.queue)
        floor = self._floors.get(place)
        if floor is None:
            return
        known = self._standing.get(change.queue)
        group = "" if known is None else known.lane.function
        if known is not None:
            known.credit, known.since, known.turn_at = change.credit, 0, ""
        lanes = floor.get(group)
        if lanes is None:
            return
        floor.move_to_end(group)
        if not change.again and change.queue in lanes:
            lanes.move_to_end(change.queue)

    def _rest(self, change: LaneRested) -> None:
        known = self._standing.get(change.queue)
        if known is None or known.behind:
            return
        self._shut(change.queue, known)
        known.behind, known.since_ms = change.key, change.at_ms
        known.until_ms, known.credit, known.turn_at = change.until_ms, change.credit, ""
        first = self._first_of(change.key, change.bound)
        self._rests += 1
        if change.again and first is not None:
            known.since = first[0] - 1
        else:
            known.since = change.since or self._rests
        resting = self._resting.setdefault(change.key, Resting())
        resting.add(change.queue, known.since, change.bound)
        alarm = self._alarms.get(change.key)
        if change.until_ms and (alarm is None or change.until_ms < alarm):
            self._alarms[change.key] = change.until_ms
            self._time(change.until_ms, change.key, of_key=True)

    # -- open, shut, and the time ---------------------------------------------------------------

    def _get_up(self, queue: str) -> None:
        """A lane rests no more."""
        known = self._standing[queue]
        resting = self._resting[known.behind]
        resting.discard(queue)
        if not resting:
            del self._resting[known.behind]
        self._open(queue, known)

    def _open(self, queue: str, known: _Standing) -> None:
        known.behind, known.since_ms, known.until_ms, known.turn_at = "", 0, 0, ""
        lane = known.lane
        floor = self._floors.get(lane.place)
        if floor is None:
            floor = self._floors[lane.place] = OrderedDict({"": OrderedDict()})
        floor.setdefault(lane.function, OrderedDict())[queue] = None

    def _shut(self, queue: str, known: _Standing) -> None:
        lane = known.lane
        floor = self._floors.get(lane.place)
        lanes = None if floor is None else floor.get(lane.function)
        if floor is None or lanes is None:
            return
        lanes.pop(queue, None)
        if not lanes:
            del floor[lane.function]
        if len(floor) == 1:
            del self._floors[lane.place]

    def _time(self, at_ms: int, name: str, *, of_key: bool) -> None:
        heappush(self._timers, (at_ms, name, of_key))

    def _wake(self, now_ms: int) -> None:
        while self._timers and self._timers[0][0] <= now_ms:
            at_ms, name, of_key = heappop(self._timers)
            if not self._still_set(at_ms, name, of_key=of_key):
                continue
            if of_key:
                # One is enough: whoever finds that there is room for more passes it on.
                del self._alarms[name]
                self.rouse(name, 1)
            else:
                self._open(name, self._standing[name])

    def _next_ms(self) -> int | None:
        while self._timers:
            at_ms, name, of_key = self._timers[0]
            if self._still_set(at_ms, name, of_key=of_key):
                return at_ms
            heappop(self._timers)
        return None

    def _still_set(self, at_ms: int, name: str, *, of_key: bool) -> bool:
        if of_key:
            return self._alarms.get(name) == at_ms
        known = self._standing.get(name)
        return known is not None and not known.behind and known.until_ms == at_ms
