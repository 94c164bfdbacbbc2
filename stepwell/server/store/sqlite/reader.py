"""The read side on SQLite: what was committed. Connections of its own, lent to one thread at a
time, so that any thread may read and none waits for the writer."""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

import msgspec

from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.row.annotation import Annotation
from stepwell.server.engine.row.bulk import Bulk
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold, KeyKind, Slot
from stepwell.server.engine.row.key import ApiKey, AuditEntry
from stepwell.server.engine.row.run import (
    MAIN,
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
    place_of,
)
from stepwell.server.store.ended_counts import duration_of, failure_of
from stepwell.server.store.live import Live
from stepwell.server.store.port import (
    CallState,
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
from stepwell.server.store.reading import as_seen, counts_under, order_of, stands_under
from stepwell.server.store.row import (
    Value,
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
    run_of,
    slot_of,
    step_of,
    version_of,
    wait_of,
)
from stepwell.server.store.sqlite.connection import SQL, open_reader
from stepwell.server.store.sqlite.failure import in_our_words
from stepwell.server.store.sqlite.in_place import InPlace
from stepwell.server.store.sqlite.listing import AFTER_ALL, list_events, list_runs
from stepwell.server.store.sqlite.migrating import check_schema
from stepwell.server.store.sqlite.recent import Recent

Found = TypeVar("Found")

_COUNTS = {
    CountBy.TIME: "counts_by_time",
    CountBy.APP: "counts_by_app",
    CountBy.FUNCTION: "counts_by_function",
}


def reader_of_file(path: str) -> "SqliteReader":
    """A reader of a database that another process may have, without taking it. It sees what is
    committed, and not what that process holds in memory: who is at work on what.

    Raises `Corrupt` unless the file has the schema of this version.
    """
    connection = open_reader(path)
    try:
        check_schema(connection, path)
    finally:
        connection.close()
    return SqliteReader(path, Recent(0, 0), {})


class SqliteReader:
    """Reads; never waits for the writer."""

    blocks = False

    def __init__(
        self,
        path: str,
        recent: Recent,
        leases: Mapping[tuple[str, str], Lease],
        in_place: InPlace | None = None,
        live: Live | None = None,
    ) -> None:
        """`in_place` and `live` of whoever has the database; none where somebody looks at it from
        outside."""
        self._path = path
        self._recent = recent
        self._leases = leases
        self._in_place = in_place
        self._live = live or Live()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def live(self) -> Mapping[tuple[str, RunStatus], int]:
        """How many runs of each function have not begun, and how many go on."""
        return self._live.counted()

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        """A connection for this thread alone."""
        if self._closed:
            raise Unavailable(f"the reader of {self._path} is closed")
        try:
            connection = self._idle.pop()
        except IndexError:
            if self._in_place is not None:
                self._in_place.check()
            connection = open_reader(self._path)
        try:
            with in_our_words(self._path):
                yield connection
        finally:
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _all(
        self,
        name: str,
        wanted: tuple[Value, ...] | Mapping[str, Value],
        make: Callable[[tuple[object, ...]], Found],
    ) -> list[Found]:
        with self._connection() as connection:
            return [make(row) for row in connection.execute(SQL[name], wanted)]

    # -- calls ----------------------------------------------------------------------------------

    def call_state(self, run: Run) -> CallState:
        """What a call of this run is told. From memory, as long as the run was in use lately."""
        return CallState(self._bodies(run), self._memos(run.id))

    def _bodies(self, run: Run) -> tuple[bytes, ...]:
        found: list[bytes] = []
        for event_id in run.event_ids:
            event = self._recent.events.peek(event_id) or self.event(event_id)
            if event is not None:
                found.append(event.body)
        return tuple(found)

    def _memos(self, run_id: str) -> tuple[tuple[str, bytes], ...]:
        entry = self._recent.runs.peek(run_id)
        memos = None if entry is None else entry.memos
        if memos is not None:
            return tuple(memos)
        with self._connection() as connection:
            return tuple(connection.execute(SQL["memos"], (run_id,)).fetchall())

    # -- runs -----------------------------------------------------------------------------------

    def _seen(self, values: tuple[object, ...]) -> Run:
        run, _ = run_of(values)
        return as_seen(run, self._leases.get((run.id, MAIN)))

    def counts(self, wanted: CountFilter) -> list[RunCount]:
        """How many runs came to each status."""
        bounds = {
            "span_ms": wanted.span_ms,
            "since_ms": max(wanted.since_ms, wanted.after.at_ms),
            "last_ms": wanted.until_ms - 1,
            **wanted.after._asdict(),
            "apps": msgspec.json.encode(wanted.apps).decode(),
            "functions": msgspec.json.encode(wanted.functions).decode(),
            "limit": wanted.limit,
        }
        return self._all(_COUNTS[wanted.by], bounds, _count_of)

    def durations(self, wanted: EndedFilter) -> list[tuple[DurationPlace, DurationCount]]:
        """How many runs completed and how long they took."""
        return self._all("durations", _bounds(wanted), duration_of)

    def failures(
        self, wanted: EndedFilter, span_ms: int
    ) -> list[tuple[FailurePlace, FailureCount]]:
        """What runs failed with."""
        return self._all("failures", {**_bounds(wanted), "span_ms": span_ms}, failure_of)

    def call_states(self, runs: Sequence[Run]) -> Mapping[str, CallState]:
        """What calls of these runs are told; nothing of those that have ended."""
        return {run.id: self.call_state(run) for run in runs if self._is_going(run.id)}

    def _is_going(self, run_id: str) -> bool:
        """Whether there is such a run and it has not ended. From memory if it was in use lately."""
        entry = self._recent.runs.peek(run_id)
        run = self.run(run_id) if entry is None else entry.run
        return run is not None and not run.ended

    def run(self, run_id: str) -> Run | None:
        """One run. A run whose first call is under way reads as running."""
        found = self._all("run", (run_id,), self._seen)
        return found[0] if found else None

    def runs(self, wanted: RunFilter) -> list[Run]:
        """Runs, in the order of the filter."""
        with self._connection() as connection:
            return list_runs(connection, self._leases, wanted)

    def runs_of_event(self, event_id: str) -> list[Run]:
        """The runs an event started."""
        return self._all("runs_of_event", {"event_id": event_id}, self._seen)

    def due_runs(self, queue: str, before_ms: int, limit: int) -> list[Run]:
        """Runs of which something in this queue was due and nobody has it."""
        leases = self._leases
        # What is leased is due as well, and is passed over.
        wanted = (queue, before_ms, limit + len(leases))
        with self._connection() as connection:
            found = [
                (due_ms, run_id, key)
                for name in ("due_mains_of", "due_items_of")
                for due_ms, run_id, key in connection.execute(SQL[name], wanted)
                if (run_id, key) not in leases
            ]
        ids = dict.fromkeys(run_id for _, run_id, _ in sorted(found))
        runs = (self.run(run_id) for run_id in list(ids)[:limit])
        return [run for run in runs if run is not None]

    def stranded(self, limit: int) -> list[Run]:
        """Runs that have not ended and that nothing could ever move."""
        held = {run_id for run_id, _ in list(self._leases)}
        runs = self._all("stranded", (), self._seen)
        return [run for run in runs if run.id not in held][:limit]

    # -- what hangs on a run --------------------------------------------------------------------

    def steps(self, run_id: str) -> list[Step]:
        """Saved steps, in the order they were saved."""
        return self._all("steps", (run_id,), lambda row: step_of(run_id, row))

    def annotations(self, run_id: str) -> list[Annotation]:
        """What is said of a run, in order."""
        return self._all("annotations", (run_id,), annotation_of)

    def notes(self, run_id: str) -> list[Note]:
        """What the timeline tells besides, in order."""
        return self._all("notes", (run_id,), note_of)

    def retries(self, run_ids: Sequence[str]) -> Mapping[str, int]:
        """How often attempts of each run were tried again."""
        ids = msgspec.json.encode(run_ids).decode()
        with self._connection() as connection:
            return dict(connection.execute(SQL["retries"], (ids,)).fetchall())

    def open_items(self, run_ids: Sequence[str]) -> Mapping[str, list[Item]]:
        """What each of these runs still has to do and nobody is at."""
        ids = msgspec.json.encode(run_ids).decode()
        with self._connection() as connection:
            items = [item_of(row) for row in connection.execute(SQL["items_of_runs"], (ids,))]
            mains = [run_of(row)[1] for row in connection.execute(SQL["runs_of_ids"], (ids,))]
        found: dict[str, list[Item]] = {}
        for item in sorted([*items, *(main for main in mains if main)], key=order_of):
            if (item.run_id, item.key) not in self._leases:
                found.setdefault(item.run_id, []).append(item)
        return found

    def items(self, run_id: str) -> list[Item]:
        """What the run still has to do."""
        with self._connection() as connection:
            found = [item_of(row) for row in connection.execute(SQL["items_of_run"], (run_id,))]
            row = connection.execute(SQL["run"], (run_id,)).fetchone()
        main = None if row is None else run_of(row)[1]
        if main is not None:
            found.append(main)
        return sorted(found, key=order_of)

    def leases(self, run_id: str) -> list[Lease]:
        """Who is at work on the run."""
        held = [lease for lease in list(self._leases.values()) if lease.run_id == run_id]
        return sorted(held, key=lambda lease: lease.key)

    def waits(self, run_id: str) -> list[Wait]:
        """What the run waits for."""
        return sorted(self._all("waits_of_run", (run_id,), wait_of), key=place_of)

    # -- flow control ---------------------------------------------------------------------------

    def dropped(self, event_id: str) -> list[Dropped]:
        """Why an event started no run, function by function."""
        return self._all("dropped", (event_id,), dropped_of)

    def dropped_of(self, function: str, since_ms: int, limit: int) -> list[Dropped]:
        """What started no run of a function since a time, oldest first."""
        return self._all("dropped_of", (function, since_ms, limit), dropped_of)

    def holds(self, function: str = "") -> list[Hold]:
        """Open holds, of one function or of all, the oldest first."""
        return self._all("holds", {"function": function}, hold_of)

    def holds_of_event(self, event_id: str) -> list[Hold]:
        """The open holds an event is in."""
        return self._all("holds_of_event", {"event_id": event_id}, hold_of)

    def held(self, key: str) -> list[Held]:
        """The events in a hold that has several, in the order they came."""
        return self._all("held", (key,), held_of)

    def flow_key(self, key: str) -> FlowKey | None:
        """What is remembered of a key."""
        found = self._all("flow_key", (key,), key_of)
        return found[0] if found else None

    def flow_keys(self, kind: KeyKind) -> list[FlowKey]:
        """What is remembered of all keys of a kind."""
        return self._all("flow_keys", (int(kind),), key_of)

    def slots(self, key: str) -> list[Slot]:
        """The runs with a place under a key, the longest there first."""
        return self._all("slots", (key,), slot_of)

    def lost_slots(self, limit: int) -> list[Slot]:
        """Places under keys of runs that have ended, or that are not there."""
        return self._all("lost_slots", (limit,), slot_of)

    def leases_of_limit(self, name: str) -> list[Lease]:
        """The calls under way that count under a named limit, the longest first."""
        held = [lease for lease in list(self._leases.values()) if counts_under(lease, name)]
        return sorted(held, key=lambda lease: lease.granted_ms)

    def lanes_under(self, name: str) -> list[str]:
        """Lanes with something to do whose calls stand under a named limit."""
        with self._connection() as connection:
            found = {queue for (queue,) in connection.execute(SQL["queues"])}
        return sorted(queue for queue in found if is_lane(queue) and stands_under(queue, name))

    def leases_under(self, key: str) -> list[Lease]:
        """The calls under way that count under a key, the longest first."""
        held = [lease for lease in list(self._leases.values()) if key in lease.keys]
        return sorted(held, key=lambda lease: lease.granted_ms)

    # -- events, apps, functions ----------------------------------------------------------------

    def event(self, event_id: str) -> EventRow | None:
        """One event, by our id."""
        found = self._all("event", (event_id,), event_of)
        return found[0] if found else None

    def event_names(self, event_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of events, by our ids."""
        ids = msgspec.json.encode(event_ids).decode()
        with self._connection() as connection:
            return dict(connection.execute(SQL["event_names"], (ids,)).fetchall())

    def event_bodies(self, event_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Events as they came, by our ids."""
        ids = msgspec.json.encode(event_ids).decode()
        with self._connection() as connection:
            return dict(connection.execute(SQL["event_bodies"], (ids,)).fetchall())

    def events(self, wanted: EventFilter) -> list[EventRow]:
        """Events, newest first."""
        with self._connection() as connection:
            return list_events(connection, wanted)

    def apps(self) -> list[AppRow]:
        """Registered apps."""
        return self._all("apps", (), app_of)

    def functions(self) -> list[FunctionRow]:
        """Registered functions."""
        return self._all("functions", (), function_of)

    def cancellation(self, id_: str) -> Cancellation | None:
        """One cancellation of many runs."""
        found = self._all("cancellation", (id_,), cancellation_of)
        return found[0] if found else None

    def cancellations(self, before: str, limit: int) -> list[Cancellation]:
        """Cancellations of many runs, newest first."""
        return self._all("cancellations", (before or AFTER_ALL.id, limit), cancellation_of)

    def open_cancellations(self) -> list[Cancellation]:
        """Those that are not carried out yet."""
        return self._all("open_cancellations", (), cancellation_of)

    def bulk(self, id_: str) -> Bulk | None:
        """One thing that is done to many runs."""
        found = self._all("bulk", (id_,), bulk_of)
        return found[0] if found else None

    def bulks(self, before: str, limit: int) -> list[Bulk]:
        """What is and was done to many runs, newest first."""
        return self._all("bulks", (before or AFTER_ALL.id, limit), bulk_of)

    def open_bulks(self) -> list[Bulk]:
        """Those that go on."""
        return self._all("open_bulks", (), bulk_of)

    def api_key(self, id_: str) -> ApiKey | None:
        """One key, by its id."""
        found = self._all("api_key", (id_,), api_key_of)
        return found[0] if found else None

    def api_key_of(self, hash_: str) -> ApiKey | None:
        """The key of a hash."""
        found = self._all("api_key_of", (hash_,), api_key_of)
        return found[0] if found else None

    def api_keys(self, before: str, limit: int) -> list[ApiKey]:
        """Keys, newest first."""
        return self._all("api_keys", (before or AFTER_ALL.id, limit), api_key_of)

    def audit(self, before: str, limit: int) -> list[AuditEntry]:
        """What was changed by hand, newest first."""
        return self._all("audit", (before or AFTER_ALL.id, limit), audit_of)

    def gone_functions(self) -> list[FunctionRow]:
        """Functions that were registered once."""
        return self._all("gone_functions", (), function_of)

    def function_versions(self, slug: str) -> list[FunctionVersion]:
        """What a function was registered as, the newest first."""
        return self._all("function_versions", (slug,), version_of)

    def close(self) -> None:
        """Let go of the connections. What is being read on another thread ends first."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


def _count_of(values: tuple[object, ...]) -> RunCount:
    at_ms, app, function, *parts = cast("tuple[int, str, str, int, int, int, int, int]", values)
    return RunCount(CountPlace(at_ms, app, function), *parts)


def _bounds(wanted: EndedFilter) -> dict[str, Value]:
    return {
        "since_ms": wanted.since_ms,
        "last_ms": wanted.until_ms - 1,
        "apps": msgspec.json.encode(wanted.apps).decode(),
        "functions": msgspec.json.encode(wanted.functions).decode(),
    }
