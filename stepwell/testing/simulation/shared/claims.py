"""Answers in memory what a claim asks of PostgreSQL: the claim itself is the same."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.row.run import Item
from stepwell.server.store.postgres.session import Seen
from stepwell.server.store.reading import order_of
from stepwell.testing.simulation.faults import Fault
from stepwell.testing.simulation.shared.database import Database, Transaction


class Claims:
    """The session of a claim: its questions by name."""

    def __init__(self, database: Database, begun: Callable[[], Transaction]) -> None:
        """`begun` gives the open transaction."""
        self._database = database
        self._begun = begun

    @property
    def seen(self) -> Seen:
        """What the open transaction has seen and locked."""
        return self._begun().seen

    def ask(self, name: str, *wanted: Any) -> Iterable[tuple[Any, ...]]:
        """What a statement answers, in the transaction."""
        questions: dict[str, Callable[..., Iterable[tuple[Any, ...]]]] = {
            "calls_due": self._calls_due,
            "own_due": self._own_due,
            "next_due": self._next_due,
            "runs_free": self._runs_free,
            "runs_there": self._runs_there,
            "lock_free": self._lock_free,
            "lanes": self._lanes,
            "lane_due": self._lane_due,
        }
        return list(questions[name](*wanted))

    def ask_named(self, name: str, wanted: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        """The same, for a statement whose parameters have names."""
        questions = {"leases_ending": self._leases_ending}
        return list(questions[name](**wanted))

    def _found(self) -> list[Item]:
        """Items as a statement finds them that began to look a moment ago, in order: some may have
        changed since."""
        database = self._database
        items = {(item.run_id, item.key): item for item in database.disk.items}
        if database.plan.strikes(Fault.OLD_LOOK):
            # What hangs on a run that was locked before cannot have changed since.
            locked = self._begun().seen_runs
            old = {slot: item for slot, item in database.before.items() if slot[0] not in locked}
            items |= old
        free = (item for slot, item in items.items() if database.leases.get(slot) is None)
        return sorted(free, key=order_of)

    def _with_runs_locked(self, items: Iterable[Item], room: int) -> Iterable[tuple[Item]]:
        database = self._database
        for item in items:
            if room <= 0:
                return
            if item.run_id not in database.disk.runs:
                continue
            if self._lock_run(item.run_id):
                room -= 1
                yield (item,)

    def _calls_due(
        self, queues: Sequence[str], rooms: Sequence[int], since: Sequence[int], now_ms: int
    ) -> Iterable[tuple[Item]]:
        found = [item for item in self._found() if item.due_ms <= now_ms]
        calls: list[Item] = []
        for queue, room, since_ms in zip(queues, rooms, since, strict=True):
            mine = (i for i in found if i.queue == queue and i.due_ms >= since_ms)
            calls += [item for (item,) in self._with_runs_locked(mine, room)]
        return [(item,) for item in sorted(calls, key=order_of)]

    def _own_due(self, since_ms: int, now_ms: int, limit: int) -> Iterable[tuple[Item]]:
        own = (item for item in self._found() if not item.queue)
        due = [(item,) for item in own if since_ms <= item.due_ms <= now_ms]
        return due[:limit]

    def _next_due(self, queues: Sequence[str], now_ms: int) -> Iterable[tuple[int | None]]:
        later = (i.due_ms for i in self._found() if i.queue in queues and i.due_ms > now_ms)
        return [(min(later, default=None),)]

    def _leases_ending(self, since: int, now: int, limit: int) -> Iterable[tuple[Any]]:
        all_ = self._database.leases
        leases = (lease for lease in all_ if not lease.until_ms or lease.until_ms >= since)
        ending = sorted(leases, key=lambda lease: (lease.until_ms, lease.run_id, lease.key))
        over = sum(lease.until_ms <= now for lease in ending)
        return [(lease,) for lease in ending[: min(over + 1, limit)]]

    def _runs_free(self, names: Sequence[str]) -> Iterable[tuple[str]]:
        there = (name for name in names if name in self._database.disk.runs)
        return [(name,) for name in there if self._lock_run(name)]

    def _lock_run(self, run_id: str) -> bool:
        begun = self._begun()
        is_locked = self._database.lock_free(begun, ("run", run_id))
        if is_locked:
            begun.seen_runs.add(run_id)
        return is_locked

    def _runs_there(self, names: Sequence[str]) -> Iterable[tuple[str]]:
        return [(name,) for name in names if name in self._database.disk.runs]

    def _lock_free(self, rows: Sequence[int]) -> Iterable[tuple[int]]:
        database, begun = self._database, self._begun()
        return [(row,) for row in rows if database.lock_free(begun, ("row", row))]

    def _lanes(self) -> Iterable[tuple[str, int]]:
        firsts: dict[str, int] = {}
        for item in self._database.disk.items:
            if is_lane(item.queue):
                firsts[item.queue] = min(firsts.get(item.queue, item.due_ms), item.due_ms)
        return sorted(firsts.items())

    def _lane_due(self, queue: str, limit: int) -> Iterable[tuple[Item]]:
        return self._with_runs_locked((i for i in self._found() if i.queue == queue), limit)
