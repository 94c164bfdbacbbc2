"""Answers needs, from the database alone: what is loaded is locked until the batch is over.

What a need asks for goes to the database in one piece, in the order of the need's
fields: that is the one order in which rows are locked, those that stand for what may not be there
(`locks.py`) before all others. Only what depends on an answer is asked for after it: what is due is
chosen by `claiming.py`.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from stepwell.expr.equality import values_at
from stepwell.server.engine.message.need import LookBack, Meeting, Need, Old
from stepwell.server.engine.moment import PLACES
from stepwell.server.engine.name.lease_id import granted_tick
from stepwell.server.engine.row.flow import Held, Slot
from stepwell.server.engine.row.run import Item, ItemKind, Lease, Run
from stepwell.server.engine.state.flow_view import KeySeen
from stepwell.server.engine.state.view import View
from stepwell.server.store.lanes import LaneIndex
from stepwell.server.store.postgres.claiming import Claimer
from stepwell.server.store.postgres.locks import Locks, locks_of
from stepwell.server.store.postgres.piece import Answer
from stepwell.server.store.postgres.rows import lease_from, run_from
from stepwell.server.store.postgres.session import Session
from stepwell.server.store.postgres.waited_lately import WaitedLately
from stepwell.server.store.row import (
    annotation_of,
    dropped_of,
    event_of,
    held_of,
    hold_of,
    item_of,
    key_of,
    slot_of,
    wait_of,
)
from stepwell.wire.operation import WaitForEvent

OLD_STEPS_MAX = 5_000
"""Runs with more steps than this in all are not forgotten in one commit, which must stay short."""
SCAN = 20
"""To find one old event, at most so many are looked at."""

Fill: TypeAlias = Callable[[View], None]
Secrets: TypeAlias = Mapping[tuple[str, str], bytes]


class Loader:
    """Fills views, within the transaction of its session."""

    def __init__(self, session: Session, secrets: Secrets) -> None:
        self._session = session
        self._secrets = secrets
        self._scanned = (-1, "")
        self._tick = 0
        self.waited = WaitedLately(time.monotonic)
        self.lanes = LaneIndex(self._first_of_lane)
        self._claimer = Claimer(session, self.lanes, self._item, self._lease, self.load)
        self.bound = self._claimer.bound

    def load(self, need: Need, view: View) -> None:
        """Fill the view with the rows of the need.

        Raises `Stale` where the catalog is another by now.
        """
        self._tick = view.newest_tick
        if self._session.assumed:
            self._session.make_sure()
        self._lock(locks_of(need))
        fills = [fill for asked in self._asked_at_once(need, view) for fill in asked]
        for fill in fills:
            fill(view)
        view.newest_tick = self._tick
        if need.meetings:
            self._see_meetings(need.meetings, view)
        for look in need.look_back:
            view.see_look_back(look, self._past(look), self._met(look))
        if need.lanes:
            self._claimer.see_lanes(need.lanes, view)
        if need.due is not None:
            self._claimer.see_due(need.due, view)
        if need.old is not None:
            self._see_old(need.old, view)
        self._session.check()

    def _lock(self, locks: Locks) -> None:
        seen = self._session.seen
        alone = [row for row in locks.alone if row not in seen.locked]
        if alone:
            self._session.ask("lock", alone)
            seen.locked.update(alone)
        known = seen.locked | seen.together
        together = [row for row in locks.together if row not in known]
        if together:
            self._session.ask("lock_together", together)
            seen.together.update(together)

    def _asked_at_once(self, need: Need, view: View) -> Iterable[Iterable[Fill]]:
        """What goes in one piece, in the order of the fields of a need: whoever reads the answers
        reads them after the last question."""
        yield self._runs(need, view)
        yield self._keys(need)
        yield self._holders(need)
        yield self._holds(need)
        yield self._held(need)
        yield self._steps(need)
        yield self._names(need)
        yield self._events(need)
        yield self._bodies(need)
        yield self._dedups(need)
        yield self._signals(need)
        yield self._annotations(need)
        yield self._live(need)
        yield self._skipped(need)

    # -- runs -----------------------------------------------------------------------------------

    def _runs(self, need: Need, view: View) -> Iterable[Fill]:
        ids = sorted(run_id for run_id in need.runs if not view.sees_run(run_id))
        if not ids:
            return
        runs, items, waits, leases = (
            self._session.ask(name, ids)
            for name in ("runs_locked", "items_of_runs", "waits_of_runs", "leases_of_runs")
        )

        def fill(view: View) -> None:
            known: dict[str, Run] = {run.id: run for run in map(run_from, runs)}
            self._session.seen.runs |= known
            hanging = _by_run(map(self._item, items))
            waited = _by_run(map(wait_of, waits))
            held = _by_run(map(self._lease, leases))
            for run_id in ids:
                parts = hanging[run_id], waited[run_id], held[run_id]
                view.see_run(run_id, known.get(run_id), *parts)

        yield fill

    def _item(self, row: tuple[Any, ...]) -> Item:
        item = item_of(row[:9])
        place = item.detail.partition(b" ")[0]
        if item.kind is ItemKind.CALL and place.isdigit():
            self._tick = max(self._tick, int(place) // PLACES)
        self._session.seen.items.setdefault((item.run_id, item.key), item)
        secret = self._secrets.get((item.run_id, item.key))
        return msgspec.structs.replace(item, secret=secret) if secret else item

    def _lease(self, row: tuple[Any, ...]) -> Lease:
        lease = lease_from(row)
        self._tick = max(self._tick, granted_tick(lease.id) or 0)
        self._session.seen.leases.setdefault((lease.run_id, lease.key), lease)
        return lease

    def _steps(self, need: Need) -> Iterable[Fill]:
        if not need.steps:
            return
        slots = sorted(need.steps)
        runs = sorted({run_id for run_id, _ in slots})
        saved = self._session.ask_rows("steps_saved", slots)
        sizes = self._session.ask("step_sizes", runs)

        def fill(view: View) -> None:
            known = set(saved)
            for slot in slots:
                view.see_step(*slot, slot in known)
            size_of: dict[str, tuple[int, int]] = {}
            for run_id, count, size, place in sizes:
                size_of[run_id] = count, size
                self._tick = max(self._tick, place // PLACES)
            for run_id in runs:
                view.see_saved(run_id, *size_of.get(run_id, (0, 0)))

        yield fill

    def _annotations(self, need: Need) -> Iterable[Fill]:
        for run_id in sorted(need.annotations):
            rows = self._session.ask("annotations", run_id)

            def fill(view: View, run_id: str = run_id, rows: Answer = rows) -> None:
                view.see_annotations(run_id, map(annotation_of, rows))

            yield fill

    # -- flow control ---------------------------------------------------------------------------

    def _keys(self, need: Need) -> Iterable[Fill]:
        if not need.keys:
            return
        keys = sorted(need.keys)
        rows = self._session.ask("keys_locked", keys)
        places = self._session.ask("slots_taken", keys)
        calls = self._session.ask_named("leased", {"keys": keys})

        def fill(view: View) -> None:
            known = {key.id: key for key in map(key_of, rows)}
            taken: dict[str, int] = dict(places)
            leased: dict[str, int] = dict(calls)
            for key in keys:
                self._session.seen.keys[key] = key in known
                counts = taken.get(key, 0), leased.get(key, 0), self.lanes.firsts(key)
                view.flow.see_key(key, KeySeen(known.get(key), *counts))

        yield fill

    def _holders(self, need: Need) -> Iterable[Fill]:
        if not need.holders:
            return
        keys = sorted(need.holders)
        rows = self._session.ask("holders", keys)

        def fill(view: View) -> None:
            slots: defaultdict[str, list[Slot]] = defaultdict(list)
            for slot in map(slot_of, rows):
                slots[slot.key].append(slot)
            for key in keys:
                view.flow.see_holders(key, slots[key])

        yield fill

    def _holds(self, need: Need) -> Iterable[Fill]:
        if not need.holds:
            return
        keys = sorted(need.holds)
        rows = self._session.ask("holds_of_keys", keys)

        def fill(view: View) -> None:
            known = {hold.key: hold for hold in map(hold_of, rows)}
            for key in keys:
                self._session.seen.holds[key] = key in known
                view.flow.see_hold(key, known.get(key))

        yield fill

    def _held(self, need: Need) -> Iterable[Fill]:
        if not need.held:
            return
        keys = sorted(need.held)
        rows = self._session.ask("held_of_holds", keys)

        def fill(view: View) -> None:
            held: defaultdict[str, list[Held]] = defaultdict(list)
            for one in map(held_of, rows):
                held[one.hold].append(one)
            for key in keys:
                view.flow.see_held(key, held[key])

        yield fill

    def _live(self, need: Need) -> Iterable[Fill]:
        live = need.live
        if live is not None:
            rows = self._session.ask("live_runs", live.function, live.after, live.limit)
            yield lambda view: view.flow.see_live(live, [run_id for (run_id,) in rows])

    def _skipped(self, need: Need) -> Iterable[Fill]:
        one = need.skipped
        if one is not None:
            reasons = [reason.value for reason in one.reasons]
            times = one.since_ms, one.until_ms
            rows = self._session.ask("skipped", one.function, *times, reasons, one.limit)
            yield lambda view: view.flow.see_skipped(one, [dropped_of(row) for row in rows])

    # -- events ---------------------------------------------------------------------------------

    def _names(self, need: Need) -> Iterable[Fill]:
        if not need.names:
            return
        rows = self._session.ask("names_waited", sorted(need.names))

        def fill(view: View) -> None:
            waited = {name for (name,) in rows}
            self.waited.seen(waited)
            for name in need.names:
                view.see_name(name, name in waited)

        yield fill

    def _events(self, need: Need) -> Iterable[Fill]:
        if not need.events:
            return
        rows = self._session.ask("events_known", sorted(need.events))

        def fill(view: View) -> None:
            known = {event_id for (event_id,) in rows}
            for event_id in need.events:
                view.see_event(event_id, event_id in known)

        yield fill

    def _bodies(self, need: Need) -> Iterable[Fill]:
        if not need.bodies:
            return
        rows = self._session.ask("events_whole", sorted(need.bodies))

        def fill(view: View) -> None:
            known = {event.id: event for event in map(event_of, rows)}
            for event_id in need.bodies:
                view.see_body(event_id, known.get(event_id))

        yield fill

    def _past(self, look: LookBack) -> list[Any]:
        rows = self._session.ask("look_back", look.name, look.since_ms, look.limit, look.skip)
        return [event_of(row) for row in rows]

    def _met(self, look: LookBack) -> list[bytes]:
        return [memo for (memo,) in self._session.ask("memos_of_op", look.run_id, WaitForEvent.op)]

    # -- look-ups -------------------------------------------------------------------------------

    def _dedups(self, need: Need) -> Iterable[Fill]:
        for function, key in sorted(need.dedups):
            rows = self._session.ask("newest_dedup", function, key, key)

            def fill(
                view: View, slot: tuple[str, str] = (function, key), rows: Answer = rows
            ) -> None:
                row = rows.first()
                view.see_dedup(*slot, None if row is None else row[0])

            yield fill

    def _signals(self, need: Need) -> Iterable[Fill]:
        if not need.signals:
            return
        rows = self._session.ask("signals", sorted(need.signals))

        def fill(view: View) -> None:
            known = {wait.name: wait for wait in map(wait_of, rows)}
            for name in need.signals:
                view.see_signal(name, known.get(name))

        yield fill

    def _see_meetings(self, meetings: Sequence[Meeting], view: View) -> None:
        names = sorted({meeting.name for meeting in meetings})
        paths: defaultdict[str, list[str]] = defaultdict(list)
        for name, path in self._session.ask("paths_waited", names):
            paths[name].append(path)
        asked = [self._candidates(meeting, paths[meeting.name]) for meeting in meetings]
        for meeting, rows in zip(meetings, asked, strict=True):
            view.see_meeting(meeting.event_id, meeting.after, map(wait_of, rows))

    def _candidates(self, meeting: Meeting, paths: Sequence[str]) -> Iterable[tuple[Any, ...]]:
        if not paths:
            return ()
        values = values_at(meeting.body, frozenset(path for path in paths if path))
        pairs = {path: values[path] for path in paths if path in values}
        if "" in paths:
            pairs[""] = ""
        run_id, _, step_id = meeting.after.partition("/")
        wanted = {
            "name": meeting.name,
            "run_id": run_id,
            "step_id": step_id,
            "paths": list(pairs),
            "values": list(pairs.values()),
            "limit": meeting.limit,
        }
        return self._session.ask_named("meeting", wanted)

    # -- lanes ----------------------------------------------------------------------------------

    def _first_of_lane(self, queue: str) -> int | None:
        row = self._session.ask("first_of_lane", queue).first()
        return None if row is None else row[0]

    def begin_lanes(self) -> None:
        """Find every lane that has something to do."""
        self._claimer.find_lanes()

    # -- what is old ----------------------------------------------------------------------------

    def _see_old(self, old: Old, view: View) -> None:
        named: list[str] = []
        theirs: dict[str, None] = {}
        steps = 0
        wanted = old.before_ms, old.keyed_before_ms, old.limit
        for run_id, event_id, steps_of_run in self._session.ask("old_runs", *wanted):
            steps += steps_of_run
            if named and steps > OLD_STEPS_MAX:
                break
            named.append(run_id)
            if event_id is not None:
                theirs[event_id] = None
        view.old_runs = tuple(named)
        more = self._session.ask("more_events_of_runs", named)
        theirs.update(dict.fromkeys(event_id for (event_id,) in more))
        asked = {"events": list(theirs), "runs": named, "before": old.before_ms}
        free = {event_id for (event_id,) in self._session.ask_named("free_events", asked)}
        events = [event_id for event_id in theirs if event_id in free]
        if len(events) > old.limit:
            self._scanned = (-1, "")  # those left out are found by looking from the beginning
        events += self._never_used(old, old.limit - len(events), set(events))
        view.old_events = tuple(events[: old.limit])
        spent = self._session.ask("spent_keys", old.spent_before_ms, old.limit)
        view.flow.old_keys = tuple(key for (key,) in spent)
        gone = self._session.ask("old_functions", old.before_ms, old.limit)
        view.old_functions = tuple(slug for (slug,) in gone)

    def _never_used(self, old: Old, wanted: int, known: set[str]) -> list[str]:
        """Old events without a run, from the first that may still be there. An event in use is
        passed over for good: it goes with its run."""
        found: list[str] = []
        if wanted <= 0:
            return found
        scan = self._session.ask("events_after", *self._scanned, old.before_ms, SCAN * old.limit)
        passing = True
        for received_ms, event_id, used, held in scan:
            if len(found) == wanted:
                break
            # What is in a hold may yet start a run, or none.
            passing = passing and not held and (bool(used) or event_id in known)
            if passing:
                self._scanned = (received_ms, event_id)
            elif not used and not held and event_id not in known:
                found.append(event_id)
        return found


def _by_run(rows: Iterable[Any]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.run_id].append(row)
    return found
