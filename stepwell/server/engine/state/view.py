"""The rows a decision can see, and how each record changes them.

A store fills a view with the rows that were needed; the ledger applies each decision's records to
it, so that the next input of the batch sees them. `apply` is the one statement of what a record
does to the rows; stores only write down the result (`changes`).

Law: a decision reads a view and never writes it.
"""

from collections.abc import Container, Iterable
from typing import TypeAlias

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import LookBack
from stepwell.server.engine.row.annotation import Annotation, AnnotationSlot
from stepwell.server.engine.row.run import (
    MAIN,
    EventRow,
    FunctionVersion,
    Item,
    Lease,
    Run,
    Wait,
    WaitKind,
    place_of,
)
from stepwell.server.engine.state.catalog import AppGone, Catalog, CatalogChange, FunctionGone
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.flow_state import KINDS
from stepwell.server.engine.state.flow_view import FlowView

Slot: TypeAlias = tuple[str, str]
Size: TypeAlias = tuple[int, int]
"""So many steps, and so many bytes of results."""


class NotLoaded(LookupError):
    """A decision read a row nobody had asked for: an error of ours, never of a peer."""


class View:
    """Rows by what they are looked up by. Filled by `see_*`, changed by `apply`."""

    def __init__(self, catalog: Catalog, waited: Container[str]) -> None:
        """`waited` holds every event name somebody waits for; a store that cannot know says all."""
        self._catalog = catalog
        self._catalog_changes: list[CatalogChange] = []
        self.waited = waited
        self._names: dict[str, bool] = {}
        self.changes = Changes()
        self.flow = FlowView(self.changes)
        self._runs: dict[str, Run | None] = {}
        self._items: dict[str, dict[str, Item]] = {}
        self._waits: dict[str, dict[str, Wait]] = {}
        self._leases: dict[Slot, Lease] = {}
        self._steps: dict[Slot, bool] = {}
        self._events: dict[str, bool] = {}
        self._bodies: dict[str, EventRow | None] = {}
        self._dedups: dict[Slot, str | None] = {}
        self._meetings: dict[Slot, tuple[Wait, ...]] = {}
        self._signals: dict[str, Wait | None] = {}
        self._annotations: dict[str, dict[AnnotationSlot, Annotation]] = {}
        self._look_back: dict[LookBack, tuple[EventRow, ...]] = {}
        self._met: dict[str, frozenset[bytes]] = {}
        self._sizes: dict[str, Size] = {}
        self._grown: dict[str, Size] = {}
        self._due: dict[Slot, Item] = {}
        self._overdue: dict[Slot, Lease] = {}
        self._opened: dict[str, list[Wait]] = {}
        self._closed: set[Slot] = set()
        self.derived: dict[tuple[object, ...], object] = {}
        """What was computed of rows that never change, kept for the next look of a decision."""
        self.old_runs: tuple[str, ...] = ()
        self.old_events: tuple[str, ...] = ()
        self.old_functions: tuple[str, ...] = ()
        self.next_due_ms: int | None = None
        self.newest_tick = 0
        """The latest tick of anything that was seen, as far as other processes may have written it:
        what is decided of it comes later, whatever the clock here says."""

    # -- what a decision reads ------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """All apps and functions. Made anew when it is asked for, not with each of many changes."""
        if self._catalog_changes:
            self._catalog = self._catalog.changed(self._catalog_changes)
            self._catalog_changes = []
        return self._catalog

    def sees_run(self, run_id: str) -> bool:
        """Whether the run was asked for, be it there or not."""
        return run_id in self._runs

    def run(self, run_id: str) -> Run | None:
        """The run, or None if there is none."""
        try:
            return self._runs[run_id]
        except KeyError:
            raise NotLoaded(f"run {run_id}") from None

    def known_run(self, run_id: str) -> Run | None:
        """The run if it was seen, and is there."""
        return self._runs.get(run_id)

    def item(self, run_id: str, key: str) -> Item | None:
        """An item of a run, or one of the engine's own."""
        return self._items.get(run_id, {}).get(key) or self._due.get((run_id, key))

    def items_of(self, run_id: str) -> tuple[Item, ...]:
        """Everything a run still has to do."""
        return tuple(self._items.get(run_id, {}).values())

    def waits_of(self, run_id: str) -> tuple[Wait, ...]:
        """Everything a run waits for."""
        return tuple(self._waits.get(run_id, {}).values())

    def wait(self, run_id: str, step_id: str) -> Wait | None:
        """The wait of one step."""
        return self._waits.get(run_id, {}).get(step_id)

    def lease(self, run_id: str, key: str) -> Lease | None:
        """Who has an item."""
        return self._leases.get((run_id, key))

    def is_saved(self, run_id: str, step_id: str) -> bool:
        """Whether a step has its result."""
        try:
            return self._steps[run_id, step_id]
        except KeyError:
            raise NotLoaded(f"step {step_id} of run {run_id}") from None

    def saved_size(self, run_id: str) -> Size:
        """How many steps a run has saved, and the bytes of their results."""
        try:
            steps, size = self._sizes[run_id]
        except KeyError:
            raise NotLoaded(f"the steps of run {run_id}") from None
        more, grown = self._grown.get(run_id, (0, 0))
        return steps + more, size + grown

    def knows_event(self, event_id: str) -> bool:
        """Whether an event was accepted before."""
        return self._events.get(event_id, False)

    def body(self, event_id: str) -> EventRow | None:
        """An event, whole."""
        try:
            return self._bodies[event_id]
        except KeyError:
            raise NotLoaded(f"event {event_id}") from None

    def sees_body(self, event_id: str) -> bool:
        """Whether an event was asked for, whole."""
        return event_id in self._bodies

    def sees_dedup(self, function: str, key: str) -> bool:
        """Whether the event key was asked for."""
        return (function, key) in self._dedups

    def dedup(self, function: str, key: str) -> str | None:
        """The run a function already started for an event key, within the window."""
        return self._dedups[function, key]

    def is_waited(self, event_name: str) -> bool:
        """Whether anybody may be waiting for events of this name."""
        if event_name in self._opened:
            return True
        known = self._names.get(event_name)
        return event_name in self.waited if known is None else known

    def sees_step(self, run_id: str, step_id: str) -> bool:
        """Whether the step was asked for."""
        return (run_id, step_id) in self._steps

    def sees_meeting(self, event_id: str, after: str) -> bool:
        """Whether the waits an event may end were asked for."""
        return (event_id, after) in self._meetings

    def meeting(self, event_id: str, name: str, after: str) -> list[Wait]:
        """Waits that an event of this name may end: those loaded, then those just opened."""
        known = self._meetings.get((event_id, after), ())
        opened = () if after else self._opened.get(name, ())
        fresh = (wait for wait in opened if wait.kind in _MEETABLE)
        return [wait for wait in (*known, *fresh) if self._stands(wait)]

    def _stands(self, wait: Wait) -> bool:
        """Whether a wait is open still. Its run may have been seen, and locked, after it was found:
        another process may have ended it in between."""
        if (wait.run_id, wait.step_id) in self._closed:
            return False
        return wait.run_id not in self._runs or wait.step_id in self._waits.get(wait.run_id, ())

    def rest_of_meeting(self, event_id: str, after: str, limit: int) -> str:
        """After which place more waits may stand than were loaded; empty if that was all."""
        known = self._meetings.get((event_id, after), ())
        return place_of(known[-1]) if len(known) >= limit else ""

    def sees_signal(self, name: str) -> bool:
        """Whether the signal was asked for."""
        return name in self._signals

    def signal(self, name: str) -> Wait | None:
        """Who waits for a signal."""
        wait = self._signals.get(name)
        return wait if wait is not None and self._stands(wait) else None

    def sees_look_back(self, look: LookBack) -> bool:
        """Whether these past events were asked for."""
        return look in self._look_back

    def look_back(self, look: LookBack) -> tuple[EventRow, ...]:
        """Past events, oldest first. Those of this batch come after the last that was loaded."""
        known = self._look_back[look]
        if len(known) >= look.limit:
            return known
        fresh = (e for e in self.changes.events if e.name == look.name)
        return (*known, *(event for event in fresh if event.received_ms >= look.since_ms))

    def met(self, run_id: str) -> frozenset[bytes]:
        """The events that ended waits of a run before, as far as the batch began with them."""
        return self._met[run_id]

    def annotations(self, run_id: str) -> list[Annotation]:
        """What is said of a run."""
        try:
            return list(self._annotations[run_id].values())
        except KeyError:
            raise NotLoaded(f"what is said of run {run_id}") from None

    def due(self) -> list[Item]:
        """Items that are due and nobody has."""
        return list(self._due.values())

    def made_due(self, now_ms: int) -> list[Item]:
        """Items that the batch made or moved, that are due and nobody has."""
        return [
            item
            for slot, item in self.changes.items.items()
            if item is not None and item.due_ms <= now_ms and slot not in self._leases
        ]

    def overdue(self) -> list[Lease]:
        """Leases that ran out."""
        return list(self._overdue.values())

    # -- what a store fills in ------------------------------------------------------------------

    def see_run(
        self,
        run_id: str,
        run: Run | None,
        items: Iterable[Item] = (),
        waits: Iterable[Wait] = (),
        leases: Iterable[Lease] = (),
    ) -> None:
        """A run with everything that hangs on it. What the batch already changed stays changed."""
        if run_id in self._runs:
            return
        self._runs[run_id] = run
        self._items[run_id] = {item.key: item for item in items}
        self._waits[run_id] = {wait.step_id: wait for wait in waits}
        for lease in leases:
            self._leases[lease.run_id, lease.key] = lease

    def see_step(self, run_id: str, step_id: str, saved: bool) -> None:
        """Whether a step has its result."""
        self._steps.setdefault((run_id, step_id), saved)

    def see_event(self, event_id: str, known: bool) -> None:
        """Whether an event was accepted before."""
        self._events.setdefault(event_id, known)

    def see_name(self, event_name: str, waited: bool) -> None:
        """Whether anybody waits for events of a name."""
        self._names.setdefault(event_name, waited)

    def see_body(self, event_id: str, event: EventRow | None) -> None:
        """An event, whole."""
        self._bodies.setdefault(event_id, event)

    def see_dedup(self, function: str, key: str, run_id: str | None) -> None:
        """The run a function already started for an event key."""
        self._dedups.setdefault((function, key), run_id)

    def see_meeting(self, event_id: str, after: str, waits: Iterable[Wait]) -> None:
        """The waits an event may end."""
        self._meetings.setdefault((event_id, after), tuple(waits))

    def see_signal(self, name: str, wait: Wait | None) -> None:
        """Who waits for a signal."""
        self._signals.setdefault(name, wait)

    def see_saved(self, run_id: str, steps: int, size: int) -> None:
        """How many steps a run has saved, and the bytes of their results."""
        self._sizes.setdefault(run_id, (steps, size))

    def see_look_back(
        self, look: LookBack, events: Iterable[EventRow], met: Iterable[bytes]
    ) -> None:
        """Past events of a name, oldest first; and what ended waits of the run before."""
        self._look_back.setdefault(look, tuple(events))
        self._met.setdefault(look.run_id, frozenset(met))

    def see_annotations(self, run_id: str, rows: Iterable[Annotation]) -> None:
        """What is said of a run."""
        self._annotations.setdefault(run_id, {row.slot: row for row in rows})

    def see_due(
        self, items: Iterable[Item], overdue: Iterable[Lease], next_due_ms: int | None
    ) -> None:
        """What can be done now, and when the next item falls due."""
        for item in items:
            if (item.run_id, item.key) not in self._leases:
                self._due[item.run_id, item.key] = item
        for lease in overdue:
            self._overdue[lease.run_id, lease.key] = lease
        self.next_due_ms = next_due_ms

    # -- what a record does ---------------------------------------------------------------------

    def apply(self, record: fact.Record) -> None:
        """Make a record true in this view, and remember the rows it changed."""
        match record:
            case fact.StepSaved():
                self._step_saved(record)
            case fact.ItemLeased():
                self._item_leased(record)
            case fact.ItemMoved():
                self._item_moved(record)
            case fact.EventStored():
                self._event_stored(record)
            case fact.RunStarted():
                self._run_started(record)
            case fact.RunFinished():
                self._run_finished(record)
            case fact.RunChanged():
                self._run_changed(record)
            case fact.ItemAdded():
                self._item_added(record)
            case fact.ItemDone():
                self._item_done(record)
            case fact.WaitOpened():
                self._wait_opened(record)
            case fact.WaitClosed():
                self._wait_closed(record)
            case fact.Noted():
                self.changes.notes.append(record.note)
            case _:
                self._apply_rare(record)

    def _apply_rare(self, record: fact.Record) -> None:
        match record:
            case fact.AppStored():
                self._catalog_changes.append(record.app)
                self.changes.apps[record.app.name] = record.app
            case fact.AppForgotten():
                self._catalog_changes.append(AppGone(record.name))
                self.changes.apps[record.name] = None
            case fact.FunctionVersioned():
                self._catalog_changes.append(record.function)
                self.changes.functions[record.function.slug] = record.function
                self.changes.gone.pop(record.function.slug, None)
                version = FunctionVersion(record.function, record.app_version)
                self.changes.versions[version.place] = version
            case fact.FunctionForgotten():
                self._catalog_changes.append(FunctionGone(record.slug))
                self.changes.functions[record.slug] = None
                self.changes.gone[record.slug] = record.at_ms
            case fact.CancellationStored():
                self.changes.cancellations[record.cancellation.id] = record.cancellation
            case fact.CancellationForgotten():
                self.changes.cancellations[record.id] = None
            case fact.CancellationDone():
                self.changes.cancellations_done[record.id] = record.at_ms
            case fact.BulkStored():
                self.changes.bulks.append(record.bulk)
            case fact.BulkAdvanced():
                self.changes.bulk_moves[record.id] = record.moved
            case fact.BulkOver():
                # Who ends it first has ended it.
                self.changes.bulks_over.setdefault(record.id, (record.at_ms, record.stopped))
            case fact.KeyStored():
                self.changes.api_keys.append(record.key)
            case fact.KeyEnded():
                self.changes.revoked_keys[record.id] = record.at_ms
            case fact.ChangeWritten():
                self.changes.audit.append(record.entry)
            case fact.ChangeMarked():
                self.changes.refused[record.id] = record.status
            case fact.AnnotationPut():
                row = record.annotation
                self._annotations.setdefault(row.run_id, {})[row.slot] = row
                self.changes.annotations[row.run_id, row.slot] = row
            case fact.RunForgotten():
                self.changes.forgotten_runs.append(record.run_id)
            case fact.EventForgotten():
                self.changes.forgotten_events.append(record.event_id)
            case fact.GoneForgotten():
                self.changes.forgotten_functions.append(record.slug)
            case (
                fact.FlowKeyPut()
                | fact.FlowKeyForgotten()
                | fact.SlotTaken()
                | fact.SlotLeft()
                | fact.HoldPut()
                | fact.EventHeld()
                | fact.HoldClosed()
                | fact.EventDropped()
                | fact.DropForgotten()
                | fact.LaneServed()
                | fact.LaneRested()
                | fact.LanesRoused()
            ):
                self.flow.apply(record)
                if isinstance(record, fact.FlowKeyPut) and record.key.kind in KINDS:
                    self._catalog_changes.append(record.key)
            case _:
                raise AssertionError(f"{type(record).__name__} is applied above")

    def _event_stored(self, record: fact.EventStored) -> None:
        event = record.event
        self._events[event.id] = True
        self._bodies[event.id] = event
        self.changes.events.append(event)

    def _run_started(self, record: fact.RunStarted) -> None:
        run = record.run
        self._runs[run.id] = run
        self._items[run.id] = {record.item.key: record.item}
        self._waits[run.id] = {}
        self.changes.started[run.id] = run
        self.changes.items[run.id, record.item.key] = record.item
        if run.dedup:
            self._dedups[run.function, run.dedup] = run.id

    def _run_changed(self, record: fact.RunChanged) -> None:
        """Whoever decides may have read the run before its parts changed: the count is ours."""
        known = self._runs.get(record.run.id)
        parts = 0 if known is None else known.parts
        self._put_run(msgspec.structs.replace(record.run, parts=parts))

    def _put_run(self, run: Run) -> None:
        self._runs[run.id] = run
        if run.id in self.changes.started:
            self.changes.started[run.id] = run
        else:
            self.changes.runs[run.id] = run

    def _run_finished(self, record: fact.RunFinished) -> None:
        run = record.run
        for key in self._items.pop(run.id, {}):
            self.changes.items.pop((run.id, key), None)
            self._drop_lease((run.id, key))
        for step_id, wait in self._waits.pop(run.id, {}).items():
            self.changes.waits.pop((run.id, step_id), None)
            self._close(wait)
        for slot in [slot for slot in self._due if slot[0] == run.id]:
            del self._due[slot]
        self.changes.ended.add(run.id)
        if run.places:
            self.flow.leave(run.id, run.places)
        self._put_run(run)

    def _step_saved(self, record: fact.StepSaved) -> None:
        step = record.step
        self._steps[step.run_id, step.id] = True
        self.changes.steps.append(step)
        steps, size = self._grown.get(step.run_id, (0, 0))
        self._grown[step.run_id] = steps + 1, size + len(step.memo)
        lease = self._leases.get((step.run_id, MAIN))
        if lease is not None:
            grown = msgspec.structs.replace(lease, steps=lease.steps + 1)
            self._leases[step.run_id, MAIN] = grown
            self.changes.leases[step.run_id, MAIN] = grown

    def _wait_opened(self, record: fact.WaitOpened) -> None:
        wait = record.wait
        self._waits.setdefault(wait.run_id, {})[wait.step_id] = wait
        self._opened.setdefault(wait.name, []).append(wait)
        self._closed.discard((wait.run_id, wait.step_id))
        if wait.kind is WaitKind.SIGNAL:
            self._signals[wait.name] = wait
        self.changes.waits[wait.run_id, wait.step_id] = wait
        self._count_parts(wait.run_id, 1)

    def _wait_closed(self, record: fact.WaitClosed) -> None:
        wait = record.wait
        self._waits.get(wait.run_id, {}).pop(wait.step_id, None)
        self.changes.waits[wait.run_id, wait.step_id] = None
        self._close(wait)
        self._count_parts(wait.run_id, -1)

    def _close(self, wait: Wait) -> None:
        self._closed.add((wait.run_id, wait.step_id))
        # Also when nobody asked for the signal yet: a store would answer with what is no more.
        known = self._signals.get(wait.name)
        if wait.kind is WaitKind.SIGNAL and (known is None or place_of(known) == place_of(wait)):
            self._signals[wait.name] = None

    def _item_added(self, record: fact.ItemAdded) -> None:
        item = record.item
        fresh = item.key not in self._items.setdefault(item.run_id, {})
        self._items[item.run_id][item.key] = item
        self.changes.items[item.run_id, item.key] = item
        if fresh and item.key != MAIN:
            self._count_parts(item.run_id, 1)

    def _item_moved(self, record: fact.ItemMoved) -> None:
        item = record.item
        slot = (item.run_id, item.key)
        self._items.setdefault(item.run_id, {})[item.key] = item
        self.changes.items[slot] = item
        self._due.pop(slot, None)
        self._drop_lease(slot)

    def _item_leased(self, record: fact.ItemLeased) -> None:
        lease = record.lease
        slot = (lease.run_id, lease.key)
        self._due.pop(slot, None)
        self._overdue.pop(slot, None)
        known = self._leases.get(slot)
        if known is not None and known.keys:
            self.flow.free(known)
        if lease.keys:
            self.flow.lend(lease)
        self._leases[slot] = lease
        self.changes.leases[slot] = lease

    def _item_done(self, record: fact.ItemDone) -> None:
        slot = (record.run_id, record.key)
        known = self._items.get(record.run_id, {}).pop(record.key, None)
        self.changes.items[slot] = None
        self._due.pop(slot, None)
        self._drop_lease(slot)
        if known is not None and record.key != MAIN:
            self._count_parts(record.run_id, -1)

    def _drop_lease(self, slot: Slot) -> None:
        self._overdue.pop(slot, None)
        known = self._leases.pop(slot, None)
        if known is not None and known.keys:
            self.flow.free(known)
        self.changes.leases[slot] = None

    def _count_parts(self, run_id: str, by: int) -> None:
        """A run says how many rows hang on it, so that most loads can skip looking for them."""
        run = self._runs.get(run_id)
        if run is not None and not run.ended:
            self._put_run(msgspec.structs.replace(run, parts=run.parts + by))


_MEETABLE = frozenset({WaitKind.EVENT, WaitKind.CANCEL})
