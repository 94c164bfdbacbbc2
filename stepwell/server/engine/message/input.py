"""The closed set of inputs, and the answers they get. Past participles: each says what happened.

Everything that changes durable state is one of these, handed to the ledger. Fresh randomness and
fresh ids enter here, inside an input, and nowhere later.
"""

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

from stepwell.server.engine.row.annotation import AnnotationUpdate
from stepwell.server.engine.row.bulk import Bulk, BulkMove
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import DropReason
from stepwell.server.engine.row.key import ApiKey, AuditEntry
from stepwell.server.engine.row.run import AppRow, EventRow, FunctionRow, Item, Lease, Run, Step
from stepwell.wire.failure import Failure
from stepwell.wire.log import LogLine
from stepwell.wire.operation import Operation


class EventsReceived(msgspec.Struct, frozen=True):
    """Events were sent. `fresh` says their ids were drawn for them, so none can be known yet."""

    events: tuple[EventRow, ...]
    fresh: bool = True


class InvokeAsked(msgspec.Struct, frozen=True):
    """Somebody outside any run invoked a function by its id."""

    event: EventRow
    function: str


class EndpointCalled(msgspec.Struct, frozen=True):
    """A durable endpoint answers a request by itself: the run it made up, and the event that tells
    the request. It has `lease_ms` until its next report."""

    run_id: str
    function: str
    event: EventRow
    lease_ms: int


class WorkAsked(msgspec.Struct, frozen=True):
    """A pump asks for due work.

    `capacity` lists the queues it can reach and how many items of each it can take; `seed` makes
    the ids of the leases it is given. `suspect_before_ms` is when its process began, if the one
    before it did not end in order: what is older may be what ended it. With `made_only` it is given
    what the inputs before it in the same batch made due, and nothing is looked for.
    """

    seed: str
    capacity: tuple[tuple[str, int], ...]
    limit: int
    lease_ms: int
    suspect_before_ms: int = 0
    made_only: bool = False


class Returned(msgspec.Struct, frozen=True):
    """The function returned. `output` is JSON."""

    output: bytes
    version: int = 2


class Progressed(msgspec.Struct, frozen=True):
    """The function reported steps."""

    operations: tuple[Operation, ...]
    version: int = 2
    delay_ms: int | None = None
    no_retry: bool = False


class Broke(msgspec.Struct, frozen=True):
    """The function, or the way to it, failed. `output` is the error as the SDK sent it, JSON;
    `reason` is what the server itself saw, such as `invalid status code: 500`; `logs` what the
    function wrote before it failed."""

    failure: Failure
    output: bytes
    delay_ms: int | None = None
    no_retry: bool = False
    reason: str = ""
    logs: tuple[LogLine, ...] = ()


Outcome: TypeAlias = Returned | Progressed | Broke


class ReplyReceived(msgspec.Struct, frozen=True):
    """A call was answered, by whoever held this lease."""

    lease_id: str
    run_id: str
    key: str
    outcome: Outcome


class StepsCheckpointed(msgspec.Struct, frozen=True):
    """A function that goes on running reports steps it finished."""

    lease_id: str
    run_id: str
    key: str
    operations: tuple[Operation, ...]
    generation: int = 0


class LeaseExtended(msgspec.Struct, frozen=True):
    """The holder of a lease is still at work."""

    lease_id: str
    run_id: str
    key: str
    lease_ms: int


class LeaseLost(msgspec.Struct, frozen=True):
    """The holder of a lease is gone, or gave the work back without having begun it."""

    lease_id: str
    run_id: str
    key: str
    begun: bool = True


class SignalSent(msgspec.Struct, frozen=True):
    """A signal was sent to whoever waits for its name. `data` is JSON."""

    name: str
    data: bytes


class CancelAsked(msgspec.Struct, frozen=True):
    """Somebody wants a run to stop; with a `condition`, only if its first event satisfies it."""

    run_id: str
    condition: str = ""


class CancellationAsked(msgspec.Struct, frozen=True):
    """Somebody wants many runs to stop."""

    cancellation: Cancellation


class CancellationEnded(msgspec.Struct, frozen=True):
    """Every run of a cancellation was told to stop."""

    id: str


class CancellationDropped(msgspec.Struct, frozen=True):
    """A cancellation is to be forgotten."""

    id: str


class RerunAsked(msgspec.Struct, frozen=True):
    """Somebody wants a run again, as a new run with the same events.

    `steps` are those of the old run that it need not do again; `edited` holds new arguments, a
    JSON array, for a step that it does.
    """

    run_id: str
    steps: tuple[Step, ...] = ()
    edited: tuple[tuple[str, str], ...] = ()


class RunResumed(msgspec.Struct, frozen=True):
    """Somebody wants a run that began under other code to go on under that of today."""

    run_id: str


class LeftUnserved(msgspec.Struct, frozen=True):
    """A run has waited as long as it may for an app that serves its function."""

    run_id: str
    waited_ms: int


class AppRegistered(msgspec.Struct, frozen=True):
    """An app said which functions it has. Functions it no longer names are forgotten.

    Where there are very many they come in parts (`intake.registered`): a part forgets only what it
    names as `gone`. With `keeps_order` nothing changes if the app had this registration before and
    has another one now; the answer says so (`FENCED`).
    """

    app: AppRow
    functions: tuple[FunctionRow, ...]
    is_part: bool = False
    gone: tuple[str, ...] = ()
    keeps_order: bool = False


class AppFailed(msgspec.Struct, frozen=True):
    """An app could not be reached or synced; `error` empty means it is back."""

    name: str
    url: str
    error: str


class AppRemoved(msgspec.Struct, frozen=True):
    """An app is to be forgotten, by its URL or name."""

    url_or_name: str


class FunctionPaused(msgspec.Struct, frozen=True):
    """Somebody wants a function to rest: its events start no runs. `running` says what becomes of
    its runs: `freeze` keeps them for a week, `cancel` ends them. Of two words about one function
    the later by `at_ms` counts, whichever comes first; 0 is now."""

    function: str
    running: Literal["freeze", "cancel"] = "freeze"
    at_ms: int = 0


class FunctionResumed(msgspec.Struct, frozen=True):
    """Somebody wants a paused function to go on."""

    function: str
    at_ms: int = 0


class ReplayAsked(msgspec.Struct, frozen=True):
    """Somebody wants the events that a function skipped in a time, for one of these reasons, to
    start their runs after all; at most `limit` of them. `until_ms` 0 is now."""

    function: str
    since_ms: int
    until_ms: int
    reasons: tuple[DropReason, ...]
    limit: int


class BulkAsked(msgspec.Struct, frozen=True):
    """Somebody wants something done to many runs."""

    bulk: Bulk


class BulkMoved(msgspec.Struct, frozen=True):
    """It is the turn of these runs. `moved` says how far the bulk had come, and to which place it
    comes with them."""

    id: str
    action: Literal["cancel", "rerun"]
    run_ids: tuple[str, ...]
    moved: BulkMove


class BulkReplayed(msgspec.Struct, frozen=True):
    """It is the turn of some more events that were skipped; `moved` says how far it had come."""

    id: str
    asked: ReplayAsked
    moved: BulkMove


class BulkEnded(msgspec.Struct, frozen=True):
    """It was done to all of them, or was stopped."""

    id: str
    stopped: bool = False


class KeyCreated(msgspec.Struct, frozen=True):
    """Somebody made a key."""

    key: ApiKey


class KeyRevoked(msgspec.Struct, frozen=True):
    """A key is to open nothing any more."""

    id: str


class ChangeAsked(msgspec.Struct, frozen=True):
    """Somebody is about to have something changed."""

    entry: AuditEntry


class ChangeRefused(msgspec.Struct, frozen=True):
    """What was asked for by that entry was refused with this status."""

    id: str
    status: int


class LimitSet(msgspec.Struct, frozen=True):
    """An operator says what a named limit is from now on: so much at once, or `rate` per
    `period_ms`. Nothing of both is no limit."""

    name: str
    concurrency: int = 0
    rate: int = 0
    period_ms: int = 0


class LimitDropped(msgspec.Struct, frozen=True):
    """What an operator said of a named limit is to be forgotten."""

    name: str


class PruneAsked(msgspec.Struct, frozen=True):
    """The janitor asks to remove what ended before a time, at most `limit` of each."""

    before_ms: int
    limit: int


class RunAnnotated(msgspec.Struct, frozen=True):
    """Something is said of a run from outside: metadata, scores, spans of user code. All of it is
    kept, or none."""

    run_id: str
    updates: tuple[AnnotationUpdate, ...]


class LinesWritten(msgspec.Struct, frozen=True):
    """Lines that a run's function wrote come by themselves, after what they came with."""

    run_id: str
    lines: tuple[LogLine, ...]


Input: TypeAlias = (
    EventsReceived
    | InvokeAsked
    | EndpointCalled
    | WorkAsked
    | ReplyReceived
    | StepsCheckpointed
    | LeaseExtended
    | LeaseLost
    | SignalSent
    | CancelAsked
    | CancellationAsked
    | CancellationEnded
    | CancellationDropped
    | RerunAsked
    | LeftUnserved
    | RunResumed
    | AppRegistered
    | AppFailed
    | AppRemoved
    | FunctionPaused
    | FunctionResumed
    | ReplayAsked
    | BulkAsked
    | BulkMoved
    | BulkReplayed
    | BulkEnded
    | KeyCreated
    | KeyRevoked
    | ChangeAsked
    | ChangeRefused
    | RunAnnotated
    | LinesWritten
    | LimitSet
    | LimitDropped
    | PruneAsked
)


class Verdict(StrEnum):
    """What became of an input that can come too late."""

    APPLIED = "applied"
    ALREADY = "already"
    FENCED = "fenced"
    GONE = "gone"
    REFUSED = "refused"


class Done(msgspec.Struct, frozen=True, gc=False):
    """The answer to most inputs: what became of it, the id it concerns, and why if refused."""

    verdict: Verdict
    subject: str = ""
    reason: str = ""


class Accepted(msgspec.Struct, frozen=True):
    """The answer to received events: their ids, in order."""

    ids: tuple[str, ...]


class Job(msgspec.Struct, frozen=True, gc=False):
    """One leased item, ready to be done. `run` is absent for the engine's own work; `defers` are
    what the run has deferred, each with whether it can still be taken back."""

    lease: Lease
    item: Item
    run: Run
    defers: tuple[tuple[str, bool], ...] = ()


class Work(msgspec.Struct, frozen=True):
    """The answer to a pump: its jobs, and when it should ask again (`None`: when woken).

    `faults` tell of items that could not be decided and were put off: faults of ours.
    """

    jobs: tuple[Job, ...]
    next_due_ms: int | None = None
    faults: tuple[str, ...] = ()


class Replayed(msgspec.Struct, frozen=True):
    """The answer to a replay: how many events started a run or are held for one, how many did not,
    and whether there may be more."""

    started: int
    skipped: int
    more: bool = False


class Pruned(msgspec.Struct, frozen=True):
    """The answer to the janitor: how much went."""

    runs: int
    events: int


Answer: TypeAlias = Done | Accepted | Work | Replayed | Pruned
