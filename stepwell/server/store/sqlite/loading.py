"""Answers needs: from memory where it can, from the database where it must."""

import sqlite3
from collections.abc import Iterable

import msgspec

from stepwell.expr.equality import values_at
from stepwell.server.engine.message.need import Due, Live, LookBack, Meeting, Need, Old, Skipped
from stepwell.server.engine.moment import earlier
from stepwell.server.engine.row.run import MAIN, EventRow, Item, Lease, Wait, place_of
from stepwell.server.engine.state.flow_view import KeySeen
from stepwell.server.engine.state.view import View
from stepwell.server.store.row import (
    annotation_of,
    dropped_of,
    event_of,
    held_of,
    hold_of,
    key_of,
    slot_of,
    wait_of,
)
from stepwell.server.store.sqlite.connection import SQL
from stepwell.server.store.sqlite.memory import Memory
from stepwell.wire.operation import WaitForEvent

OLD_STEPS_MAX = 5_000
"""Runs with more steps than this in all are not forgotten in one commit, which must stay short."""
PATHS_MAX = 256
"""Of how many paths of one event name a value is looked up. With more, all who wait for the name
are candidates, in order, a page at a time: whether their conditions hold is judged later anyway."""
SCAN = 20
"""To find one old event, at most so many are looked at."""


class Loader:
    """Fills views. Runs on the writer's connection, between transactions."""

    def __init__(self, connection: sqlite3.Connection, memory: Memory) -> None:
        self._db = connection
        self._memory = memory
        self._scanned = 0

    def load(self, need: Need, view: View) -> None:
        """Fill the view with the rows of the need, in the order of its fields."""
        for run_id in need.runs:
            if not view.sees_run(run_id):
                self._see_run(run_id, view)
        if need.keys or need.holders or need.holds or need.held:
            self._see_flow(need, view)
        if need.live is not None:
            self._see_live(need.live, view)
        if need.skipped is not None:
            self._see_skipped(need.skipped, view)
        for queue, count, until_ms in need.lanes:
            self._see_lane(queue, count, until_ms, view)
        for run_id, step_id in need.steps:
            self._see_step(run_id, step_id, view)
        for event_id in need.events:
            view.see_event(event_id, self._knows(event_id))
        for event_id in need.bodies:
            view.see_body(event_id, self._event(event_id))
        for function, key in need.dedups:
            view.see_dedup(function, key, self._newest(function, key))
        for meeting in need.meetings:
            view.see_meeting(meeting.event_id, meeting.after, self._candidates(meeting))
        for name in need.signals:
            view.see_signal(name, self._signal(name))
        for run_id in need.annotations:
            said = self._db.execute(SQL["annotations"], (run_id,))
            view.see_annotations(run_id, map(annotation_of, said))
        for look in need.look_back:
            view.see_look_back(look, self._past(look), self._met(look))
        if need.due is not None:
            self._see_due(need.due, view)
        if need.old is not None:
            self._see_old(need.old, view)

    # -- runs -----------------------------------------------------------------------------------

    def _see_run(self, run_id: str, view: View) -> None:
        entry = self._memory.entry(run_id)
        if entry is None:
            items = self._memory.items_on_disk(run_id)
            view.see_run(run_id, None, items.values(), (), self._leases(run_id, items))
            return
        if not entry.items:
            lease = self._memory.due.leases.get((run_id, MAIN))
            main = () if entry.main is None else (entry.main,)
            held = () if lease is None else (lease,)
            view.see_run(run_id, entry.run, main, entry.waits.values(), held)
            return
        hanging: list[Item] = [*entry.items.values()]
        if entry.main is not None:
            hanging.append(entry.main)
        leases = self._leases(run_id, (item.key for item in hanging))
        view.see_run(run_id, entry.run, hanging, entry.waits.values(), leases)

    def _leases(self, run_id: str, keys: Iterable[str]) -> tuple[Lease, ...]:
        leases = self._memory.due.leases
        return tuple(leases[run_id, key] for key in keys if (run_id, key) in leases)

    def _see_step(self, run_id: str, step_id: str, view: View) -> None:
        entry = self._memory.entry(run_id)
        if entry is None:
            view.see_step(run_id, step_id, False)
            view.see_saved(run_id, 0, 0)
            return
        saved = self._memory.saved(entry)
        view.see_step(run_id, step_id, step_id in saved)
        view.see_saved(run_id, len(saved), entry.saved_bytes)

    # -- flow control ---------------------------------------------------------------------------

    def _see_flow(self, need: Need, view: View) -> None:
        flow = view.flow
        for key in need.keys:
            row = self._db.execute(SQL["flow_key"], (key,)).fetchone()
            taken = self._db.execute(SQL["slots_taken"], (key,)).fetchone()[0]
            lanes = self._memory.lanes
            known = None if row is None else key_of(row)
            flow.see_key(key, KeySeen(known, taken, lanes.leased(key), lanes.firsts(key)))
        for key in need.holders:
            rows = self._db.execute(SQL["holders"], (key,))
            flow.see_holders(key, [slot_of(row) for row in rows])
        for key in need.holds:
            row = self._db.execute(SQL["hold"], (key,)).fetchone()
            flow.see_hold(key, None if row is None else hold_of(row))
        for key in need.held:
            rows = self._db.execute(SQL["held"], (key,))
            flow.see_held(key, [held_of(row) for row in rows])

    def _see_skipped(self, skipped: Skipped, view: View) -> None:
        wanted = {
            "function": skipped.function,
            "since": skipped.since_ms,
            "until": skipped.until_ms,
            "reasons": msgspec.json.encode(skipped.reasons).decode(),
            "limit": skipped.limit,
        }
        rows = self._db.execute(SQL["skipped"], wanted)
        view.flow.see_skipped(skipped, [dropped_of(row) for row in rows])

    def _see_live(self, live: Live, view: View) -> None:
        wanted = {"function": live.function, "after": live.after, "limit": live.limit}
        rows = self._db.execute(SQL["live_runs"], wanted)
        view.flow.see_live(live, [run_id for (run_id,) in rows])

    # -- events ---------------------------------------------------------------------------------

    def _knows(self, event_id: str) -> bool:
        if self._memory.recent.events.peek(event_id) is not None:
            return True
        return self._db.execute(SQL["event_known"], (event_id,)).fetchone() is not None

    def _event(self, event_id: str) -> EventRow | None:
        known = self._memory.recent.events.use(event_id)
        if known is not None:
            return known
        row = self._db.execute(SQL["event"], (event_id,)).fetchone()
        if row is None:
            return None
        event = event_of(row)
        self._memory.recent.events.put(event_id, event)
        return event

    def _past(self, look: LookBack) -> list[EventRow]:
        wanted = (look.name, look.since_ms, look.limit, look.skip)
        return [event_of(row) for row in self._db.execute(SQL["look_back"], wanted)]

    def _met(self, look: LookBack) -> list[bytes]:
        entry = self._memory.entry(look.run_id)
        if entry is None:
            return []
        wanted = (entry.seq, WaitForEvent.op)
        return [memo for (memo,) in self._db.execute(SQL["memos_of_op"], wanted)]

    # -- look-ups -------------------------------------------------------------------------------

    def _newest(self, function: str, key: str) -> str | None:
        found: str | None = self._db.execute(SQL["newest_dedup"], (function, key)).fetchone()[0]
        return found

    def _candidates(self, meeting: Meeting) -> list[Wait]:
        paths = self._memory.waited.paths(meeting.name)
        if not paths:
            return []
        run_id, _, step_id = meeting.after.partition("/")
        if len(paths) > PATHS_MAX:
            wanted = (meeting.name, run_id, step_id, meeting.limit)
            return [wait_of(row) for row in self._db.execute(SQL["meeting_by_name"], wanted)]
        values = values_at(meeting.body, frozenset(path for path in paths if path))
        pairs = [(path, values[path]) for path in paths if path in values]
        if "" in paths:
            pairs.append(("", ""))
        found: list[Wait] = []
        for path, value in pairs:
            asked = (meeting.name, path, value, run_id, step_id, meeting.limit)
            found += [wait_of(row) for row in self._db.execute(SQL["meeting"], asked)]
        if len(pairs) > 1:
            found.sort(key=place_of)
        return found[: meeting.limit]

    def _signal(self, name: str) -> Wait | None:
        row = self._db.execute(SQL["signal"], (name,)).fetchone()
        return None if row is None else wait_of(row)

    # -- what is due ----------------------------------------------------------------------------

    def _see_due(self, due: Due, view: View) -> None:
        items, leases, next_ms = self._memory.due.ask(due)
        places = [place for place, room in due.capacity if room > 0]
        lanes, lanes_ms = self._memory.lanes.ask(places, due.now_ms)
        view.flow.lanes = tuple(lanes)
        view.see_due(items, leases, earlier(next_ms, lanes_ms))

    def _see_lane(self, queue: str, count: int, until_ms: int, view: View) -> None:
        items = self._memory.due.show(queue, count, until_ms)
        view.flow.see_items(queue, items, self._memory.due.first_ms(queue))
        for item in items:
            if not view.sees_run(item.run_id):
                self._see_run(item.run_id, view)

    # -- what is old ----------------------------------------------------------------------------

    def _see_old(self, old: Old, view: View) -> None:
        going: set[int] = set()
        named: list[str] = []
        theirs: dict[str, None] = {}
        steps = 0
        for run in self._db.execute(
            SQL["old_runs"], (old.before_ms, old.keyed_before_ms, old.limit)
        ):
            seq, run_id, event_id, steps_of_run = run
            steps += steps_of_run
            if named and steps > OLD_STEPS_MAX:
                break
            going.add(seq)
            named.append(run_id)
            if event_id is not None:
                theirs[event_id] = None
        view.old_runs = tuple(named)
        for seq in going:
            found = self._db.execute(SQL["more_events_of_run"], (seq,))
            theirs.update(dict.fromkeys(event_id for (event_id,) in found))
        events = [e for e in theirs if self._is_free(e, going, old.before_ms)]
        if len(events) > old.limit:
            self._scanned = 0  # those left out are found again by looking from the beginning
        events += self._never_used(old, old.limit - len(events), set(events))
        view.old_events = tuple(events[: old.limit])
        spent = self._db.execute(SQL["spent_keys"], (old.spent_before_ms, old.limit))
        view.flow.old_keys = tuple(key for (key,) in spent)
        gone = self._db.execute(SQL["old_functions"], (old.before_ms, old.limit))
        view.old_functions = tuple(slug for (slug,) in gone)

    def _is_free(self, event_id: str, going: set[int], before_ms: int) -> bool:
        if self._db.execute(SQL["old_event"], (event_id, before_ms)).fetchone() is None:
            return False
        using = self._db.execute(SQL["runs_using_event"], {"event_id": event_id})
        return all(seq in going for (seq,) in using)

    def _never_used(self, old: Old, wanted: int, known: set[str]) -> list[str]:
        """Old events without a run, from the first that may still be there. An event in use is
        passed over for good: it goes with its run."""
        found: list[str] = []
        if wanted <= 0:
            return found
        scan = self._db.execute(SQL["events_after"], (self._scanned, SCAN * old.limit))
        passing = True
        for seq, event_id, received_ms, used, held in scan:
            if received_ms >= old.before_ms or len(found) == wanted:
                break
            # What is in a hold may yet start a run, or none.
            passing = passing and not held and (bool(used) or event_id in known)
            if passing:
                self._scanned = seq
            elif not used and not held and event_id not in known:
                found.append(event_id)
        return found
