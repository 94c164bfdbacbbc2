"""Puts a batch's rows into the open transaction: one statement per kind of change, whatever the
number of rows, all of them in one piece."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepwell.server.engine.name.held import is_held
from stepwell.server.engine.row.bulk import BULKS_KEPT
from stepwell.server.engine.row.key import AUDIT_MAX
from stepwell.server.engine.row.run import FUNCTION_VERSIONS_MAX, Lease, WaitKind
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.flow_state import KINDS
from stepwell.server.store.counting import (
    FORGOTTEN_MAX,
    HOUR_MS,
    KEPT_MS,
    counted,
    newest_minute,
)
from stepwell.server.store.ended_counts import KINDS_MAX, ended_counts
from stepwell.server.store.postgres.locks import row_of_name
from stepwell.server.store.postgres.rows import (
    columns_of_item,
    columns_of_lease,
    columns_of_run,
    run_from,
)
from stepwell.server.store.postgres.session import Session, Slot
from stepwell.server.store.postgres.states import StatesGranted
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
    key_values,
    move_values,
    note_values,
    slot_values,
    standing_values,
    step_values,
    version_values,
    wait_values,
)

_OF_EVENTS = (WaitKind.EVENT, WaitKind.CANCEL)


class Writer:
    """Writes one batch at a time."""

    def __init__(self, session: Session, node: str) -> None:
        """`node` is the name under which leases are granted."""
        self._session = session
        self._node = node
        self._minute_ms = 0
        self.granted: list[tuple[str, str, str]] = []
        """The leases that the last batch granted: run, key and id."""
        self.told: StatesGranted | None = None
        """What their calls are told."""

    def write(self, changes: Changes) -> None:
        """Ask for the rows to be written. That some are others than the batch saw is a conflict
        when they are.

        Raises `Stale` where the catalog is another by now, if nothing was loaded before.
        """
        self.granted = []
        if self._session.assumed:
            self._session.make_sure()
        else:
            self._session.check()
        self._look_at_rest(changes)
        self._lock_waited(changes)
        self._runs(changes)
        if changes.started or changes.runs:
            self._counts(changes)
        if changes.ended:
            self._ended_counts(changes)
        self._items(changes)
        self._waits(changes)
        self._leases(changes)
        if changes.flow_rows:
            self._flow(changes)
        if holds_calls(changes):
            # Their runs are locked: who registers that code after this finds them held.
            self._session.look_again()
        self._rare(changes)
        runs = self._session.seen.runs | changes.runs | changes.started
        calls = {id_: run for run_id, _, id_ in self.granted if (run := runs.get(run_id))}
        self.told = StatesGranted(self._session.ask, changes, calls) if calls else None

    def _lock_waited(self, changes: Changes) -> None:
        """Whoever begins to wait for events of a name has it alone."""
        names = {wait.name for wait in changes.waits.values() if wait and wait.kind in _OF_EVENTS}
        rows = sorted({row_of_name(name) for name in names} - self._session.seen.locked)
        if rows:
            self._session.ask("lock", rows)
            self._session.seen.locked.update(rows)

    def _look_at_rest(self, changes: Changes) -> None:
        """Runs that are changed and were not loaded: what they were is counted."""
        seen = self._session.seen.runs
        unseen = sorted(run_id for run_id in changes.runs if run_id not in seen)
        if unseen:
            for row in self._session.ask("runs_locked", unseen):
                run = run_from(row)
                seen[run.id] = run

    def _put(self, name: str, rows: Sequence[Values]) -> None:
        """Rows for a statement whose parameters are their columns."""
        if rows:
            self._session.ask_rows(name, rows)

    def _must(self, name: str, rows: list[Values]) -> None:
        """The same, and every one of them is to be found."""
        if rows:
            self._session.find_rows(name, rows)

    # -- runs and what hangs on them ------------------------------------------------------------

    def _runs(self, changes: Changes) -> None:
        ended = changes.ended
        started = changes.started.values()
        self._put("insert_event", [event_values(0, event)[1:] for event in changes.events])
        self._put("insert_run", [columns_of_run(run) for run in started])
        more = [(event_id, run.id) for run in started for event_id in run.event_ids[1:]]
        self._put("insert_run_event", more)
        going: list[Values] = []
        over: list[Values] = []
        for run in changes.runs.values():
            if run.id in ended:
                over.append((*end_values(run), run.id))
            else:
                going.append((*standing_values(run), run.id))
        self._must("change_run", going)
        self._must("end_run", over)
        steps: list[Values] = [(one.run_id, *step_values(0, one)[1:]) for one in changes.steps]
        self._put("insert_step", steps)
        self._put("insert_note", [note_values(note) for note in changes.notes])
        if ended:
            gone = sorted(ended)
            for name in ("drop_items_of_runs", "drop_waits_of_runs", "drop_leases_of_runs"):
                self._session.ask(name, gone)

    def _counts(self, changes: Changes) -> None:
        added = counted(changes, self._session.seen.runs.__getitem__)
        rows: list[Values] = [(*key, self._node, *parts) for key, parts in added.items()]
        self._put("add_counts", rows)
        newest_ms = newest_minute(added)
        if newest_ms > self._minute_ms:
            self._minute_ms = newest_ms
            for span_ms, kept_ms in KEPT_MS.items():
                old = (span_ms, newest_ms - kept_ms, FORGOTTEN_MAX)
                self._session.ask("forget_counts", *old)
                self._session.ask("forget_failures", *old)
            old_ms = newest_ms - KEPT_MS[HOUR_MS]
            self._session.ask("forget_durations", old_ms, FORGOTTEN_MAX)

    def _ended_counts(self, changes: Changes) -> None:
        added = ended_counts(changes, self._session.seen.runs.__getitem__)
        took = added.durations.items()
        self._put("add_durations", [(*place, self._node, *count) for place, count in took])
        failed = [(*place, self._node, *count) for place, count in added.failures.items()]
        if failed:
            columns = [list(column) for column in zip(*failed, strict=True)]
            self._session.ask("add_failures", KINDS_MAX, *columns)

    def _items(self, changes: Changes) -> None:
        moved: list[Values] = []
        put: list[Values] = []
        ended: list[Values] = []
        dropped: list[Values] = []
        for slot, item in _staying(changes.items, changes):
            was = self._session.seen.items.get(slot)
            if item is None:
                if was is None:
                    dropped.append(slot)
                else:
                    ended.append((*slot, was.due_ms, was.attempt))
            elif was is None:
                put.append(columns_of_item(item))
            else:
                moved.append((*columns_of_item(item), was.due_ms, was.attempt))
        self._must("move_item", moved)
        self._put("put_item", put)
        self._must("end_item", ended)
        self._put("drop_item", dropped)

    def _waits(self, changes: Changes) -> None:
        put: list[Values] = []
        dropped: list[Values] = []
        for slot, wait in _staying(changes.waits, changes):
            if wait is None:
                dropped.append(slot)
            else:
                put.append(wait_values(wait))
        self._put("put_wait", put)
        self._put("drop_wait", dropped)

    def _leases(self, changes: Changes) -> None:
        granted: list[Values] = []
        changed: list[Values] = []
        ended: list[Values] = []
        dropped: list[Values] = []
        for slot, lease in _staying(changes.leases, changes):
            was: Lease | None = self._session.seen.leases.get(slot)
            if lease is not None and was is not None and was.id == lease.id:
                # Who has it longer holds it; who saves a step of it may be another process.
                holder = self._node if lease.until_ms != was.until_ms else ""
                numbers = lease.until_ms, lease.generation, lease.steps
                changed.append((*numbers, holder, *slot, lease.id))
                continue
            if was is not None:
                ended.append((*slot, was.id))
            elif lease is None:
                dropped.append(slot)
            if lease is not None:
                granted.append(columns_of_lease(lease, self._node))
                self.granted.append((*slot, lease.id))
        self._must("change_lease", changed)
        self._must("end_lease", ended)
        self._put("drop_lease", dropped)
        self._put("insert_lease", granted)

    # -- flow control ---------------------------------------------------------------------------

    def _flow(self, changes: Changes) -> None:
        seen = self._session.seen
        slots = changes.slots
        keys = [key_values(row) for row in changes.keys.values() if row]
        self._new_or_not("flow_key", keys, seen.keys)
        self._put("drop_flow_key", _gone(changes.keys))
        self._put("put_slot", [slot_values(row) for row in slots.values() if row])
        self._put("drop_slot", [slot for slot, row in slots.items() if row is None])
        holds = [hold_values(row) for row in changes.holds.values() if row]
        self._new_or_not("hold", holds, seen.holds)
        self._put("drop_hold", _gone(changes.holds))
        self._put("drop_held", [(key,) for key in sorted(changes.closed_holds)])
        self._put("insert_held", [held_values(row) for row in changes.held])
        self._put("forget_drop", list(changes.undropped))
        self._put("insert_dropped", [dropped_values(one) for one in changes.dropped])

    def _new_or_not(self, table: str, rows: list[Values], seen: Mapping[str, bool]) -> None:
        """A row that was looked for and not found must be new: two batches may have looked."""
        new = [row for row in rows if seen.get(str(row[0])) is False]
        self._put(f"insert_{table}", new)
        self._put(f"put_{table}", [row for row in rows if row not in new])

    # -- what changes seldom --------------------------------------------------------------------

    def _rare(self, changes: Changes) -> None:
        if changes_catalog(changes):
            self._session.ask_all("catalog_changed", 1, self._session.catalog)
            self._session.changes_catalog = True
        if changes.apps or changes.functions:
            self._catalog(changes)
        if changes.cancellations or changes.cancellations_done:
            self._cancellations(changes)
        if changes.annotations:
            said = [annotation_values(row) for row in changes.annotations.values()]
            self._put("put_annotation", said)
        if changes.access_rows:
            self._access(changes)
        if changes.bulk_rows:
            self._bulks(changes)
        if changes.forgotten_runs:
            self._session.ask_named("forget_runs", {"runs": changes.forgotten_runs})
        if changes.forgotten_events:
            self._session.ask_named("forget_events", {"events": changes.forgotten_events})
        if changes.forgotten_functions:
            self._session.ask_named("forget_functions", {"slugs": changes.forgotten_functions})

    def _catalog(self, changes: Changes) -> None:
        self._put("keep_gone", [(gone_ms, slug) for slug, gone_ms in changes.gone.items()])
        self._put("drop_app", _gone(changes.apps))
        self._put("drop_functions_of_app", _gone(changes.apps))
        self._put("put_app", [app_values(app) for app in changes.apps.values() if app])
        kept = [function_values(row) for row in changes.functions.values() if row]
        self._put("drop_gone", [(row[0],) for row in kept])
        self._put("drop_function", _gone(changes.functions))
        self._put("put_function", kept)
        if changes.versions:
            self._put("put_version", [version_values(one) for one in changes.versions.values()])
            slugs = sorted({slug for slug, _, _ in changes.versions})
            self._session.ask("drop_versions", slugs, FUNCTION_VERSIONS_MAX)

    def _cancellations(self, changes: Changes) -> None:
        there = [one for one in changes.cancellations.values() if one is not None]
        self._put("insert_cancellation", [cancellation_values(one) for one in there])
        self._put("drop_cancellation", _gone(changes.cancellations))
        done = [(at_ms, id_) for id_, at_ms in changes.cancellations_done.items()]
        self._put("end_cancellation", done)

    def _access(self, changes: Changes) -> None:
        revoked = [(at_ms, id_) for id_, at_ms in changes.revoked_keys.items()]
        self._put("insert_api_key", [api_key_values(key) for key in changes.api_keys])
        self._put("end_api_key", revoked)
        if changes.audit:
            self._put("insert_audit", [audit_values(entry) for entry in changes.audit])
            self._session.ask("forget_audit", AUDIT_MAX)
        self._put("mark_audit", [(status, id_) for id_, status in changes.refused.items()])

    def _bulks(self, changes: Changes) -> None:
        self._put("insert_bulk", [bulk_values(bulk) for bulk in changes.bulks])
        moves = [(*move_values(moved), id_) for id_, moved in changes.bulk_moves.items()]
        self._put("move_bulk", moves)
        over = [(at, int(stopped), id_) for id_, (at, stopped) in changes.bulks_over.items()]
        self._put("end_bulk", over)
        if changes.bulks:
            self._session.ask("forget_bulks", BULKS_KEPT)


def changes_catalog(changes: Changes) -> bool:
    """Whether what every process knows by heart is another then."""
    flow = any(row is not None and row.kind in KINDS for row in changes.keys.values())
    return bool(changes.apps or changes.functions or flow)


def holds_calls(changes: Changes) -> bool:
    """Whether calls are put where they wait for other code than is registered. Nobody looks there
    before something is registered again, so what is registered must be so when they are put."""
    return any(item is not None and is_held(item.queue) for item in changes.items.values())


def _staying(rows: Mapping[Slot, Any], changes: Changes) -> Iterable[tuple[Slot, Any]]:
    """What hangs on runs that go on: of those that ended everything goes anyway."""
    if not changes.ended:
        return rows.items()
    return ((slot, row) for slot, row in rows.items() if slot[0] not in changes.ended)


def _gone(rows: Mapping[str, object | None]) -> list[Values]:
    return [(key,) for key, row in rows.items() if row is None]
