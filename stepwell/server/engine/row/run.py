"""The rows of durable state, as frozen values. The only place that says what a run, an item, a
lease, a wait and a saved step consist of.

A store keeps these rows; the engine reads them through a `View` and changes them only through
records. Times are Unix milliseconds; JSON stays bytes, because the engine never looks inside a
user's payload except through an expression.
"""

from collections.abc import Iterable
from enum import IntEnum
from itertools import repeat

import msgspec

MAIN = ""
"""Key of a run's one discovery item. Every other item is keyed by the step it serves."""


class RunStatus(IntEnum):
    """Where a run stands. The codes are those of the protocol page."""

    SCHEDULED = 100
    RUNNING = 200
    COMPLETED = 300
    FAILED = 400
    CANCELLED = 500

    @property
    def ended(self) -> bool:
        """A run that ended never reopens; a rerun is a new run."""
        return self >= RunStatus.COMPLETED

    @property
    def word(self) -> str:
        """The word REST and lifecycle events use, such as `Completed`."""
        return self.name.capitalize()


class ItemKind(IntEnum):
    """What an item asks for when it falls due."""

    CALL = 1  # call the function: discovery, or one targeted step
    SLEEP = 2  # save the sleep as over, then discover
    TIMEOUT = 3  # a wait gives up
    FANOUT = 4  # an event still has listeners or waits to meet
    CRON = 5  # a schedule fires
    GATEWAY = 6  # the server itself performs an HTTP request for a step
    DEADLINE = 7  # a run exceeded its start or finish time-out
    HOLD = 8  # a debounce or a batch has waited long enough
    PAUSE = 9  # a paused function has rested too long: its runs are cancelled
    REVIEW = 10  # a function has other code: its runs are looked at


class WaitKind(IntEnum):
    """What a wait is waiting for."""

    EVENT = 1
    SIGNAL = 2
    INVOKE = 3
    CANCEL = 4
    DEFER = 5  # not waited for: what the run leaves to be started when it ends


STEP_WAITS = frozenset({WaitKind.EVENT, WaitKind.SIGNAL, WaitKind.INVOKE})
"""The kinds of wait that stand for a step: each ends, at the latest by its time-out."""


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """An accepted event. `id` is ours and unique; `key` is the sender's own id, or empty."""

    id: str
    name: str
    ts: int
    received_ms: int
    body: bytes
    key: str = ""


class Run(msgspec.Struct, frozen=True):
    """One execution of one function.

    `lock` is the key of the singleton it is, or empty; `slots` are the keys under which it needs a
    place from its first call to its end, and `seated` says that it has them; `batch` is the id of
    the batch it began with; `backlog` is the key of the backlog it counts in as long as it is
    `in_backlog`; `lane` is the queue of its calls if they stand under limits; `parent` names the
    steps that invoked it (`run.step`, with commas). `edited` holds, by step, the
    arguments (a JSON array) that a rerun gives it in place of those in the code; `deferred` says
    that another run left it to be started at its end; `code` is the code that it begins with, or
    began, empty where nobody says.
    """

    id: str
    function: str
    app: str
    event_ids: tuple[str, ...]
    queued_ms: int
    status: RunStatus = RunStatus.SCHEDULED
    started_ms: int = 0
    ended_ms: int = 0
    output: bytes | None = None
    version: int = -1
    force_plan: bool = False
    again: bool = False
    pending: tuple[str, ...] = ()
    parts: int = 0
    parent: str = ""
    dedup: str = ""
    cron: str = ""
    original: str = ""
    quiet: bool = False
    edited: tuple[tuple[str, str], ...] = ()
    deferred: bool = False
    lock: str = ""
    slots: tuple[str, ...] = ()
    seated: bool = False
    batch: str = ""
    lane: str = ""
    backlog: str = ""
    in_backlog: bool = False
    code: str = ""

    @property
    def queue(self) -> str:
        """Where its calls wait."""
        return self.lane or self.app

    @property
    def places(self) -> tuple[str, ...]:
        """The keys under which the run has a place, as long as it has not ended."""
        if not (self.lock or self.seated or self.in_backlog):
            return ()
        lock = (self.lock,) if self.lock else ()
        slots = self.slots if self.seated else ()
        return (*lock, *slots, self.backlog) if self.in_backlog else lock + slots

    @property
    def ended(self) -> bool:
        """True once the run has completed, failed or was cancelled."""
        return self.status >= RunStatus.COMPLETED


class Item(msgspec.Struct, frozen=True, gc=False):
    """Something to do at a time. `queue` names the app that must do it; empty means the engine.

    `target` and `detail` are the kind's own. A call's `target` is a step's id, or `step`; its
    `detail` says when the item took its present form (`lease_id.since`). `secret` is never written
    to a disk: like a lease it ends with the process.
    """

    run_id: str
    key: str
    kind: ItemKind
    due_ms: int
    queue: str = ""
    attempt: int = 0
    target: str = "step"
    losses: int = 0
    detail: bytes = b""
    secret: bytes = b""


class Lease(msgspec.Struct, frozen=True, gc=False):
    """Who is doing an item, and until when nobody else may. A row, never a counter.

    `keys` are those of flow control it counts under as long as it stands, `loads` how much under
    each: one, if it does not say.
    """

    id: str
    run_id: str
    key: str
    granted_ms: int
    until_ms: int
    generation: int = 1
    steps: int = 0
    keys: tuple[str, ...] = ()
    loads: tuple[int, ...] = ()

    @property
    def counts(self) -> Iterable[tuple[str, int]]:
        """Its keys, and how much it counts under each."""
        return zip(self.keys, self.loads or repeat(1), strict=False)


class Wait(msgspec.Struct, frozen=True, gc=False):
    """A run waiting for something outside it. One event may end many; each ends once.

    `name` is the event name, the signal, or the invoked function. `path` and `value` are one
    equality every match must satisfy (so that a thousand waits cost one look-up); `condition` is
    the whole expression, already bound to the run's own event.
    """

    run_id: str
    step_id: str
    kind: WaitKind
    name: str
    opened_ms: int
    until_ms: int
    condition: str = ""
    path: str = ""
    value: str = ""
    label: str = ""


def place_of(wait: Wait) -> str:
    """Where a wait stands among the waits an event may end."""
    return f"{wait.run_id}/{wait.step_id}"


class Step(msgspec.Struct, frozen=True, gc=False):
    """A step's saved result: what every later call of the run is told. Saved once.

    `input` holds the arguments its code was handed, a JSON array, for people alone; empty where
    there are none.
    """

    run_id: str
    id: str
    place: int
    op: str
    name: str
    memo: bytes
    began_ms: int
    ended_ms: int
    attempt: int = 0
    input: bytes = b""


class Note(msgspec.Struct, frozen=True, gc=False):
    """Something the timeline should tell that changed no state: an attempt that failed."""

    run_id: str
    place: int
    at_ms: int
    kind: str
    step_id: str
    name: str
    attempt: int
    body: bytes


class FunctionRow(msgspec.Struct, frozen=True):
    """A registered function: its composite id, its app, and its configuration as JSON. `gone_ms`
    says since when it is registered no longer."""

    slug: str
    app: str
    name: str
    config: bytes
    version: int
    created_ms: int
    gone_ms: int = 0


class FunctionVersion(msgspec.Struct, frozen=True):
    """A function as it was registered at a time (`function.created_ms`), and what the app called
    its own version then, empty where it said none."""

    function: FunctionRow
    app_version: str = ""

    @property
    def place(self) -> tuple[str, int, int]:
        """What no two of them share: later ones are greater."""
        return self.function.slug, self.function.created_ms, self.function.version


FUNCTION_VERSIONS_MAX = 20
"""So many of a function are kept, its present one among them."""


class AppRow(msgspec.Struct, frozen=True):
    """A registered app. `method` is `serve`, `connect`, `local`, or `api` (durable
    endpoints); `error` says why it is away;
    `events` holds what it says of its events, a JSON object of schemas by name, or nothing;
    `former`, the checksums it had before, the oldest first (`state/former.py`)."""

    name: str
    url: str
    method: str
    sdk: str
    framework: str
    app_version: str
    checksum: str
    synced_ms: int
    error: str = ""
    events: str = ""
    former: tuple[str, ...] = ()
