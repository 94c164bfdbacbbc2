"""Rows in plain dictionaries, and what a batch of changes does to them: the memory store's disk."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

import msgspec

from stepwell.server.engine.row.annotation import Annotation, AnnotationSlot
from stepwell.server.engine.row.bulk import BULKS_KEPT, Bulk
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold
from stepwell.server.engine.row.flow import Slot as Place
from stepwell.server.engine.row.key import AUDIT_MAX, ApiKey, AuditEntry
from stepwell.server.engine.row.run import (
    FUNCTION_VERSIONS_MAX,
    AppRow,
    EventRow,
    FunctionRow,
    FunctionVersion,
    Item,
    Note,
    Run,
    Step,
    Wait,
)
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.counting import CountKey, add_to, counted, newest_minute
from stepwell.server.store.ended_counts import (
    EndedCounts,
    add_ended,
    ended_counts,
    forget_ended,
)
from stepwell.server.store.port import Conflict

Slot: TypeAlias = tuple[str, str]
Row = TypeVar("Row")


class Hanging(Generic[Row]):
    """Rows that hang on runs (or on something else), each under a key of its own."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Row]] = {}

    def __iter__(self) -> Iterator[Row]:
        for rows in self._rows.values():
            yield from rows.values()

    def get(self, slot: Slot) -> Row | None:
        """The row at a place."""
        return self._rows.get(slot[0], {}).get(slot[1])

    def of(self, run_id: str) -> list[Row]:
        """Everything that hangs on a run."""
        return list(self._rows.get(run_id, {}).values())

    def put(self, slot: Slot, row: Row | None) -> None:
        """Set a row, or remove it."""
        run_id, key = slot
        if row is not None:
            self._rows.setdefault(run_id, {})[key] = row
            return
        rows = self._rows.get(run_id, {})
        rows.pop(key, None)
        if not rows:
            self._rows.pop(run_id, None)

    def drop(self, run_id: str) -> None:
        """Remove everything that hangs on a run."""
        self._rows.pop(run_id, None)


@dataclass(slots=True)
class Disk:
    """The committed rows. `lock` keeps readers on other threads from half a commit."""

    events: dict[str, EventRow] = field(default_factory=dict[str, EventRow])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    dedups: dict[Slot, set[str]] = field(default_factory=dict[Slot, set[str]])
    items: Hanging[Item] = field(default_factory=Hanging[Item])
    waits: Hanging[Wait] = field(default_factory=Hanging[Wait])
    steps: Hanging[Step] = field(default_factory=Hanging[Step])
    notes: dict[str, list[Note]] = field(default_factory=dict[str, list[Note]])
    annotations: dict[str, dict[AnnotationSlot, Annotation]] = field(
        default_factory=dict[str, dict[AnnotationSlot, Annotation]]
    )
    keys: dict[str, FlowKey] = field(default_factory=dict[str, FlowKey])
    slots: Hanging[Place] = field(default_factory=Hanging[Place])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    held: dict[str, list[Held]] = field(default_factory=dict[str, list[Held]])
    dropped: list[Dropped] = field(default_factory=list[Dropped])
    apps: dict[str, AppRow] = field(default_factory=dict[str, AppRow])
    functions: dict[str, FunctionRow] = field(default_factory=dict[str, FunctionRow])
    cancellations: dict[str, Cancellation] = field(default_factory=dict[str, Cancellation])
    bulks: dict[str, Bulk] = field(default_factory=dict[str, Bulk])
    api_keys: dict[str, ApiKey] = field(default_factory=dict[str, ApiKey])
    audit: list[AuditEntry] = field(default_factory=list[AuditEntry])
    gone: dict[str, FunctionRow] = field(default_factory=dict[str, FunctionRow])
    versions: dict[str, list[FunctionVersion]] = field(
        default_factory=dict[str, list[FunctionVersion]]
    )
    counts: dict[CountKey, list[int]] = field(default_factory=dict[CountKey, list[int]])
    ended: EndedCounts = field(default_factory=lambda: EndedCounts({}, {}))
    is_open: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)


# -- what a batch of changes does to the rows -----------------------------------------------------


def refuse_known(disk: Disk, changes: Changes) -> None:
    """Rows that must be new are."""
    for event in changes.events:
        if event.id in disk.events:
            raise Conflict(f"event {event.id} is stored already")
    for run_id in changes.started:
        if run_id in disk.runs:
            raise Conflict(f"run {run_id} has begun already")
    for step in changes.steps:
        if disk.steps.get((step.run_id, step.id)) is not None:
            raise Conflict(f"step {step.id} of run {step.run_id} is saved already")


def put(disk: Disk, changes: Changes) -> None:
    """Make the changes true. Whatever hangs on a run that ended goes last, so that it is gone."""
    added = counted(changes, disk.runs.__getitem__)
    add_to(disk.counts, added)
    add_ended(disk.ended, ended_counts(changes, disk.runs.__getitem__))
    forget_ended(disk.ended, newest_minute(added))
    for event in changes.events:
        disk.events[event.id] = event
    for run in changes.started.values():
        disk.runs[run.id] = run
        if run.dedup:
            disk.dedups.setdefault((run.function, run.dedup), set()).add(run.id)
    disk.runs.update(changes.runs)
    for slot, item in changes.items.items():
        disk.items.put(slot, item)
    for slot, wait in changes.waits.items():
        disk.waits.put(slot, wait)
    for step in changes.steps:
        disk.steps.put((step.run_id, step.id), step)
    for note in changes.notes:
        disk.notes.setdefault(note.run_id, []).append(note)
    for said in changes.annotations.values():
        disk.annotations.setdefault(said.run_id, {})[said.slot] = said
    for run_id in changes.ended:
        disk.items.drop(run_id)
        disk.waits.drop(run_id)
    put_flow(disk, changes)
    put_catalog(disk, changes)
    put_cancellations(disk, changes)
    put_access(disk, changes)
    put_bulks(disk, changes)
    forget(disk, changes)


def put_flow(disk: Disk, changes: Changes) -> None:
    """The rows of flow control. Slots hang on their keys."""
    _put_all(disk.keys, changes.keys)
    _put_all(disk.holds, changes.holds)
    for slot, row in changes.slots.items():
        disk.slots.put(slot, row)
    for key in changes.closed_holds:
        disk.held.pop(key, None)
    for held in changes.held:
        disk.held.setdefault(held.hold, []).append(held)
    if changes.undropped:
        gone = frozenset(changes.undropped)
        disk.dropped[:] = [d for d in disk.dropped if (d.event_id, d.function) not in gone]
    disk.dropped += changes.dropped


def _put_all(rows: dict[str, Row], changed: Mapping[str, Row | None]) -> None:
    for key, row in changed.items():
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row


def put_catalog(disk: Disk, changes: Changes) -> None:
    """Apps before functions: a forgotten app takes its functions with it."""
    for slug, gone_ms in changes.gone.items():
        if slug in disk.functions:
            disk.gone[slug] = msgspec.structs.replace(disk.functions[slug], gone_ms=gone_ms)
    for name, app in changes.apps.items():
        if app is not None:
            disk.apps[name] = app
            continue
        disk.apps.pop(name, None)
        for slug in [slug for slug, row in disk.functions.items() if row.app == name]:
            del disk.functions[slug]
    for slug, function in changes.functions.items():
        if function is None:
            disk.functions.pop(slug, None)
        else:
            disk.functions[slug] = function
            disk.gone.pop(slug, None)
    for slug in changes.forgotten_functions:
        disk.gone.pop(slug, None)
        if slug not in disk.functions:
            disk.versions.pop(slug, None)
    for version in changes.versions.values():
        known = {one.place: one for one in disk.versions.get(version.function.slug, ())}
        newest = sorted({**known, version.place: version}.items(), reverse=True)
        kept = [one for _, one in newest[:FUNCTION_VERSIONS_MAX]]
        disk.versions[version.function.slug] = kept


def put_bulks(disk: Disk, changes: Changes) -> None:
    """What is done to many runs. What ended stays ended."""
    for bulk in changes.bulks:
        disk.bulks[bulk.id] = bulk
    for id_, moved in changes.bulk_moves.items():
        if id_ in disk.bulks:
            disk.bulks[id_] = msgspec.structs.replace(disk.bulks[id_], moved=moved)
    for id_, (ended_ms, stopped) in changes.bulks_over.items():
        known = disk.bulks.get(id_)
        if known is not None and not known.ended_ms:
            ended = msgspec.structs.replace(known, ended_ms=ended_ms, stopped=stopped)
            disk.bulks[id_] = ended
    if changes.bulks:
        for id_ in sorted(disk.bulks, reverse=True)[BULKS_KEPT:]:
            if disk.bulks[id_].ended_ms:
                del disk.bulks[id_]


def put_access(disk: Disk, changes: Changes) -> None:
    """Keys, and what was changed with them."""
    for key in changes.api_keys:
        disk.api_keys[key.id] = key
    for id_, revoked_ms in changes.revoked_keys.items():
        known = disk.api_keys.get(id_)
        if known is not None and not known.revoked_ms:
            disk.api_keys[id_] = msgspec.structs.replace(known, revoked_ms=revoked_ms)
    entries = disk.audit + changes.audit
    disk.audit = [
        msgspec.structs.replace(entry, status=changes.refused.get(entry.id, entry.status))
        for entry in entries[-AUDIT_MAX:]
    ]


def put_cancellations(disk: Disk, changes: Changes) -> None:
    """What was forgotten cannot be done any more."""
    for id_, cancellation in changes.cancellations.items():
        if cancellation is None:
            disk.cancellations.pop(id_, None)
        else:
            disk.cancellations[id_] = cancellation
    for id_, ended_ms in changes.cancellations_done.items():
        if id_ in disk.cancellations:
            known = disk.cancellations[id_]
            disk.cancellations[id_] = msgspec.structs.replace(known, ended_ms=ended_ms)


def forget(disk: Disk, changes: Changes) -> None:
    """Remove runs with all that hangs on them, and events."""
    for run_id in changes.forgotten_runs:
        run = disk.runs.pop(run_id, None)
        if run is not None and run.dedup:
            disk.dedups[run.function, run.dedup].discard(run_id)
        disk.notes.pop(run_id, None)
        disk.annotations.pop(run_id, None)
        for rows in (disk.items, disk.waits, disk.steps):
            rows.drop(run_id)
    for event_id in changes.forgotten_events:
        disk.events.pop(event_id, None)
    if changes.forgotten_events:
        gone = frozenset(changes.forgotten_events)
        disk.dropped[:] = [one for one in disk.dropped if one.event_id not in gone]
