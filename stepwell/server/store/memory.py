"""The reference store: plain dictionaries, obviously right. The only place that says in Python
what each verb of the port means; every other store is compared with this one.

A `Disk` is what outlives a crash: a new `MemoryStore` over an old disk is a restart.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence

import msgspec

from stepwell.expr.equality import values_at
from stepwell.server.engine.message.need import Due, Live, LookBack, Meeting, Need, Old, Skipped
from stepwell.server.engine.moment import earlier
from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.row.annotation import Annotation
from stepwell.server.engine.row.bulk import Bulk
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold, KeyKind, Slot
from stepwell.server.engine.row.key import ApiKey, AuditEntry
from stepwell.server.engine.row.run import (
    MAIN,
    STEP_WAITS,
    AppRow,
    EventRow,
    FunctionRow,
    FunctionVersion,
    Item,
    Lease,
    Note,
    Run,
    RunStatus,
    Step,
    Wait,
    WaitKind,
    place_of,
)
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.flow_state import KINDS
from stepwell.server.engine.state.flow_view import KeySeen
from stepwell.server.engine.state.view import View
from stepwell.server.store.counting import listed
from stepwell.server.store.disk import Disk, Hanging, put, refuse_known
from stepwell.server.store.due import nearer
from stepwell.server.store.ended_counts import durations_in, failures_in
from stepwell.server.store.lanes import LaneIndex
from stepwell.server.store.meeting import MEETABLE
from stepwell.server.store.port import (
    CallState,
    Cluster,
    CountFilter,
    DurationCount,
    DurationPlace,
    EndedFilter,
    EventFilter,
    FailureCount,
    FailurePlace,
    RunCount,
    RunFilter,
)
from stepwell.server.store.reading import (
    as_seen,
    counts_under,
    in_turn,
    mark_of,
    order_of,
    stands_under,
    wants_event,
    wants_run,
)
from stepwell.wire.operation import WaitForEvent


class MemoryStore:
    """A store for tests and the simulator. Nothing survives the process."""

    commit_blocks = False
    is_shared = False
    cluster: Cluster | None = None

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk = Disk() if disk is None else disk
        self._leases = Hanging[Lease]()
        self._lanes = LaneIndex(self._first_of_lane)
        for item in self.disk.items:
            if is_lane(item.queue):
                self._lanes.added(item.queue, item.due_ms)
        self._written: list[Changes] = []
        self._ended_in_order = not self.disk.is_open
        self.disk.is_open = True
        for item in list(self.disk.items):
            self.disk.items.put((item.run_id, item.key), _told(item))

    @property
    def waited(self) -> Container[str]:
        """Every event name somebody waits for."""
        return {wait.name for wait in self.disk.waits if wait.kind in MEETABLE}

    @property
    def ended_in_order(self) -> bool:
        """Whether the store before this one was closed."""
        return self._ended_in_order

    def migrate(self) -> None:
        """Nothing to do: there is no older shape of memory."""

    def catalog(self) -> Catalog:
        """Every registered app and function."""
        flow = [key for key in self.disk.keys.values() if key.kind in KINDS]
        return Catalog.of(self.disk.apps.values(), self.disk.functions.values(), flow)

    def newest_place(self) -> int:
        """The place of the step that was saved last."""
        return max((step.place for step in self.disk.steps), default=0)

    # -- load -----------------------------------------------------------------------------------

    def load(self, need: Need, view: View) -> None:
        """Fill the view with the rows of the need."""
        for run_id in need.runs:
            self._see_run(run_id, view)
        self._see_flow(need, view)
        for run_id, step_id in need.steps:
            saved = self.disk.steps.of(run_id)
            view.see_step(run_id, step_id, any(step.id == step_id for step in saved))
            view.see_saved(run_id, len(saved), sum(len(step.memo) for step in saved))
        for event_id in need.events:
            view.see_event(event_id, event_id in self.disk.events)
        for event_id in need.bodies:
            view.see_body(event_id, self.disk.events.get(event_id))
        for function, key in need.dedups:
            view.see_dedup(function, key, self._newest(function, key))
        for meeting in need.meetings:
            view.see_meeting(meeting.event_id, meeting.after, self._candidates(meeting))
        for name in need.signals:
            view.see_signal(name, self._signal(name))
        for run_id in need.annotations:
            view.see_annotations(run_id, self.disk.annotations.get(run_id, {}).values())
        for look in need.look_back:
            ended = (s.memo for s in self.disk.steps.of(look.run_id) if s.op == WaitForEvent.op)
            view.see_look_back(look, self._past(look), ended)
        if need.due is not None:
            self._see_due(need.due, view)
        if need.old is not None:
            self._see_old(need.old, view)

    def _see_run(self, run_id: str, view: View) -> None:
        disk = self.disk
        view.see_run(
            run_id,
            disk.runs.get(run_id),
            disk.items.of(run_id),
            disk.waits.of(run_id),
            self._leases.of(run_id),
        )

    def _see_flow(self, need: Need, view: View) -> None:
        disk, flow = self.disk, view.flow
        for key in need.keys:
            taken, firsts = len(disk.slots.of(key)), self._lanes.firsts(key)
            seen = KeySeen(disk.keys.get(key), taken, self._leased(key), firsts)
            flow.see_key(key, seen)
        for key in need.holders:
            flow.see_holders(key, in_turn(disk.slots.of(key)))
        for key in need.holds:
            flow.see_hold(key, disk.holds.get(key))
        for key in need.held:
            flow.see_held(key, disk.held.get(key, ()))
        if need.live is not None:
            flow.see_live(need.live, self._live(need.live))
        if need.skipped is not None:
            flow.see_skipped(need.skipped, self._skipped(need.skipped))
        for queue, count, until_ms in need.lanes:
            free = self._free(queue)
            items = [item for item in free if item.due_ms <= until_ms][:count]
            following = free[len(items)].due_ms if len(items) < len(free) else None
            flow.see_items(queue, items, following)
            for item in items:
                self._see_run(item.run_id, view)

    def _leased(self, key: str) -> int:
        return self._lanes.leased(key)

    def _live(self, live: Live) -> list[str]:
        runs = (run for run in self.disk.runs.values() if run.function == live.function)
        going = (run.id for run in runs if not run.ended and run.id > live.after)
        return sorted(going)[: live.limit]

    def _skipped(self, wanted: Skipped) -> list[Dropped]:
        mine = (one for one in self.disk.dropped if one.function == wanted.function)
        then = (one for one in mine if wanted.since_ms <= one.at_ms < wanted.until_ms)
        return [one for one in then if one.reason in wanted.reasons][: wanted.limit]

    def _free(self, queue: str) -> list[Item]:
        """The items of a queue that nobody has, in order."""
        mine = (item for item in self.disk.items if item.queue == queue)
        free = (i for i in mine if self._leases.get((i.run_id, i.key)) is None)
        return sorted(free, key=order_of)

    def _first_of_lane(self, queue: str) -> int | None:
        return next((item.due_ms for item in self._free(queue)), None)

    def _newest(self, function: str, key: str) -> str | None:
        return max(self.disk.dedups.get((function, key), ()), default=None)

    def _candidates(self, meeting: Meeting) -> list[Wait]:
        named = [
            wait
            for wait in self.disk.waits
            if wait.name == meeting.name
            and wait.kind in MEETABLE
            and place_of(wait) > meeting.after
        ]
        values = values_at(meeting.body, frozenset(wait.path for wait in named if wait.path))
        matching = [w for w in named if not w.path or values.get(w.path) == w.value]
        return sorted(matching, key=place_of)[: meeting.limit]

    def _signal(self, name: str) -> Wait | None:
        known = (
            wait for wait in self.disk.waits if wait.kind is WaitKind.SIGNAL and wait.name == name
        )
        return min(known, key=place_of, default=None)

    def _past(self, look: LookBack) -> list[EventRow]:
        named = (event for event in self.disk.events.values() if event.name == look.name)
        past = (event for event in named if event.received_ms >= look.since_ms)
        in_order = sorted(past, key=lambda event: event.received_ms)
        return in_order[look.skip : look.skip + look.limit]

    def _see_due(self, due: Due, view: View) -> None:
        left = {queue: count for queue, count in due.capacity if count > 0}
        left[""] = due.limit
        free = [
            item
            for item in self.disk.items
            if item.queue in left and self._leases.get((item.run_id, item.key)) is None
        ]
        waiting = [item.due_ms for item in free if item.due_ms > due.now_ms]
        given: list[Item] = []
        for item in sorted((i for i in free if i.due_ms <= due.now_ms), key=order_of):
            if left[item.queue] > 0 and len(given) < due.limit:
                left[item.queue] -= 1
                given.append(item)
            else:
                waiting.append(item.due_ms)
        leases = sorted(self._leases, key=lambda lease: (lease.until_ms, lease.run_id, lease.key))
        over = [lease for lease in leases if lease.until_ms <= due.now_ms][: due.limit]
        waiting += [lease.until_ms for lease in leases[len(over) :]]
        places = [place for place, room in due.capacity if room > 0]
        lanes, lanes_ms = self._lanes.ask(places, due.now_ms)
        view.flow.lanes = tuple(lanes)
        view.see_due(given, over, earlier(min(waiting, default=None), lanes_ms))

    def _see_old(self, old: Old, view: View) -> None:
        ended = (r for r in self.disk.runs.values() if r.ended and r.ended_ms < old.before_ms)
        free = (r for r in ended if not r.dedup or r.queued_ms < old.keyed_before_ms)
        runs = sorted(free, key=lambda run: run.ended_ms)[: old.limit]
        going = {run.id for run in runs}
        kept = (run for run in self.disk.runs.values() if run.id not in going)
        used = {event_id for run in kept for event_id in run.event_ids}
        used |= {hold.event_id for hold in self.disk.holds.values()}
        used |= {held.event_id for some in self.disk.held.values() for held in some}
        theirs = {event_id for run in runs for event_id in run.event_ids}
        events = [
            event.id
            for event in self.disk.events.values()
            if event.received_ms < old.before_ms and event.id not in used
        ]
        events.sort(key=lambda event_id: event_id not in theirs)
        view.old_runs = tuple(run.id for run in runs)
        view.old_events = tuple(events[: old.limit])
        spent = (k for k in self.disk.keys.values() if k.until_ms < old.spent_before_ms)
        keys = sorted(spent, key=lambda key: (key.until_ms, key.id))
        view.flow.old_keys = tuple(key.id for key in keys[: old.limit])
        named = {run.function for run in self.disk.runs.values()}
        gone = (row for row in self.disk.gone.values() if row.gone_ms < old.before_ms)
        removed = sorted((row.gone_ms, row.slug) for row in gone if row.slug not in named)
        view.old_functions = tuple(slug for _, slug in removed[: old.limit])

    # -- write ----------------------------------------------------------------------------------

    def write(self, changes: Changes) -> None:
        """Put the rows into the open transaction."""
        refuse_known(self.disk, changes)
        self._written.append(changes)

    def commit(self) -> None:
        """Make the written rows part of the disk."""
        with self.disk.lock:
            for changes in self._written:
                put(self.disk, changes)
        self._written.clear()

    def confirm(self) -> None:
        """Memory stays where it is."""

    def rollback(self) -> None:
        """Forget what was written since the last commit."""
        self._written.clear()

    def keep(self, changes: Changes) -> None:
        """Remember leases."""
        with self.disk.lock:
            for slot, lease in changes.leases.items():
                self._lanes.lent(self._leases.get(slot), lease)
                self._leases.put(slot, lease)
            for run_id in changes.ended.union(changes.forgotten_runs):
                for lease in self._leases.of(run_id):
                    self._lanes.lent(lease, None)
                self._leases.drop(run_id)
            for item in changes.items.values():
                if item is not None and is_lane(item.queue):
                    self._lanes.added(item.queue, item.due_ms)
            self._lanes.keep(changes)

    def assume(self, need: Need, view: View) -> bool:
        """Never: to look costs nothing."""
        return False

    def state_of(self, lease_id: str) -> CallState | None:
        """Nothing: reading waits for nobody here."""

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """What is known in memory keeps its distance from now: here that is everything."""
        with self.disk.lock:
            for lease in list(self._leases):
                moved = msgspec.structs.replace(lease, until_ms=lease.until_ms + by_ms)
                self._leases.put((lease.run_id, lease.key), moved)
            for item in list(self.disk.items):
                self.disk.items.put((item.run_id, item.key), nearer(item, by_ms, now_ms))
            self._lanes.clock_moved()

    def reader(self) -> "MemoryReader":
        """A read side of this store."""
        return MemoryReader(self.disk, self._leases)

    def tidy(self) -> None:
        """Nothing to do: removed rows leave no space behind."""

    def close(self) -> None:
        """Let go of everything but the disk."""
        self._written.clear()
        self.disk.is_open = False


class MemoryReader:
    """What was committed, read under the disk's lock."""

    blocks = False

    def __init__(self, disk: Disk, leases: Hanging[Lease]) -> None:
        self._disk = disk
        self._leases = leases

    def call_state(self, run: Run) -> CallState:
        """What a call of this run is told."""
        with self._disk.lock:
            events = [self._disk.events.get(event_id) for event_id in run.event_ids]
            steps = self.steps(run.id)
        return CallState(
            tuple(event.body for event in events if event is not None),
            tuple((step.id, step.memo) for step in steps),
        )

    def call_states(self, runs: Sequence[Run]) -> Mapping[str, CallState]:
        """What calls of these runs are told; nothing of those that have ended."""
        return {run.id: self.call_state(run) for run in runs if self._is_going(run.id)}

    def _is_going(self, run_id: str) -> bool:
        run = self._disk.runs.get(run_id)
        return run is not None and not run.ended

    def run(self, run_id: str) -> Run | None:
        """One run. A run whose first call is under way reads as running."""
        with self._disk.lock:
            run = self._disk.runs.get(run_id)
            return None if run is None else as_seen(run, self._leases.get((run_id, MAIN)))

    def live(self) -> Mapping[tuple[str, RunStatus], int]:
        """How many runs of each function have not begun, and how many go on."""
        with self._disk.lock:
            runs = [run for run in self._disk.runs.values() if not run.ended]
        return Counter((run.function, run.status) for run in runs)

    def runs(self, wanted: RunFilter) -> list[Run]:
        """Runs, in the order of the filter."""
        with self._disk.lock:
            seen = (
                as_seen(run, self._leases.get((run_id, MAIN)))
                for run_id, run in self._disk.runs.items()
            )
            found = [run for run in seen if wants_run(wanted, run)]
        found.sort(key=lambda run: mark_of(run, wanted.time), reverse=not wanted.ascending)
        return found[: wanted.limit]

    def runs_of_event(self, event_id: str) -> list[Run]:
        """The runs an event started."""
        with self._disk.lock:
            return [
                as_seen(run, self._leases.get((run_id, MAIN)))
                for run_id, run in sorted(self._disk.runs.items())
                if event_id in run.event_ids
            ]

    def steps(self, run_id: str) -> list[Step]:
        """Saved steps, in the order they were saved."""
        with self._disk.lock:
            return sorted(self._disk.steps.of(run_id), key=lambda step: step.place)

    def annotations(self, run_id: str) -> list[Annotation]:
        """What is said of a run, in order."""
        with self._disk.lock:
            said = self._disk.annotations.get(run_id, {}).values()
            return sorted(said, key=lambda row: (row.at_ms, row.slot))

    def notes(self, run_id: str) -> list[Note]:
        """What the timeline tells besides, in order."""
        with self._disk.lock:
            return sorted(self._disk.notes.get(run_id, []), key=lambda note: note.place)

    def retries(self, run_ids: Sequence[str]) -> Mapping[str, int]:
        """How often attempts of each run were tried again."""
        with self._disk.lock:
            notes = {run_id: self._disk.notes.get(run_id, ()) for run_id in run_ids}
        found = {run_id: sum(n.kind == "retry" for n in some) for run_id, some in notes.items()}
        return {run_id: count for run_id, count in found.items() if count}

    def open_items(self, run_ids: Sequence[str]) -> Mapping[str, list[Item]]:
        """What each of these runs still has to do and nobody is at."""
        found: dict[str, list[Item]] = {}
        for run_id in run_ids:
            begun = {lease.key for lease in self.leases(run_id)}
            if mine := [item for item in self.items(run_id) if item.key not in begun]:
                found[run_id] = mine
        return found

    def items(self, run_id: str) -> list[Item]:
        """What the run still has to do."""
        with self._disk.lock:
            return sorted(map(_told, self._disk.items.of(run_id)), key=order_of)

    def leases(self, run_id: str) -> list[Lease]:
        """Who is at work on the run."""
        with self._disk.lock:
            return sorted(self._leases.of(run_id), key=lambda lease: lease.key)

    def waits(self, run_id: str) -> list[Wait]:
        """What the run waits for."""
        with self._disk.lock:
            return sorted(self._disk.waits.of(run_id), key=place_of)

    def event(self, event_id: str) -> EventRow | None:
        """One event, by our id."""
        return self._disk.events.get(event_id)

    def event_names(self, event_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of events, by our ids."""
        found = ((event_id, self._disk.events.get(event_id)) for event_id in event_ids)
        return {event_id: event.name for event_id, event in found if event is not None}

    def event_bodies(self, event_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Events as they came, by our ids."""
        found = ((event_id, self._disk.events.get(event_id)) for event_id in event_ids)
        return {event_id: event.body for event_id, event in found if event is not None}

    def events(self, wanted: EventFilter) -> list[EventRow]:
        """Events, newest first."""
        with self._disk.lock:
            events = self._disk.events.values()
            newest = sorted(events, key=lambda e: (e.received_ms, e.id), reverse=True)
            return [event for event in newest if wants_event(wanted, event)][: wanted.limit]

    def dropped(self, event_id: str) -> list[Dropped]:
        """Why an event started no run, function by function."""
        with self._disk.lock:
            return [one for one in self._disk.dropped if one.event_id == event_id]

    def dropped_of(self, function: str, since_ms: int, limit: int) -> list[Dropped]:
        """What started no run of a function since a time, oldest first."""
        with self._disk.lock:
            mine = [one for one in self._disk.dropped if one.function == function]
            return [one for one in mine if one.at_ms >= since_ms][:limit]

    def counts(self, wanted: CountFilter) -> list[RunCount]:
        """How many runs came to each status."""
        with self._disk.lock:
            return listed(self._disk.counts, wanted)

    def durations(self, wanted: EndedFilter) -> list[tuple[DurationPlace, DurationCount]]:
        """How many runs completed and how long they took."""
        with self._disk.lock:
            return durations_in(self._disk.ended.durations, wanted)

    def failures(
        self, wanted: EndedFilter, span_ms: int
    ) -> list[tuple[FailurePlace, FailureCount]]:
        """What runs failed with."""
        with self._disk.lock:
            return failures_in(self._disk.ended.failures, wanted, span_ms)

    def holds(self, function: str = "") -> list[Hold]:
        """Open holds, of one function or of all, the oldest first."""
        with self._disk.lock:
            some = (h for h in self._disk.holds.values() if function in ("", h.function))
            return sorted(some, key=lambda hold: (hold.opened_ms, hold.key))

    def holds_of_event(self, event_id: str) -> list[Hold]:
        """The open holds an event is in."""
        with self._disk.lock:
            rows = self._disk.held.values()
            keys = {held.hold for some in rows for held in some if held.event_id == event_id}
            holds = self.holds()
            return [hold for hold in holds if hold.event_id == event_id or hold.key in keys]

    def held(self, key: str) -> list[Held]:
        """The events in a hold that has several, in the order they came."""
        with self._disk.lock:
            return list(self._disk.held.get(key, ()))

    def flow_key(self, key: str) -> FlowKey | None:
        """What is remembered of a key."""
        return self._disk.keys.get(key)

    def flow_keys(self, kind: KeyKind) -> list[FlowKey]:
        """What is remembered of all keys of a kind."""
        with self._disk.lock:
            rows = [key for key in self._disk.keys.values() if key.kind is kind]
            return sorted(rows, key=lambda key: key.id)

    def slots(self, key: str) -> list[Slot]:
        """The runs with a place under a key, the longest there first."""
        with self._disk.lock:
            return in_turn(self._disk.slots.of(key))

    def lost_slots(self, limit: int) -> list[Slot]:
        """Places under keys of runs that have ended, or that are not there."""
        with self._disk.lock:
            runs = self._disk.runs
            lost = (slot for slot in self._disk.slots if _is_over(runs.get(slot.run_id)))
            return sorted(lost, key=lambda slot: (slot.key, slot.run_id))[:limit]

    def leases_of_limit(self, name: str) -> list[Lease]:
        """The calls under way that count under a named limit, the longest first."""
        with self._disk.lock:
            held = [lease for lease in self._leases if counts_under(lease, name)]
            return sorted(held, key=lambda lease: lease.granted_ms)

    def lanes_under(self, name: str) -> list[str]:
        """Lanes with something to do whose calls stand under a named limit."""
        with self._disk.lock:
            queues = {item.queue for item in self._disk.items if is_lane(item.queue)}
            return sorted(queue for queue in queues if stands_under(queue, name))

    def leases_under(self, key: str) -> list[Lease]:
        """The calls under way that count under a key, the longest first."""
        with self._disk.lock:
            held = [lease for lease in self._leases if key in lease.keys]
            return sorted(held, key=lambda lease: lease.granted_ms)

    def apps(self) -> list[AppRow]:
        """Registered apps."""
        with self._disk.lock:
            return sorted(self._disk.apps.values(), key=lambda app: app.name)

    def functions(self) -> list[FunctionRow]:
        """Registered functions."""
        with self._disk.lock:
            return sorted(self._disk.functions.values(), key=lambda function: function.slug)

    def cancellation(self, id_: str) -> Cancellation | None:
        """One cancellation of many runs."""
        return self._disk.cancellations.get(id_)

    def cancellations(self, before: str, limit: int) -> list[Cancellation]:
        """Cancellations of many runs, newest first."""
        with self._disk.lock:
            known = sorted(self._disk.cancellations.values(), key=lambda one: one.id, reverse=True)
        return [one for one in known if not before or one.id < before][:limit]

    def open_cancellations(self) -> list[Cancellation]:
        """Those that are not carried out yet."""
        with self._disk.lock:
            known = sorted(self._disk.cancellations.values(), key=lambda one: one.id)
        return [one for one in known if not one.ended_ms]

    def bulk(self, id_: str) -> Bulk | None:
        """One thing that is done to many runs."""
        return self._disk.bulks.get(id_)

    def bulks(self, before: str, limit: int) -> list[Bulk]:
        """What is and was done to many runs, newest first."""
        with self._disk.lock:
            known = sorted(self._disk.bulks.values(), key=lambda bulk: bulk.id, reverse=True)
        return [bulk for bulk in known if not before or bulk.id < before][:limit]

    def open_bulks(self) -> list[Bulk]:
        """Those that go on."""
        with self._disk.lock:
            known = sorted(self._disk.bulks.values(), key=lambda bulk: bulk.id)
        return [bulk for bulk in known if not bulk.ended_ms]

    def api_key(self, id_: str) -> ApiKey | None:
        """One key, by its id."""
        return self._disk.api_keys.get(id_)

    def api_key_of(self, hash_: str) -> ApiKey | None:
        """The key of a hash."""
        with self._disk.lock:
            return next((key for key in self._disk.api_keys.values() if key.hash == hash_), None)

    def api_keys(self, before: str, limit: int) -> list[ApiKey]:
        """Keys, newest first."""
        with self._disk.lock:
            known = sorted(self._disk.api_keys.values(), key=lambda key: key.id, reverse=True)
        return [key for key in known if not before or key.id < before][:limit]

    def audit(self, before: str, limit: int) -> list[AuditEntry]:
        """What was changed by hand, newest first."""
        with self._disk.lock:
            known = sorted(self._disk.audit, key=lambda entry: entry.id, reverse=True)
        return [entry for entry in known if not before or entry.id < before][:limit]

    def gone_functions(self) -> list[FunctionRow]:
        """Functions that were registered once."""
        with self._disk.lock:
            return sorted(self._disk.gone.values(), key=lambda function: function.slug)

    def function_versions(self, slug: str) -> list[FunctionVersion]:
        """What a function was registered as, the newest first."""
        with self._disk.lock:
            return list(self._disk.versions.get(slug, ()))

    def due_runs(self, queue: str, before_ms: int, limit: int) -> list[Run]:
        """Runs of which something in this queue was due and nobody has it."""
        with self._disk.lock:
            due = [
                item
                for item in self._disk.items
                if item.queue == queue
                and item.due_ms < before_ms
                and self._leases.get((item.run_id, item.key)) is None
            ]
            ids = dict.fromkeys(item.run_id for item in sorted(due, key=order_of))
            return [self._disk.runs[run_id] for run_id in ids if run_id in self._disk.runs][:limit]

    def stranded(self, limit: int) -> list[Run]:
        """Runs that have not ended and that nothing could ever move."""
        with self._disk.lock:
            moved = {item.run_id for item in self._disk.items}
            moved |= {lease.run_id for lease in self._leases}
            moved |= {wait.run_id for wait in self._disk.waits if wait.kind in STEP_WAITS}
            runs = (run for _, run in sorted(self._disk.runs.items()))
            return [run for run in runs if not run.ended and run.id not in moved][:limit]

    def close(self) -> None:
        """Nothing is held."""


def _told(item: Item) -> Item:
    """An item as a disk would have it."""
    return msgspec.structs.replace(item, secret=b"") if item.secret else item


def _is_over(run: Run | None) -> bool:
    """Whether a run has ended, or is not there."""
    return run is None or run.ended
