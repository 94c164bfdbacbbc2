"""What a store is, as the ledger sees it. It loads needs, writes changes, and knows no rule.

The ledger drives a store from one place, one batch at a time:

    load(need, view)*   ->   write(changes)   ->   commit()   ->   keep(changes)

`commit` returns only when the rows are as durable as the store promises, and may block; of a store
that no other process uses it is the only verb that may be called from another thread (never at the
same time as another verb). Of a shared store `load`, `write`, `confirm` and `rollback` may be, too;
a batch of its that wrote nothing ends with `confirm`.
`stepwell/testing/contract/store.py` is this port's definition; every store runs it.

What a need means, wherever its own words leave room:

- *due*: items whose time has come, nobody has, and whose queue is in `capacity` with room left;
  the engine's own (queue "") always. Earlier first, then by run id and key. `next_due_ms` is the
  earliest time of anything in those queues that was not given, or at which a lease ends.
- *dedups*: the newest run a function started for a key, however old it is.
- *meetings*: waits for an event of that name whose one equality, if any, holds.
- *keys* bring how many runs have a place under each; *holders*, at least the 1,000 that have it the
  longest, in that order.
- *bulks*: the newest `BULKS_KEPT` are kept, and those that go on.
- *audit*: the newest `AUDIT_MAX` entries are kept.
- *counts* of runs are written with the runs, by minute and by hour: `counting.py`; how long runs
  took and what they failed with: `ended_counts.py`.
- *old*: ended runs by the time of their end; events in the order they were stored, beginning with
  those of the runs just named, none of them in a hold or used by any other run. A store may name
  fewer than there are, and others the next time.

A row that must be new (an event, a run, a step) and is not is a `Conflict`; a shared store may
raise it from `commit`. It raises `Stale` from `load` and `write` where the catalog it gave last is
not the newest any more. Rows of a run hang on it under its id; the engine's own items hang on ids
that name no run.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from stepwell.server.engine.message.need import Need
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
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View


class StoreError(Exception):
    """The store could not do what was asked. The driver's own exception is the cause."""


class Conflict(StoreError):
    """Somebody else changed the same rows; the same batch may be tried again."""


class Stale(Conflict):
    """Apps or functions are others by now: the catalog must be read again before the same batch is
    tried again."""


class Busy(StoreError):
    """Another program holds the database for writing; the same batch may be tried a little later.
    No verb waits for it: the loop would stand still meanwhile."""


class Unavailable(StoreError):
    """The database cannot be reached, is full, or refuses to write."""


class Unstorable(StoreError):
    """A value no row can hold. Whoever sent it may send it again, and it will not fit again."""


class Corrupt(StoreError):
    """What the database holds is not what this version can read."""


class _EveryName:
    """Holds whatever is asked for."""

    def __contains__(self, name: object) -> bool:
        return True


EVERY_NAME: Container[str] = _EveryName()
"""What a store says that cannot know which event names are waited for."""


class CallState(msgspec.Struct, frozen=True):
    """What a call of a run is told: its events, and its steps in the order they were saved. What
    the steps are called is told to code that is not the one they ended in."""

    events: tuple[bytes, ...]
    steps: tuple[tuple[str, bytes], ...]
    names: tuple[tuple[str, str], ...] = ()


class RunTime(StrEnum):
    """A time of a run that a list may be ordered and filtered by. Runs that have not come to it are
    not in such a list."""

    QUEUED = "queuedAt"
    STARTED = "startedAt"
    ENDED = "endedAt"


class Mark(NamedTuple):
    """Where something stands in a list: its time (milliseconds since 1970), then its id."""

    at_ms: int
    id: str


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs to list, in the order of a time of theirs and, within a millisecond, of their ids;
    the latest first, unless `ascending`. `since_ms` and `until_ms` (not included) are about the
    same time. The list begins after `after`, which need not be in it. `deferred` runs are those
    that another run left to be started at its end."""

    statuses: tuple[RunStatus, ...] = ()
    functions: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    time: RunTime = RunTime.QUEUED
    since_ms: int = 0
    until_ms: int | None = None
    ascending: bool = False
    after: Mark | None = None
    deferred: bool | None = None
    limit: int = 40


class EventFilter(msgspec.Struct, frozen=True):
    """Which events to list, the latest received first, and within a millisecond by id; after the
    place `after`. `since_ms` and `until_ms` (not included) are about the time of reception. The
    server's own events (`inngest/…`) are left out unless `internal` is set or `name` is one of
    them."""

    name: str = ""
    internal: bool = False
    since_ms: int = 0
    until_ms: int | None = None
    after: Mark | None = None
    limit: int = 20


class CountBy(StrEnum):
    """What counts of runs are told apart by, besides their time."""

    TIME = "time"
    APP = "app"
    FUNCTION = "function"


class CountPlace(NamedTuple):
    """Where a count stands in a list: when its time begins, of which app and of which function.
    What is counted together has no name."""

    at_ms: int
    app: str = ""
    function: str = ""


class RunCount(msgspec.Struct, frozen=True):
    """How many runs came to each status in the minute, or hour, that begins at a time."""

    place: CountPlace
    queued: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0


class CountFilter(msgspec.Struct, frozen=True):
    """Which counts to list: of times that are `span_ms` long (a minute or an hour) and begin at
    `since_ms` or later and before `until_ms`, in the order of their places, after `after`. Times in
    which nothing happened are left out."""

    span_ms: int
    since_ms: int
    until_ms: int
    by: CountBy = CountBy.TIME
    functions: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    after: CountPlace = CountPlace(-1)
    limit: int = 100


class DurationPlace(NamedTuple):
    """What is counted together: runs of a function that completed in the hour that begins at a
    time and took about as long (`ended_counts.bucket_of`). Where hours are together, it is 0."""

    at_ms: int
    app: str
    function: str
    bucket: int


class DurationCount(NamedTuple):
    """How many runs that are, and which of them took longest."""

    runs: int
    longest_ms: int
    run_id: str


class FailurePlace(NamedTuple):
    """What is counted together: runs of a function that failed alike (`ended_counts.kind_of`) in
    the minute, or hour, that begins at a time."""

    span_ms: int
    at_ms: int
    app: str
    function: str
    kind: int


class FailureCount(NamedTuple):
    """How many runs that are, and the error of the latest, which is `run_id`."""

    name: str
    message: str
    runs: int
    first_ms: int
    last_ms: int
    run_id: str


class EndedFilter(msgspec.Struct, frozen=True):
    """Which counts of ended runs: of minutes or hours that begin at `since_ms` or later and before
    `until_ms`."""

    since_ms: int
    until_ms: int
    functions: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()


class Reader(Protocol):
    """The read side: what was committed, for calls, APIs and pages. Safe from any thread."""

    @property
    def blocks(self) -> bool:
        """Whether reading waits for a network: what is read all the time is read beside the loop
        then, and may fail for a while."""
        ...

    def call_state(self, run: Run) -> CallState:
        """What a call of this run is told."""
        ...

    def call_states(self, runs: Sequence[Run]) -> Mapping[str, CallState]:
        """What calls of these runs are told, by run; nothing of those that have ended. Asked before
        every call: cheap."""
        ...

    def run(self, run_id: str) -> Run | None:
        """One run. A run whose first call is under way reads as running."""
        ...

    def live(self) -> Mapping[tuple[str, RunStatus], int]:
        """How many runs of each function have not begun, and how many go on. Costs nothing; where
        somebody looks at a database from outside, nobody has counted."""
        ...

    def runs(self, wanted: RunFilter) -> list[Run]:
        """Runs, in the order of the filter."""
        ...

    def counts(self, wanted: CountFilter) -> list[RunCount]:
        """How many runs came to each status, in the order of the filter."""
        ...

    def durations(self, wanted: EndedFilter) -> list[tuple[DurationPlace, DurationCount]]:
        """How many runs completed and how long they took, hours together, in no order."""
        ...

    def failures(
        self, wanted: EndedFilter, span_ms: int
    ) -> list[tuple[FailurePlace, FailureCount]]:
        """What runs failed with, of times that are `span_ms` long (a minute or an hour), each for
        itself, in no order."""
        ...

    def runs_of_event(self, event_id: str) -> list[Run]:
        """The runs an event started."""
        ...

    def steps(self, run_id: str) -> list[Step]:
        """Saved steps, in the order they were saved."""
        ...

    def annotations(self, run_id: str) -> list[Annotation]:
        """What is said of a run from outside, in the order of its times."""
        ...

    def notes(self, run_id: str) -> list[Note]:
        """What the timeline tells besides, in order."""
        ...

    def retries(self, run_ids: Sequence[str]) -> Mapping[str, int]:
        """How often attempts of each run were tried again; runs that never were are not told."""
        ...

    def open_items(self, run_ids: Sequence[str]) -> Mapping[str, list[Item]]:
        """What each of these runs still has to do and nobody is at, what is due first first; of
        runs with nothing, nothing."""
        ...

    def items(self, run_id: str) -> list[Item]:
        """What the run still has to do."""
        ...

    def leases(self, run_id: str) -> list[Lease]:
        """Who is at work on the run."""
        ...

    def waits(self, run_id: str) -> list[Wait]:
        """What the run waits for."""
        ...

    def event(self, event_id: str) -> EventRow | None:
        """One event, by our id."""
        ...

    def event_names(self, event_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of events, by our ids; those that are gone are not told."""
        ...

    def event_bodies(self, event_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Events as they came, by our ids; those that are gone are not told."""
        ...

    def events(self, wanted: EventFilter) -> list[EventRow]:
        """Events, newest first."""
        ...

    def dropped(self, event_id: str) -> list[Dropped]:
        """Why an event started no run, function by function."""
        ...

    def dropped_of(self, function: str, since_ms: int, limit: int) -> list[Dropped]:
        """What started no run of a function since a time, oldest first."""
        ...

    def holds(self, function: str = "") -> list[Hold]:
        """Open holds, of one function or of all, the oldest first."""
        ...

    def holds_of_event(self, event_id: str) -> list[Hold]:
        """The open holds an event is in."""
        ...

    def held(self, key: str) -> list[Held]:
        """The events in a hold that has several, in the order they came."""
        ...

    def flow_key(self, key: str) -> FlowKey | None:
        """What is remembered of a key."""
        ...

    def flow_keys(self, kind: KeyKind) -> list[FlowKey]:
        """What is remembered of all keys of a kind."""
        ...

    def slots(self, key: str) -> list[Slot]:
        """The runs with a place under a key, the longest there first."""
        ...

    def lost_slots(self, limit: int) -> list[Slot]:
        """Places under keys of runs that have ended, or that are not there: nobody frees them."""
        ...

    def leases_under(self, key: str) -> list[Lease]:
        """The calls under way that count under a key, the longest first."""
        ...

    def leases_of_limit(self, name: str) -> list[Lease]:
        """The calls under way that count under any key of a named limit, the longest first."""
        ...

    def lanes_under(self, name: str) -> list[str]:
        """The lanes with something to do whose calls stand under a named limit, in order."""
        ...

    def apps(self) -> list[AppRow]:
        """Registered apps."""
        ...

    def functions(self) -> list[FunctionRow]:
        """Registered functions."""
        ...

    def cancellation(self, id_: str) -> Cancellation | None:
        """One cancellation of many runs."""
        ...

    def cancellations(self, before: str, limit: int) -> list[Cancellation]:
        """Cancellations of many runs, the newest (largest id) first, from `before` (an id) on."""
        ...

    def open_cancellations(self) -> list[Cancellation]:
        """Those that are not carried out yet, the oldest first."""
        ...

    def bulk(self, id_: str) -> Bulk | None:
        """One thing that is done to many runs."""
        ...

    def bulks(self, before: str, limit: int) -> list[Bulk]:
        """What is and was done to many runs, the newest (largest id) first, from `before` (an id)
        on."""
        ...

    def open_bulks(self) -> list[Bulk]:
        """Those that go on, the oldest first."""
        ...

    def api_key(self, id_: str) -> ApiKey | None:
        """One key, by its id."""
        ...

    def api_key_of(self, hash_: str) -> ApiKey | None:
        """The key of a hash, be it revoked or not. Asked for every request: cheap."""
        ...

    def api_keys(self, before: str, limit: int) -> list[ApiKey]:
        """Keys, revoked or not, the newest (largest id) first, from `before` (an id) on."""
        ...

    def audit(self, before: str, limit: int) -> list[AuditEntry]:
        """What was changed by hand, the newest (largest id) first, from `before` (an id) on."""
        ...

    def gone_functions(self) -> list[FunctionRow]:
        """Functions that were registered once and are no longer."""
        ...

    def function_versions(self, slug: str) -> list[FunctionVersion]:
        """What a function was registered as, the newest first: its present version, if it has one,
        and those before it, as many as are kept."""
        ...

    def due_runs(self, queue: str, before_ms: int, limit: int) -> list[Run]:
        """Runs of which something in this queue was due before a time and nobody has it, the
        longest due first."""
        ...

    def stranded(self, limit: int) -> list[Run]:
        """Runs that have not ended and have no item, lease or wait that could ever move them.
        The invariant says there are none."""
        ...

    def close(self) -> None:
        """Let go of what the reader holds."""
        ...


class Hint(msgspec.Struct, frozen=True, array_like=True):
    """What one process tells the others after its commits: whether something is due, lanes that
    have something to do and since when, keys that let go of a call or a run, and announcements
    (topic and subject). All of it may be lost; then things are only later."""

    is_due: bool = False
    lanes: tuple[tuple[str, int], ...] = ()
    freed: tuple[str, ...] = ()
    told: tuple[tuple[str, str], ...] = ()


class Cluster(Protocol):
    """What the processes that share a database have in common, and tell each other. Safe from any
    thread."""

    @property
    def secret(self) -> bytes:
        """32 bytes by chance, the same for all of them, now and later."""
        ...

    @property
    def leads(self) -> bool:
        """Whether this process is the one that does what one is enough for."""
        ...

    @property
    def served(self) -> frozenset[str]:
        """The checksums of registrations that workers at the other processes bring, as of a few
        seconds ago."""
        ...

    def serve(self, checksums: frozenset[str]) -> None:
        """Have the others know, within seconds, what workers at this process bring."""
        ...

    def listen(self, hear: Callable[[Hint], None]) -> None:
        """Call `hear`, from a thread of its own, with what other processes tell."""
        ...

    def tell(self, topic: str, subject: str) -> None:
        """Tell the others of something, soon and perhaps."""
        ...

    def heard(self, hint: Hint) -> None:
        """Remember what others told of lanes and keys. Like `Store.keep`: between two batches."""
        ...


@runtime_checkable
class WaitsOnLoop(Protocol):
    """A store that can wait for a network without a thread of its own."""

    def on_loop(self, do: Callable[[], None], done: Callable[[BaseException | None], None]) -> bool:
        """Begin to do something that asks this store, on the running event loop, which goes on
        while it waits; False where it must be done on a thread now. `done` is told once of what
        went wrong, or that nothing did."""
        ...


class Store(Protocol):
    """The write side. One writer; see the module's docstring for the order of the verbs."""

    @property
    def commit_blocks(self) -> bool:
        """Whether `commit` waits for a disk or a network, so that it belongs on another thread."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes may use the same database. Then leases are rows like any other,
        what was loaded stays as it is until the batch is over, and the verbs that ask the database
        for something block."""
        ...

    @property
    def cluster(self) -> Cluster | None:
        """What a shared store has in common with other processes; None where there are none."""
        ...

    @property
    def waited(self) -> Container[str]:
        """Every event name somebody waits for. A store that cannot know says `EVERY_NAME`, and
        answers for the `names` of a need."""
        ...

    def migrate(self) -> None:
        """Bring the database to the schema of this version, or raise `Corrupt` if it is newer."""
        ...

    def catalog(self) -> Catalog:
        """Every registered app and function."""
        ...

    @property
    def ended_in_order(self) -> bool:
        """Whether whoever had the database before closed it; true for a new one. Known after
        `migrate`."""
        ...

    def newest_place(self) -> int:
        """The place of the step that was saved last, 0 if none: a process that begins must not
        give out places again, even if somebody set the clock back."""
        ...

    def load(self, need: Need, view: View) -> None:
        """Fill the view with the rows of the need (`View.see_*`), found or not."""
        ...

    def assume(self, need: Need, view: View) -> bool:
        """Fill the view with what a batch needs and is nearly always so, without a look. Whether it
        could; then nothing waits, and whatever comes next of `load`, `commit` and `confirm` makes
        sure of it, or raises `Conflict`. The same is not assumed again at once."""
        ...

    def write(self, changes: Changes) -> None:
        """Put the rows into the open transaction. Leases may stay out of it."""
        ...

    def commit(self) -> None:
        """Make the written rows durable. Blocks; may run on another thread."""
        ...

    def confirm(self) -> None:
        """Raises `Unavailable` where what was committed before can be found no more. Cheap; for
        answers that say so and need no commit of their own."""
        ...

    def rollback(self) -> None:
        """Forget what was written since the last commit."""
        ...

    def keep(self, changes: Changes) -> None:
        """Remember what the store holds in memory (what is due, leases), after the commit."""
        ...

    def state_of(self, lease_id: str) -> CallState | None:
        """What the call of a lease is told, if the store read that with the commit that granted the
        lease, and until the next one. Whoever is told None asks a reader."""
        ...

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """The clock will go on from another time; `now_ms` is the one before. What is known in
        memory keeps its distance: leases always, and, if the clock goes back, items that are due
        within `due.SHORT_MS` and are no schedules. Nothing of this is written."""
        ...

    def reader(self) -> Reader:
        """A read side of this store."""
        ...

    def tidy(self) -> None:
        """Give a little of the space that removed rows left back to the system. Never blocks."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
