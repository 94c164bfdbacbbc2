"""Chooses what a claim may be given while other processes claim, too: the only place that passes
over what others are busy with.

The runs of what is due are locked, those that others have locked are passed over, and what is left
is looked at again under the lock: an item that is another by now, or that somebody has, is not
given. So no item is given twice, and no claim waits for another.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

from stepwell.server.engine.message.need import Due, Need
from stepwell.server.engine.moment import earlier
from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.row.run import Item, ItemKind, Lease
from stepwell.server.engine.state.view import View
from stepwell.server.store.lanes import LaneIndex
from stepwell.server.store.postgres.locks import row_of_own
from stepwell.server.store.postgres.lower_bound import LEASES, LowerBound
from stepwell.server.store.postgres.session import Seen

LOOK_S = 1.0
"""So often, in seconds, it is looked for lanes that other processes filled or let go of."""
LOOK_SHARE = 20
"""The time between two looks is at least so many times that of a look."""
ROUSED_MAX = 500
"""So many keys are looked at again at once."""
ELSEWHERE_MS = 10_000
"""So long a request of the server's own is left to the process that knows what it says."""


class Asks(Protocol):
    """A session, as far as a claim needs it."""

    @property
    def seen(self) -> Seen:
        """What the transaction has seen and locked."""
        ...

    def ask(self, name: str, *wanted: Any) -> Iterable[tuple[Any, ...]]:
        """What a statement answers, in the transaction."""
        ...

    def ask_named(self, name: str, wanted: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        """The same, for a statement whose parameters have names."""
        ...


class Claimer:
    """Finds work, within the transaction of its session."""

    def __init__(
        self,
        session: Asks,
        lanes: LaneIndex,
        item_of: Callable[[tuple[Any, ...]], Item],
        lease_of: Callable[[tuple[Any, ...]], Lease],
        load: Callable[[Need, View], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`item_of` and `lease_of` read rows; `load` fills a view with more."""
        self._now_s = now_s
        self._session = session
        self._lanes = lanes
        self._item = item_of
        self._lease = lease_of
        self._load = load
        self._look_at = now_s() + LOOK_S
        self._fresh: frozenset[str] = frozenset()
        self.bound = LowerBound()

    # -- what is due ----------------------------------------------------------------------------

    def see_due(self, due: Due, view: View) -> None:
        """Show what can be done now, and when the next item falls due."""
        room = {queue: count for queue, count in due.capacity if count > 0}
        # One more of each than may be given says whether to ask again.
        counts = [min(count, due.limit) + 1 for count in room.values()]
        since = {queue: self.bound.of(queue, due.now_ms) for queue in (*room, "", LEASES)}
        began_s = self._now_s()
        ask = self._session.ask
        bounds = [since[queue] for queue in room]
        calls = ask("calls_due", list(room), counts, bounds, due.now_ms) if room else ()
        own = ask("own_due", since[""], due.now_ms, due.limit + 1)
        next_due = ask("next_due", [*room, ""], due.now_ms)
        wanted = {"since": since[LEASES], "now": due.now_ms, "limit": due.limit + 1}
        ending = self._session.ask_named("leases_ending", wanted)
        found = [self._item(row) for row in own], [self._item(row) for row in calls]
        leases = [self._lease(row) for row in ending]
        self._look_from(since, found, leases, due.now_ms, self._now_s() - began_s)
        later = [ms for (ms,) in next_due if ms is not None]
        over = [lease for lease in leases[: due.limit] if lease.until_ms <= due.now_ms]
        later += [lease.until_ms for lease in leases[len(over) :]]
        mine, others = found
        free = self._free(mine, over)
        items = sorted((*(i for i in mine if i.run_id in free), *others), key=_in_order)
        room[""] = due.limit
        given = self._fit(items, room, due, later)
        over = [lease for lease in over if lease.run_id in free]
        self._see_runs((*given, *over), view)
        given = [item for item in given if self._is_so(item, view)]
        over = [one for one in over if view.lease(one.run_id, one.key) == one]
        if len(mine) > due.limit:
            later.append(due.now_ms)
        lanes_ms = self._see_lanes_in_turn(due, view)
        view.see_due(given, over, earlier(min(later, default=None), lanes_ms))

    def _look_from(
        self,
        since: Mapping[str, int],
        found: Iterable[Iterable[Item]],
        leases: Iterable[Lease],
        now_ms: int,
        took_s: float,
    ) -> None:
        """Remember the oldest of each queue that was looked at as a whole."""
        oldest: dict[str, int] = {}
        for item in chain.from_iterable(found):
            oldest[item.queue] = min(oldest.get(item.queue, item.due_ms), item.due_ms)
        # Those that are lost are found in any case.
        ends = (lease.until_ms for lease in leases if lease.until_ms)
        first_ms = min(ends, default=None)
        if first_ms is not None:
            oldest[LEASES] = first_ms
        for queue, bound_ms in since.items():
            if not bound_ms:
                self.bound.looked(queue, oldest.get(queue), now_ms, took_s * 1_000)

    def _fit(
        self, items: Iterable[Item], room: dict[str, int], due: Due, later: list[int]
    ) -> list[Item]:
        """Those there is room for; when the others are due goes to `later`."""
        given: list[Item] = []
        for item in items:
            known_ms = self._known_at_ms(item)
            if known_ms > due.now_ms:
                later.append(known_ms)
            elif room[item.queue] > 0 and len(given) < due.limit:
                room[item.queue] -= 1
                given.append(item)
            else:
                later.append(item.due_ms)
        return given

    def _free(self, items: Sequence[Item], leases: Sequence[Lease]) -> set[str]:
        """Of what these hang on, what is locked now, and was not locked by others. What hangs on no
        run is locked by its name."""
        names = sorted({*(item.run_id for item in items), *(lease.run_id for lease in leases)})
        if not names:
            return set()
        rows = {name: row_of_own(name) for name in names}
        free = self._session.ask("runs_free", names)
        there = self._session.ask("runs_there", names)
        owned = self._session.ask("lock_free", sorted(set(rows.values())))
        runs = {run_id for (run_id,) in free}
        runless = set(names) - {run_id for (run_id,) in there}
        locked = {row for (row,) in owned}
        self._session.seen.locked |= locked
        return runs | {name for name in runless if rows[name] in locked}

    def _see_runs(self, hanging: Iterable[Item | Lease], view: View) -> None:
        """See what these hang on, as it is now that it is locked."""
        names = {one.run_id for one in hanging}
        unseen = frozenset(name for name in names if not view.sees_run(name))
        self._fresh = unseen
        if unseen:
            self._load(Need(runs=unseen), view)

    def _is_so(self, item: Item, view: View) -> bool:
        """Whether an item is as it was found. Of runs that the batch saw before, it knows itself
        what it did to them."""
        if item.run_id not in self._fresh:
            return True
        free = view.lease(item.run_id, item.key) is None
        return free and view.item(item.run_id, item.key) == item

    def _known_at_ms(self, item: Item) -> int:
        """From when on this process may take an item: a request of the server's own that another
        process knows is left to that one for a while."""
        if item.kind is ItemKind.GATEWAY and not item.secret:
            return item.due_ms + ELSEWHERE_MS
        return item.due_ms

    # -- lanes ----------------------------------------------------------------------------------

    def _see_lanes_in_turn(self, due: Due, view: View) -> int | None:
        now_s = self._now_s()
        if now_s >= self._look_at:
            self.find_lanes()
            self._lanes.look_again(ROUSED_MAX)
            took_s = self._now_s() - now_s
            self._look_at = now_s + max(LOOK_S, LOOK_SHARE * took_s)
        places = [place for place, count in due.capacity if count > 0]
        lanes, lanes_ms = self._lanes.ask(places, due.now_ms)
        view.flow.lanes = tuple(lanes)
        return lanes_ms

    def find_lanes(self) -> None:
        """Find every lane that has something to do."""
        for queue, due_ms in self._session.ask("lanes"):
            if is_lane(queue):
                self._lanes.added(queue, due_ms)

    def see_lanes(self, wanted: Sequence[tuple[str, int, int]], view: View) -> None:
        """Show the first items of lanes, so many of each that are due by then, with their runs."""
        # One more than is wanted says when the next is due.
        asked = [self._session.ask("lane_due", queue, count + 1) for queue, count, _ in wanted]
        found = [[self._item(row) for row in rows] for rows in asked]
        self._see_runs((item for items in found for item in items), view)
        for (queue, count, until_ms), items in zip(wanted, found, strict=True):
            due = [item for item in items[:count] if self._known_at_ms(item) <= until_ms]
            later = [self._known_at_ms(item) for item in items if item not in due]
            given = [item for item in due if self._is_so(item, view)]
            view.flow.see_items(queue, given, min(later, default=None))


def _in_order(item: Item) -> tuple[int, str, str]:
    return item.due_ms, item.run_id, item.key
