"""May a call begin, and whose turn is it? The order of the checks before an item is leased.

All limits a call stands under are asked in one decision, and it begins only if every one has room.
A lane that may not be served rests behind the key that stopped it; what it leaves unused is passed
on to the next that rests there, so that no slot is ever free beside a call that could have it. Free
capacity goes round functions, and in each round their lanes by weight (`flow/fairness`).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

import msgspec

from stepwell.server.engine.draft import Draft, LookAgain
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import Job, WorkAsked
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.name.lane import (
    AT_ANY_TIME_MS,
    LIMITS,
    Lane,
    LaneSeen,
    PartKind,
    lane_of,
    place_of,
)
from stepwell.server.engine.places.lane_choice import LIMITING, keys_to_see
from stepwell.server.engine.places.room import (
    IN_TURN,
    Blocked,
    blocked,
    free,
    numbers_of,
    planned,
    take,
)
from stepwell.server.engine.row.flow import Slot
from stepwell.server.engine.row.run import Item, Run
from stepwell.server.flow.named_limit import NO_NUMBERS
from stepwell.server.flow.plan import NO_PLAN

NEWEST = 2**62
"""Whoever has not waited yet comes after all who have."""


@dataclass(slots=True)
class Turn:
    """A lane in a claim: what it may be given, and what is left of its turn. `since` is its place
    among all that wait."""

    queue: str
    lane: Lane | None
    credit: float
    items: deque[Item]
    quota: int
    turn_at: str = ""
    since: int = NEWEST


class Deal:
    """Hands the capacity of one claim to lanes, in their turn."""

    def __init__(
        self, draft: Draft, given: WorkAsked, plain: list[Item], lend: Callable[[Item], Job | None]
    ) -> None:
        """`plain` are the calls without a lane; `lend` makes a lease, or puts an item off."""
        self._draft = draft
        self._room = dict(given.capacity)
        self._plain = plain
        self._lend = lend
        self._left = given.limit
        self._served: dict[str, fact.LaneServed] = {}
        self._waiting: dict[str, dict[str, int]] = {}
        for seen in draft.view.flow.lanes:
            if seen.turn_at:
                self._waiting.setdefault(seen.turn_at, {})[seen.queue] = seen.since
        self._rested: dict[str, dict[int, tuple[int, str]]] = {}
        self._passed_on: set[tuple[str, int]] = set()
        self.more = False
        self.next_ms: int | None = None

    def jobs(self) -> list[Job]:
        """The calls that begin."""
        lanes = self._draft.view.flow.lanes
        self._see_keys(lanes)
        turns = self._turns(lanes)
        done: list[Job] = []
        for place in dict.fromkeys(place_of(turn.queue) for turn in turns):
            mine = [turn for turn in turns if place_of(turn.queue) == place]
            done += self._round(mine, min(self._room.get(place, 0), self._left - len(done)))
        places = {seen.queue for seen in lanes}
        for item in self._plain:
            if item.queue not in places and len(done) < self._left:
                job = self._lend(item)
                done += () if job is None else (job,)
        for served in self._served.values():
            self._draft.add(served)
        return done

    # -- what must be seen ----------------------------------------------------------------------

    def _see_keys(self, lanes: tuple[LaneSeen, ...]) -> None:
        wanted = {key for seen in lanes if seen.is_lane for key in keys_to_see(lane_of(seen.queue))}
        missing = frozenset(key for key in wanted if not self._draft.view.flow.sees_key(key))
        if missing:
            raise LookAgain(Need(keys=missing))

    def _turns(self, lanes: tuple[LaneSeen, ...]) -> list[Turn]:
        flow = self._draft.view.flow
        shares = self._shares(lanes)
        quotas = {seen.queue: self._quota(seen, shares) for seen in lanes if seen.is_lane}
        missing = [
            (queue, quota, AT_ANY_TIME_MS if lane_of(queue).is_ranked else self._draft.now.ms)
            for queue, quota in quotas.items()
            if quota and not flow.sees_items(queue)
        ]
        if missing:
            raise LookAgain(Need(lanes=tuple(missing)))
        turns: list[Turn] = []
        for seen in lanes:
            if not seen.is_lane:
                mine = deque(item for item in self._plain if item.queue == seen.queue)
                turns.append(Turn(seen.queue, None, 0.0, mine, len(mine) + 1))
                continue
            quota = quotas[seen.queue]
            items = deque(flow.items(seen.queue) if quota else ())
            lane, since = lane_of(seen.queue), seen.since or NEWEST
            turns.append(Turn(seen.queue, lane, seen.credit, items, quota, seen.turn_at, since))
        return turns

    def _shares(self, lanes: tuple[LaneSeen, ...]) -> Counter[tuple[str, str]]:
        """How many lanes there are of each function at each place, the plain queue among them."""
        named = (lane_of(seen.queue) for seen in lanes if seen.is_lane)
        shares = Counter((lane.place, lane.function) for lane in named)
        shares.update((item.queue, "") for item in self._plain)
        return shares

    def _quota(self, seen: LaneSeen, shares: Counter[tuple[str, str]]) -> int:
        """How many calls a lane is given at most: no more of them need to be seen. If others leave
        room, it has more in the next claim, which follows at once."""
        lane = lane_of(seen.queue)
        listing, plan = planned(self._draft, lane)
        if listing is None:
            return 0
        room = min(self._room.get(lane.place, 0), self._left)
        functions = sum(1 for place, _ in shares if place == lane.place)
        lanes = functions * shares[lane.place, lane.function]
        share = max(ceil(room / lanes), ceil(seen.credit + lane.weight))
        for index, part in lane.numbered:
            share = min(share, free(self._draft, plan, index, part))
        return max(share, 0)

    # -- a round --------------------------------------------------------------------------------

    def _round(self, turns: list[Turn], room: int) -> list[Job]:
        """Each function's next lane has a call begin, until there is no room or nothing left."""
        functions: dict[str, deque[Turn]] = {}
        for turn in turns:
            name = "" if turn.lane is None else turn.lane.function
            functions.setdefault(name, deque()).append(turn)
        groups = deque(functions.values())
        jobs: list[Job] = []
        while groups and len(jobs) < room:
            lanes = groups.popleft()
            job = self._next(lanes)
            if job is not None:
                jobs.append(job)
            if lanes:
                groups.append(lanes)
        return jobs

    def _next(self, lanes: deque[Turn]) -> Job | None:
        """The next call of a function's lanes; lanes that can have none now are taken out."""
        while lanes:
            turn = lanes[0]
            stop = None if turn.lane is None else self._stopped(turn.lane, turn)
            if stop is not None and turn.lane is not None:
                lanes.popleft()
                self._rest(turn, turn.lane, stop)
                continue
            if not turn.items:
                lanes.popleft()
                self._exhausted(turn)
                continue
            if turn.lane is not None and turn.credit < 1:
                turn.credit += turn.lane.weight
                if turn.credit < 1:
                    lanes.rotate(-1)
                    continue
            item = turn.items.popleft()
            job = self._begin(turn, item)
            if job is None:
                continue
            turn.credit = max(turn.credit - 1, 0.0)
            self._waits_no_more(turn)
            turn.since = NEWEST
            self._serve(turn)
            if turn.credit < 1:
                lanes.rotate(-1)
            return job
        return None

    def _stopped(self, lane: Lane, turn: Turn) -> Blocked | None:
        """What keeps a lane from being served: a key without room, or a named limit that others
        have waited for longer. So nothing heavy is overtaken for ever by what is light."""
        stop = blocked(self._draft, lane)
        if stop is not None:
            return stop
        for part in lane.parts:
            if part.kind not in LIMITS or not self._others_first(part.key, turn):
                continue
            if numbers_of(self._draft, part) != NO_NUMBERS:
                return Blocked(part.key, has_room=True)
        return None

    def _others_first(self, key: str, turn: Turn) -> bool:
        """Whether somebody else waits for a key who has waited longer, here or elsewhere: so no two
        wait for each other."""
        firsts = self._draft.view.flow.firsts(key)
        if any(seen.since < turn.since for seen in firsts if seen.bound == IN_TURN):
            return True
        here = self._waiting.get(key, {})
        return any(since < turn.since for queue, since in here.items() if queue != turn.queue)

    def _waits_no_more(self, turn: Turn) -> None:
        self._waiting.get(turn.turn_at, {}).pop(turn.queue, None)
        turn.turn_at = ""

    def _serve(self, turn: Turn) -> None:
        self._served.pop(turn.queue, None)
        self._served[turn.queue] = fact.LaneServed(turn.queue, turn.credit, turn.credit >= 1)

    def _begin(self, turn: Turn, item: Item) -> Job | None:
        """Have a call begin; a first call takes what first calls need."""
        lane, run = turn.lane, self._draft.run(item.run_id)
        if lane is not None and run is not None and self._is_stale(item):
            return None
        goes_on = run is not None and not run.ended and not self._draft.has_ended(run.id)
        if lane is not None and lane.is_of_starts and run is not None and goes_on:
            item = self._started(lane, run, item)
        job = self._lend(item)
        if job is not None and lane is not None:
            for part in lane.parts:
                if part.kind is PartKind.LIMIT:
                    take(self._draft, NO_PLAN, part)
        return job

    def _is_stale(self, item: Item) -> bool:
        """Whether what was decided before, in the same commit, changed a call that a lane showed:
        a late reply may have put it off, or another claim begun it."""
        draft, slot = self._draft, (item.run_id, item.key)
        return draft.item(*slot) != item or draft.view.lease(*slot) is not None

    def _started(self, lane: Lane, run: Run, item: Item) -> Item:
        """A run's first call takes its token and its places; whatever becomes of the call, they
        are taken once, because later calls are in another lane."""
        draft, (_, plan) = self._draft, planned(self._draft, lane)
        for part in lane.parts:
            if part.kind is PartKind.THROTTLE or part.kind is PartKind.LIMIT_FIRST:
                take(draft, plan, part)
        if run.slots and not run.seated:
            draft.change(msgspec.structs.replace(run, seated=True))
            for key in run.slots:
                draft.flow.take(Slot(key, run.id, draft.now.ms, draft.place()))
        begun = msgspec.structs.replace(item, queue=run.queue, due_ms=draft.now.ms)
        draft.put(begun)
        return begun

    # -- lanes that leave the round -------------------------------------------------------------

    def _rest(self, turn: Turn, lane: Lane, stop: Blocked) -> None:
        self._served.pop(turn.queue, None)
        self._waits_no_more(turn)
        if stop.until_ms and (self.next_ms is None or stop.until_ms < self.next_ms):
            self.next_ms = stop.until_ms
        rested = fact.LaneRested(
            queue=turn.queue,
            key=stop.key,
            at_ms=self._draft.now.ms,
            until_ms=stop.until_ms,
            credit=turn.credit,
            again=turn.credit >= 1,
            since=0 if turn.since == NEWEST else turn.since,
            bound=stop.bound,
        )
        self._draft.add(rested)
        self._pass_on(lane, "" if stop.has_room else stop.key)
        # Nobody who has waited as little goes before it in this claim.
        since = min(turn.since, NEWEST - 1)
        self._waiting.setdefault(stop.key, {})[turn.queue] = since
        rested_there = self._rested.setdefault(stop.key, {})
        mine = since, turn.queue
        rested_there[stop.bound] = min(mine, rested_there.get(stop.bound, mine))

    def _exhausted(self, turn: Turn) -> None:
        """Everything a lane had to give is given; if more was not looked at, it keeps its turn."""
        if turn.lane is None:
            return
        self._waits_no_more(turn)
        shown = len(self._draft.view.flow.items(turn.queue)) if turn.quota else 0
        if shown >= turn.quota:
            self.more = True
            return
        # It stays open: nobody else remembers when its next call is due.
        following = self._draft.view.flow.next_ms(turn.queue) if turn.quota else None
        if following is not None:
            self.next_ms = min(following, self.next_ms or following)
        self._pass_on(turn.lane, "")

    def _pass_on(self, lane: Lane, blocking: str) -> None:
        """Keys that still have room are offered to whoever rests behind them, to one of each bound
        in a claim."""
        for part in lane.parts:
            key = part.key
            if part.kind not in LIMITING or key == blocking:
                continue
            for bound, queue in self._next_behind(key):
                if (key, bound) not in self._passed_on and self._lets_in(key, queue):
                    self._passed_on.add((key, bound))
                    self._draft.add(fact.LanesRoused(key, 1, bound))
                    self.more = True

    def _next_behind(self, key: str) -> Iterator[tuple[int, str]]:
        """Who is next of each bound among those that rest behind a key."""
        known = self._draft.view.flow.firsts(key)
        before = {seen.bound: (seen.since, seen.queue) for seen in known}
        here = self._rested.get(key, {})
        for bound in before | here:
            first = min(one[bound] for one in (before, here) if bound in one)
            yield bound, first[1]

    def _lets_in(self, key: str, queue: str) -> bool:
        """Whether a key has room for a lane that rests behind it, by what that one needs. Roused in
        vain, it might rouse others in vain, for ever."""
        lane = lane_of(queue)
        _, plan = planned(self._draft, lane)
        mine = [(index, part) for index, part in lane.numbered if part.key == key]
        return all(free(self._draft, plan, index, part) > 0 for index, part in mine)
