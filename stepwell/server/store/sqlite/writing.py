"""Puts a batch's rows into the open transaction: as few statements and rows as will do.

A run and its main item are one row, so what happens to both is one update; leases are not written
at all; what hangs on a run that ended is removed only if there was something.
"""

import sqlite3
from collections.abc import Iterable

from stepwell.server.engine.row.bulk import BULKS_KEPT
from stepwell.server.engine.row.key import AUDIT_MAX
from stepwell.server.engine.row.run import FUNCTION_VERSIONS_MAX, MAIN
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.counting import (
    FORGOTTEN_MAX,
    HOUR_MS,
    KEPT_MS,
    counted,
    newest_minute,
)
from stepwell.server.store.ended_counts import KINDS_MAX, ended_counts
from stepwell.server.store.port import Corrupt
from stepwell.server.store.row import (
    Values,
    annotation_values,
    api_key_values,
    app_values,
    audit_values,
    bulk_values,
    cancellation_values,
    dropped_values,
    end_values,
    event_values,
    function_values,
    held_values,
    hold_values,
    item_values,
    key_values,
    main_values,
    move_values,
    note_values,
    run_values,
    slot_values,
    standing_values,
    step_values,
    version_values,
    wait_values,
)
from stepwell.server.store.sqlite.connection import SQL
from stepwell.server.store.sqlite.memory import Memory
from stepwell.server.store.sqlite.recent import RunEntry


class Writer:
    """Writes one batch at a time."""

    def __init__(self, connection: sqlite3.Connection, memory: Memory) -> None:
        self._db = connection
        self._memory = memory
        self._minute_ms = 0

    def write(self, changes: Changes) -> tuple[dict[str, RunEntry], int]:
        """Write the rows. Returns the runs touched, as they were, and how many rows it took."""
        touched = self._touched(changes)
        rows = self._events(changes) + self._started(changes, touched)
        if changes.started or changes.runs:
            rows += self._counts(changes, touched)
        if changes.ended:
            rows += self._ended_counts(changes, touched)
        rows += self._runs(changes, touched) + self._steps(changes, touched)
        if changes.items:
            rows += self._mains(changes, touched) + self._items(changes, touched)
        if changes.waits:
            rows += self._waits(changes)
        if changes.ended:
            rows += self._ended(changes, touched)
        if changes.notes:
            rows += self._many("insert_note", [note_values(note) for note in changes.notes])
        if changes.annotations:
            said = [annotation_values(row) for row in changes.annotations.values()]
            rows += self._many("put_annotation", said)
        if changes.flow_rows:
            rows += self._flow(changes)
        if changes.apps or changes.functions:
            rows += self._catalog(changes)
        if changes.cancellations or changes.cancellations_done:
            rows += self._cancellations(changes)
        if changes.access_rows:
            rows += self._access(changes)
        if changes.bulk_rows:
            rows += self._bulks(changes)
        if changes.forgotten_functions:
            slugs: list[Values] = [(slug,) for slug in changes.forgotten_functions]
            rows += self._many("forget_gone", slugs) + self._many("forget_versions", slugs)
        if changes.forgotten_runs or changes.forgotten_events:
            rows += self._forget(changes)
        return touched, rows

    def _many(self, name: str, rows: list[Values]) -> int:
        if len(rows) == 1:
            self._db.execute(SQL[name], rows[0])
        elif rows:
            self._db.executemany(SQL[name], rows)
        return len(rows)

    def _touched(self, changes: Changes) -> dict[str, RunEntry]:
        """Every run the batch writes, looked up before the first write: what the transaction
        itself wrote must never be taken for what is committed."""
        touched: dict[str, RunEntry] = {}
        number = self._memory.next_run
        for run_id, run in changes.started.items():
            begun = RunEntry(number, run, None, {}, {})
            begun.saved = set()
            begun.memos = []
            touched[run_id] = begun
            number += 1
        self._memory.next_run = number
        self._look_up(changes.runs, touched)
        self._look_up((step.run_id for step in changes.steps), touched)
        self._look_up((run_id for run_id, _ in changes.waits), touched)
        for run_id, key in changes.items:
            if run_id not in touched:
                entry = self._memory.entry(run_id)
                if entry is not None:
                    touched[run_id] = entry
                elif key == MAIN:
                    raise Corrupt(f"run {run_id} has an item, and there is no such run")
        return touched

    def _look_up(self, run_ids: Iterable[str], touched: dict[str, RunEntry]) -> None:
        for run_id in run_ids:
            if run_id not in touched:
                entry = self._memory.entry(run_id)
                if entry is None:
                    raise Corrupt(f"run {run_id} is to be changed, and there is no such run")
                touched[run_id] = entry

    def _events(self, changes: Changes) -> int:
        if not changes.events:
            return 0
        first = self._memory.next_event
        self._memory.next_event += len(changes.events)
        rows = [event_values(seq, event) for seq, event in enumerate(changes.events, first)]
        return self._many("insert_event", rows)

    def _started(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        if not changes.started:
            return 0
        items = changes.items
        rows = [
            run_values(touched[run_id].seq, run, None if run.ended else items.get((run_id, MAIN)))
            for run_id, run in changes.started.items()
        ]
        more: list[Values] = [
            (event_id, touched[run.id].seq)
            for run in changes.started.values()
            if len(run.event_ids) > 1
            for event_id in run.event_ids[1:]
        ]
        return self._many("insert_run", rows) + self._many("insert_run_event", more)

    def _runs(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        """Runs that go on or ended, each with its main item if that changed too."""
        plain: list[Values] = []
        moved: list[Values] = []
        ended: list[Values] = []
        items = changes.items
        for run_id, run in changes.runs.items():
            entry = touched[run_id]
            main = items.get((run_id, MAIN), entry.main)
            if run_id in changes.ended:
                ended.append((*end_values(run), entry.seq))
            elif main is not entry.main and main != entry.main:
                moved.append((*standing_values(run), *main_values(main), entry.seq))
            elif run != entry.run:
                plain.append((*standing_values(run), entry.seq))
        rows = self._many("move_run", moved) + self._many("change_run", plain)
        return rows + self._many("end_run", ended)

    def _counts(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        added = counted(changes, lambda run_id: touched[run_id].run)
        rows = self._many("add_counts", [(*key, *parts) for key, parts in added.items()])
        newest_ms = newest_minute(added)
        if newest_ms > self._minute_ms:
            self._minute_ms = newest_ms
            for span_ms, kept_ms in KEPT_MS.items():
                old = (span_ms, newest_ms - kept_ms, FORGOTTEN_MAX)
                self._db.execute(SQL["forget_counts"], old)
                self._db.execute(SQL["forget_failures"], old)
            old_ms = newest_ms - KEPT_MS[HOUR_MS]
            self._db.execute(SQL["forget_durations"], (old_ms, FORGOTTEN_MAX))
        return rows

    def _ended_counts(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        added = ended_counts(changes, lambda run_id: touched[run_id].run)
        took: list[Values] = [(*place, *count) for place, count in added.durations.items()]
        failed: list[Values] = [
            (*place, *count, KINDS_MAX) for place, count in added.failures.items()
        ]
        return self._many("add_durations", took) + self._many("add_failures", failed)

    def _mains(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        """Main items that changed while their run did not."""
        moved: list[Values] = [
            (*main_values(item), touched[run_id].seq)
            for (run_id, key), item in changes.items.items()
            if key == MAIN and run_id not in changes.runs and run_id not in changes.started
        ]
        return self._many("move_main", moved)

    def _steps(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        rows = [step_values(touched[step.run_id].seq, step) for step in changes.steps]
        return self._many("insert_step", rows)

    def _items(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        """Items other than main ones. Those of runs that ended go with them."""
        put: list[Values] = []
        drop: list[Values] = []
        for (run_id, key), item in changes.items.items():
            if key == MAIN or run_id in changes.ended:
                continue
            if item is not None:
                put.append(item_values(item))
                continue
            entry = touched.get(run_id)
            if entry is None or key in entry.items:
                drop.append((run_id, key))
        return self._many("put_item", put) + self._many("drop_item", drop)

    def _waits(self, changes: Changes) -> int:
        put: list[Values] = []
        drop: list[Values] = []
        for (run_id, step_id), wait in changes.waits.items():
            if run_id in changes.ended:
                continue
            if wait is None:
                drop.append((run_id, step_id))
            else:
                put.append(wait_values(wait))
        return self._many("put_wait", put) + self._many("drop_wait", drop)

    def _ended(self, changes: Changes, touched: dict[str, RunEntry]) -> int:
        items: list[Values] = [(run_id,) for run_id in changes.ended if touched[run_id].items]
        waits: list[Values] = [(run_id,) for run_id in changes.ended if touched[run_id].waits]
        return self._many("drop_items_of_run", items) + self._many("drop_waits_of_run", waits)

    def _flow(self, changes: Changes) -> int:
        keys, slots, holds = changes.keys, changes.slots, changes.holds
        rows = self._many("put_flow_key", [key_values(row) for row in keys.values() if row])
        rows += self._many("drop_flow_key", [(key,) for key, row in keys.items() if row is None])
        rows += self._many("put_slot", [slot_values(row) for row in slots.values() if row])
        rows += self._many("drop_slot", [slot for slot, row in slots.items() if row is None])
        rows += self._many("put_hold", [hold_values(row) for row in holds.values() if row])
        rows += self._many("drop_hold", [(key,) for key, row in holds.items() if row is None])
        rows += self._many("drop_held", [(key,) for key in changes.closed_holds])
        rows += self._many("insert_held", [held_values(row) for row in changes.held])
        rows += self._many("forget_drop", [(*slot,) for slot in changes.undropped])
        return rows + self._many("insert_dropped", [dropped_values(d) for d in changes.dropped])

    def _catalog(self, changes: Changes) -> int:
        rows = self._many("keep_gone", [(gone_ms, slug) for slug, gone_ms in changes.gone.items()])
        gone: list[Values] = [(name,) for name, app in changes.apps.items() if app is None]
        rows += self._many("drop_app", gone) + self._many("drop_functions_of_app", gone)
        there = [app_values(app) for app in changes.apps.values() if app is not None]
        rows += self._many("put_app", there)
        dropped: list[Values] = [(slug,) for slug, row in changes.functions.items() if row is None]
        kept = [function_values(row) for row in changes.functions.values() if row is not None]
        rows += self._many("drop_gone", [(row[0],) for row in kept])
        rows += self._many("drop_function", dropped) + self._many("put_function", kept)
        rows += self._many("put_version", [version_values(v) for v in changes.versions.values()])
        slugs = sorted({slug for slug, _, _ in changes.versions})
        return rows + self._many(
            "drop_versions", [(slug, FUNCTION_VERSIONS_MAX - 1) for slug in slugs]
        )

    def _cancellations(self, changes: Changes) -> int:
        there = [one for one in changes.cancellations.values() if one is not None]
        gone: list[Values] = [(id_,) for id_, one in changes.cancellations.items() if one is None]
        done: list[Values] = [(at_ms, id_) for id_, at_ms in changes.cancellations_done.items()]
        rows = self._many("insert_cancellation", [cancellation_values(one) for one in there])
        rows += self._many("drop_cancellation", gone)
        return rows + self._many("end_cancellation", done)

    def _access(self, changes: Changes) -> int:
        revoked: list[Values] = [(at_ms, id_) for id_, at_ms in changes.revoked_keys.items()]
        refused: list[Values] = [(status, id_) for id_, status in changes.refused.items()]
        rows = self._many("insert_api_key", [api_key_values(key) for key in changes.api_keys])
        rows += self._many("end_api_key", revoked)
        if changes.audit:
            rows += self._many("insert_audit", [audit_values(entry) for entry in changes.audit])
            self._db.execute(SQL["forget_audit"], (AUDIT_MAX,))
        return rows + self._many("mark_audit", refused)

    def _bulks(self, changes: Changes) -> int:
        moves: list[Values] = [
            (*move_values(moved), id_) for id_, moved in changes.bulk_moves.items()
        ]
        over: list[Values] = [
            (ended_ms, int(stopped), id_) for id_, (ended_ms, stopped) in changes.bulks_over.items()
        ]
        rows = self._many("insert_bulk", [bulk_values(bulk) for bulk in changes.bulks])
        rows += self._many("move_bulk", moves) + self._many("end_bulk", over)
        if changes.bulks:
            self._db.execute(SQL["forget_bulks"], (BULKS_KEPT,))
        return rows

    def _forget(self, changes: Changes) -> int:
        runs: list[Values] = [(run_id,) for run_id in changes.forgotten_runs]
        rows = 0
        for name in (
            "forget_steps",
            "forget_run_events",
            "forget_notes",
            "forget_annotations",
            "drop_items_of_run",
            "drop_waits_of_run",
            "forget_run",
        ):
            rows += self._many(name, runs)
        events: list[Values] = [(event_id,) for event_id in changes.forgotten_events]
        rows += self._many("forget_dropped", events)
        return rows + self._many("forget_event", events)
