"""What the one writing process holds in memory of its database, and how a commit changes it.

Everything here can be lost: it is made again from the database, except leases, which end with the
process that granted them.
"""

import sqlite3

import msgspec

from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.row.run import MAIN, Item, Wait
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.due import ITEMS_MAX, PAGE, DueIndex, Place
from stepwell.server.store.lanes import LaneIndex
from stepwell.server.store.live import Live
from stepwell.server.store.row import item_of, main_of, run_of, wait_of
from stepwell.server.store.sqlite.connection import SQL
from stepwell.server.store.sqlite.recent import MEMO_BYTES, Recent, RunEntry
from stepwell.server.store.sqlite.waited import Waited


class Limits(msgspec.Struct, frozen=True):
    """How much of a database is held in memory. Items are counted, the rest is in bytes."""

    items_max: int = ITEMS_MAX
    items_page: int = PAGE
    runs_bytes_max: int = 16 * 1024 * 1024
    events_bytes_max: int = 8 * 1024 * 1024


LIMITS = Limits()


class Memory:
    """Runs and events in use, what is due, who has it, what is waited for, the next row numbers."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits) -> None:
        self._db = connection
        self.recent = Recent(limits.runs_bytes_max, limits.events_bytes_max)
        self.due = DueIndex(self._page, items_max=limits.items_max, page=limits.items_page)
        self.lanes = LaneIndex(self._first_of_lane)
        for queue, due_ms in connection.execute(SQL["lanes"]):
            self.lanes.added(queue, due_ms)
        self.waited = Waited()
        for name, path, count in connection.execute(SQL["waited"]):
            self.waited.count(name, path, count)
        self.live = Live(connection.execute(SQL["live"]))
        last_event, last_run = connection.execute(SQL["last_numbers"]).fetchone()
        self.next_event = (last_event or 0) + 1
        self.next_run = (last_run or 0) + 1

    def _first_of_lane(self, queue: str) -> int | None:
        due_ms = self.due.first_ms(queue)
        if due_ms is None:
            self.due.leave(queue)
        return due_ms

    def _page(self, queue: str, after: Place, limit: int) -> list[Item]:
        """The items of a queue after a place, from the database."""
        due_ms, run_id, _ = after
        main = self._db.execute(SQL["due_main"], (queue, due_ms, run_id, limit))
        found = [main_of(row) for row in main]
        others = self._db.execute(SQL["due_item"], (queue, *after, limit))
        found += [item_of(row) for row in others]
        found.sort(key=lambda item: (item.due_ms, item.run_id, item.key))
        return found[:limit]

    # -- runs -----------------------------------------------------------------------------------

    def entry(self, run_id: str) -> RunEntry | None:
        """A run with what hangs on it, from memory or the database; None if there is no such."""
        entry = self.recent.runs.use(run_id)
        if entry is not None:
            return entry
        row = self._db.execute(SQL["run"], (run_id,)).fetchone()
        if row is None:
            return None
        run, main = run_of(row)
        items: dict[str, Item] = {}
        waits: dict[str, Wait] = {}
        if run.parts and not run.ended:
            items = self.items_on_disk(run_id)
            found = (wait_of(row) for row in self._db.execute(SQL["waits_of_run"], (run_id,)))
            waits = {wait.step_id: wait for wait in found}
        entry = RunEntry(row[0], run, main, items, waits)
        self.recent.runs.put(run_id, entry)
        return entry

    def items_on_disk(self, run_id: str) -> dict[str, Item]:
        """The items that hang on an id, which need not be a run's."""
        found = (item_of(row) for row in self._db.execute(SQL["items_of_run"], (run_id,)))
        return {item.key: item for item in found}

    def saved(self, entry: RunEntry) -> set[str]:
        """The ids of a run's saved steps."""
        if entry.saved is None:
            sizes = dict(self._db.execute(SQL["step_sizes"], (entry.seq,)))
            entry.saved, entry.saved_bytes = set(sizes), sum(sizes.values())
        return entry.saved

    # -- after a commit -------------------------------------------------------------------------

    def keep(self, changes: Changes, touched: dict[str, RunEntry]) -> None:
        """What a batch changed, now that it is committed.

        `touched` has every run that was written, as it was before; new ones as they began.
        """
        for event in changes.events:
            self.recent.events.put(event.id, event)
        for run_id in changes.started:
            self.recent.runs.put(run_id, touched[run_id])
        self.live.began(changes)
        for run_id, run in changes.runs.items():
            self.live.changed(touched[run_id].run, run)
            touched[run_id].run = run
        self._keep_items(changes, touched)
        self._keep_waits(changes, touched)
        for step in changes.steps:
            touched[step.run_id].add_step(step.id, step.place, step.memo)
            self.recent.runs.grow(MEMO_BYTES + len(step.memo))
        for run_id in changes.ended:
            self._end(run_id, touched[run_id])
        self.lanes.keep(changes)
        for run_id in changes.forgotten_runs:
            self.recent.runs.drop(run_id)
        for event_id in changes.forgotten_events:
            self.recent.events.drop(event_id)

    def _keep_items(self, changes: Changes, touched: dict[str, RunEntry]) -> None:
        for slot, lease in changes.leases.items():
            self.lanes.lent(self.due.leases.get(slot), lease)
        self.due.keep(changes.items, changes.leases)
        for item in changes.items.values():
            if item is not None and is_lane(item.queue):
                self.lanes.added(item.queue, item.due_ms)
        for (run_id, key), item in changes.items.items():
            entry = touched.get(run_id)
            if entry is None:
                continue
            if key == MAIN:
                entry.main = item
            elif item is None:
                entry.items.pop(key, None)
            else:
                entry.items[key] = item

    def _keep_waits(self, changes: Changes, touched: dict[str, RunEntry]) -> None:
        for (run_id, step_id), wait in changes.waits.items():
            waits = touched[run_id].waits
            before = waits.pop(step_id, None)
            if before is not None:
                self.waited.closed(before)
            if wait is not None:
                waits[step_id] = wait
                self.waited.opened(wait)

    def _end(self, run_id: str, entry: RunEntry) -> None:
        """Nothing hangs on a run that ended."""
        for lease in self.due.drop(run_id, (MAIN, *entry.items)):
            self.lanes.lent(lease, None)
        for wait in entry.waits.values():
            self.waited.closed(wait)
        entry.main = None
        entry.items = {}
        entry.waits = {}
