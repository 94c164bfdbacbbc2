"""The read side on PostgreSQL: what was committed. It has connections of its own (`pool.py`), so
that any thread may read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg

from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.row.annotation import Annotation
from stepwell.server.engine.row.bulk import Bulk
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold, KeyKind, Slot
from stepwell.server.engine.row.key import ApiKey, AuditEntry
from stepwell.server.engine.row.run import (
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
)
from stepwell.server.store.ended_counts import duration_of, failure_of
from stepwell.server.store.port import (
    CallState,
    Conflict,
    CountBy,
    CountFilter,
    CountPlace,
    DurationCount,
    DurationPlace,
    EndedFilter,
    EventFilter,
    FailureCount,
    FailurePlace,
    RunCount,
    RunFilter,
    Unavailable,
)
from stepwell.server.store.postgres.connection import SQL, Connection
from stepwell.server.store.postgres.listing import (
    HIDDEN,
    Asked,
    events_asked,
    run_asked,
    runs_asked,
    runs_of_event_asked,
)
from stepwell.server.store.postgres.piece import Answer, Piece
from stepwell.server.store.postgres.pool import Pool
from stepwell.server.store.postgres.rows import lease_from, run_from
from stepwell.server.store.postgres.states import StatesAsked
from stepwell.server.store.reading import counts_under, stands_under
from stepwell.server.store.row import (
    annotation_of,
    api_key_of,
    app_of,
    audit_of,
    bulk_of,
    cancellation_of,
    dropped_of,
    event_of,
    function_of,
    held_of,
    hold_of,
    item_of,
    key_of,
    note_of,
    slot_of,
    step_of,
    version_of,
    wait_of,
)

Found = TypeVar("Found")
CONFLICTS_MAX = 8
AFTER_ALL = "\U0010ffff"
_COUNTS = {
    CountBy.TIME: "counts_by_time",
    CountBy.APP: "counts_by_app",
    CountBy.FUNCTION: "counts_by_function",
}


class PostgresReader:
    """Reads; never waits for a writer."""

    blocks = True

    def __init__(self, pool: Pool) -> None:
        """`pool` of a database that is migrated; `close` closes it."""
        self._pool = pool

    def _read(self, read: Callable[[Connection], Found]) -> Found:
        """What is read on a connection. One that was lost while it was idle is made anew; what the
        database could not read in its order is read again."""
        conflicts = 0
        while True:
            is_fresh = True
            try:
                with self._pool.lend() as (connection, is_fresh):
                    return read(connection)
            except Conflict:
                conflicts += 1
                if conflicts > CONFLICTS_MAX:
                    raise
            except Unavailable as error:
                if is_fresh or not isinstance(error.__cause__, psycopg.OperationalError):
                    raise

    def _rows(self, asked: Asked | tuple[bytes, tuple[object, ...]]) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        return self._read(lambda db: db.execute(*asked, binary=True).fetchall())

    def _all(self, name: str, make: Callable[[Any], Found], *wanted: object) -> list[Found]:
        return [make(row) for row in self._rows((SQL[name], wanted))]

    def _one(self, name: str, make: Callable[[Any], Found], *wanted: object) -> Found | None:
        found = self._all(name, make, *wanted)
        return found[0] if found else None

    # -- calls ----------------------------------------------------------------------------------

    def call_state(self, run: Run) -> CallState:
        """What a call of this run is told."""
        return self._read(lambda db: _states_asked(Piece(db), [run]).states())[run.id]

    def call_states(self, runs: Sequence[Run]) -> Mapping[str, CallState]:
        """What calls of these runs are told; nothing of those that have ended."""

        def read(db: Connection) -> Mapping[str, CallState]:
            piece = Piece(db)
            going = piece.ask(SQL["runs_going"], ([run.id for run in runs],))
            states = _states_asked(piece, runs).states()
            return {run_id: states[run_id] for (run_id,) in going}

        return self._read(read)

    # -- runs -----------------------------------------------------------------------------------

    def _runs(self, asked: Asked) -> list[Run]:
        return [run_from(row[:-HIDDEN]) for row in self._rows(asked)]

    def run(self, run_id: str) -> Run | None:
        """One run. A run whose first call is under way reads as running."""
        found = self._runs(run_asked(run_id))
        return found[0] if found else None

    def live(self) -> Mapping[tuple[str, RunStatus], int]:
        """How many runs of each function have not begun, and how many go on."""
        return {
            (function, RunStatus(status)): count
            for function, status, count in self._rows((SQL["live"], ()))
        }

    def runs(self, wanted: RunFilter) -> list[Run]:
        """Runs, in the order of the filter."""
        return self._runs(runs_asked(wanted))

    def counts(self, wanted: CountFilter) -> list[RunCount]:
        """How many runs came to each status."""
        bounds: dict[str, object] = {
            "span_ms": wanted.span_ms,
            "since_ms": max(wanted.since_ms, wanted.after.at_ms),
            "last_ms": wanted.until_ms - 1,
            **wanted.after._asdict(),
            "apps": list(wanted.apps),
            "functions": list(wanted.functions),
            "limit": wanted.limit,
        }
        rows = self._rows((SQL[_COUNTS[wanted.by]], bounds))
        return [RunCount(CountPlace(*row[:3]), *row[3:]) for row in rows]

    def durations(self, wanted: EndedFilter) -> list[tuple[DurationPlace, DurationCount]]:
        """How many runs completed and how long they took."""
        return [duration_of(row) for row in self._rows((SQL["durations"], _bounds(wanted)))]

    def failures(
        self, wanted: EndedFilter, span_ms: int
    ) -> list[tuple[FailurePlace, FailureCount]]:
        """What runs failed with."""
        asked = {**_bounds(wanted), "span_ms": span_ms}
        return [failure_of(row) for row in self._rows((SQL["failures"], asked))]

    def runs_of_event(self, event_id: str) -> list[Run]:
        """The runs an event started."""
        return self._runs(runs_of_event_asked(event_id))

    def due_runs(self, queue: str, before_ms: int, limit: int) -> list[Run]:
        """Runs of which something in this queue was due and nobody has it."""
        wanted: dict[str, object] = {"queue": queue, "before_ms": before_ms, "limit": limit}
        return [run_from(row) for row in self._rows((SQL["due_runs"], wanted))]

    def stranded(self, limit: int) -> list[Run]:
        """Runs that have not ended and that nothing could ever move."""
        return self._all("stranded", run_from, limit)

    # -- what hangs on a run --------------------------------------------------------------------

    def steps(self, run_id: str) -> list[Step]:
        """Saved steps, in the order they were saved."""
        return self._all("steps", lambda row: step_of(run_id, row), run_id)

    def annotations(self, run_id: str) -> list[Annotation]:
        """What is said of a run, in order."""
        return self._all("annotations", annotation_of, run_id)

    def notes(self, run_id: str) -> list[Note]:
        """What the timeline tells besides, in order."""
        return self._all("notes", note_of, run_id)

    def retries(self, run_ids: Sequence[str]) -> Mapping[str, int]:
        """How often attempts of each run were tried again."""
        found = self._rows((SQL["retries"], (list(run_ids),)))
        return {row[0]: row[1] for row in found}

    def open_items(self, run_ids: Sequence[str]) -> Mapping[str, list[Item]]:
        """What each of these runs still has to do and nobody is at."""
        found: dict[str, list[Item]] = {}
        for item in self._all("open_items", lambda row: item_of(row[:9]), list(run_ids)):
            found.setdefault(item.run_id, []).append(item)
        return found

    def items(self, run_id: str) -> list[Item]:
        """What the run still has to do."""
        return self._all("items_of_run", lambda row: item_of(row[:9]), run_id)

    def leases(self, run_id: str) -> list[Lease]:
        """Who is at work on the run."""
        return self._all("leases_of_run", lease_from, run_id)

    def waits(self, run_id: str) -> list[Wait]:
        """What the run waits for."""
        return self._all("waits_of_run", wait_of, run_id)

    # -- flow control ---------------------------------------------------------------------------

    def dropped(self, event_id: str) -> list[Dropped]:
        """Why an event started no run, function by function."""
        return self._all("dropped", dropped_of, event_id)

    def dropped_of(self, function: str, since_ms: int, limit: int) -> list[Dropped]:
        """What started no run of a function since a time, oldest first."""
        return self._all("dropped_of", dropped_of, function, since_ms, limit)

    def holds(self, function: str = "") -> list[Hold]:
        """Open holds, of one function or of all, the oldest first."""
        asked: Asked = (SQL["holds"], {"function": function})
        return [hold_of(row) for row in self._rows(asked)]

    def holds_of_event(self, event_id: str) -> list[Hold]:
        """The open holds an event is in."""
        asked: Asked = (SQL["holds_of_event"], {"event_id": event_id})
        return [hold_of(row) for row in self._rows(asked)]

    def held(self, key: str) -> list[Held]:
        """The events in a hold that has several, in the order they came."""
        return self._all("held", held_of, key)

    def flow_key(self, key: str) -> FlowKey | None:
        """What is remembered of a key."""
        return self._one("flow_key", key_of, key)

    def flow_keys(self, kind: KeyKind) -> list[FlowKey]:
        """What is remembered of all keys of a kind."""
        return self._all("flow_keys", key_of, int(kind))

    def slots(self, key: str) -> list[Slot]:
        """The runs with a place under a key, the longest there first."""
        return self._all("slots", slot_of, key)

    def lost_slots(self, limit: int) -> list[Slot]:
        """Places under keys of runs that have ended, or that are not there."""
        return self._all("lost_slots", slot_of, limit)

    def leases_under(self, key: str) -> list[Lease]:
        """The calls under way that count under a key, the longest first."""
        return self._all("leases_under", lease_from, key)

    def leases_of_limit(self, name: str) -> list[Lease]:
        """The calls under way that count under a named limit, the longest first."""
        found = self._all("leases_with_keys", lease_from)
        return [lease for lease in found if counts_under(lease, name)]

    def lanes_under(self, name: str) -> list[str]:
        """Lanes with something to do whose calls stand under a named limit."""
        found = {queue for (queue,) in self._rows((SQL["queues"], ()))}
        return sorted(queue for queue in found if is_lane(queue) and stands_under(queue, name))

    # -- events, apps, functions ----------------------------------------------------------------

    def event(self, event_id: str) -> EventRow | None:
        """One event, by our id."""
        return self._one("events_whole", event_of, [event_id])

    def event_names(self, event_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of events, by our ids."""
        found = self._rows((SQL["event_names"], (list(event_ids),)))
        return {row[0]: row[1] for row in found}

    def event_bodies(self, event_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Events as they came, by our ids."""
        found = self._rows((SQL["bodies"], (list(event_ids),)))
        return {row[0]: row[1] for row in found}

    def events(self, wanted: EventFilter) -> list[EventRow]:
        """Events, newest first."""
        return [event_of(row) for row in self._rows(events_asked(wanted))]

    def apps(self) -> list[AppRow]:
        """Registered apps."""
        return self._all("apps", app_of)

    def functions(self) -> list[FunctionRow]:
        """Registered functions."""
        return self._all("functions", function_of)

    def gone_functions(self) -> list[FunctionRow]:
        """Functions that were registered once."""
        return self._all("gone_functions", function_of)

    def function_versions(self, slug: str) -> list[FunctionVersion]:
        """What a function was registered as, the newest first."""
        return self._all("function_versions", version_of, slug)

    # -- what people ask for --------------------------------------------------------------------

    def cancellation(self, id_: str) -> Cancellation | None:
        """One cancellation of many runs."""
        return self._one("cancellation", cancellation_of, id_)

    def cancellations(self, before: str, limit: int) -> list[Cancellation]:
        """Cancellations of many runs, newest first."""
        return self._all("cancellations", cancellation_of, before or AFTER_ALL, limit)

    def open_cancellations(self) -> list[Cancellation]:
        """Those that are not carried out yet."""
        return self._all("open_cancellations", cancellation_of)

    def bulk(self, id_: str) -> Bulk | None:
        """One thing that is done to many runs."""
        return self._one("bulk", bulk_of, id_)

    def bulks(self, before: str, limit: int) -> list[Bulk]:
        """What is and was done to many runs, newest first."""
        return self._all("bulks", bulk_of, before or AFTER_ALL, limit)

    def open_bulks(self) -> list[Bulk]:
        """Those that go on."""
        return self._all("open_bulks", bulk_of)

    def api_key(self, id_: str) -> ApiKey | None:
        """One key, by its id."""
        return self._one("api_key", api_key_of, id_)

    def api_key_of(self, hash_: str) -> ApiKey | None:
        """The key of a hash."""
        return self._one("api_key_of", api_key_of, hash_)

    def api_keys(self, before: str, limit: int) -> list[ApiKey]:
        """Keys, newest first."""
        return self._all("api_keys", api_key_of, before or AFTER_ALL, limit)

    def audit(self, before: str, limit: int) -> list[AuditEntry]:
        """What was changed by hand, newest first."""
        return self._all("audit", audit_of, before or AFTER_ALL, limit)

    def close(self) -> None:
        """Let go of the connections. What is being read on another thread ends first."""
        self._pool.close()


def _states_asked(piece: Piece, runs: Sequence[Run]) -> StatesAsked:
    def ask(name: str, *given: object) -> Answer:
        return piece.ask(SQL[name], given)

    return StatesAsked(ask, runs)


def _bounds(wanted: EndedFilter) -> dict[str, object]:
    return {
        "since_ms": wanted.since_ms,
        "last_ms": wanted.until_ms - 1,
        "apps": list(wanted.apps),
        "functions": list(wanted.functions),
    }
