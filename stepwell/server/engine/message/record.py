"""The closed set of facts. What a decision makes true is a list of these, all or nothing."""

from typing import TypeAlias

import msgspec

from stepwell.server.engine.row.annotation import Annotation
from stepwell.server.engine.row.bulk import Bulk, BulkMove
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold, Slot
from stepwell.server.engine.row.key import ApiKey, AuditEntry
from stepwell.server.engine.row.run import (
    AppRow,
    EventRow,
    FunctionRow,
    Item,
    Lease,
    Note,
    Run,
    Step,
    Wait,
)


class EventStored(msgspec.Struct, frozen=True, gc=False):
    """An event was accepted."""

    event: EventRow


class RunStarted(msgspec.Struct, frozen=True, gc=False):
    """A run exists, and its first item with it."""

    run: Run
    item: Item


class RunChanged(msgspec.Struct, frozen=True, gc=False):
    """A run that goes on has new bookkeeping: pending steps, protocol version, first call."""

    run: Run


class RunFinished(msgspec.Struct, frozen=True, gc=False):
    """A run ended; its items, leases and waits are gone with it."""

    run: Run


class StepSaved(msgspec.Struct, frozen=True, gc=False):
    """A step's result is kept for good."""

    step: Step


class WaitOpened(msgspec.Struct, frozen=True, gc=False):
    """A run waits for something."""

    wait: Wait


class WaitClosed(msgspec.Struct, frozen=True, gc=False):
    """A wait is over."""

    wait: Wait


class ItemAdded(msgspec.Struct, frozen=True, gc=False):
    """Something is to be done."""

    item: Item


class ItemMoved(msgspec.Struct, frozen=True, gc=False):
    """An item is free again, at another time or as another attempt; its lease is over."""

    item: Item


class ItemLeased(msgspec.Struct, frozen=True, gc=False):
    """Somebody has an item until the lease runs out. Also says when a lease is extended."""

    lease: Lease


class ItemDone(msgspec.Struct, frozen=True, gc=False):
    """An item needs nothing any more; its lease is over."""

    run_id: str
    key: str


class Noted(msgspec.Struct, frozen=True, gc=False):
    """Something for the timeline."""

    note: Note


class AppStored(msgspec.Struct, frozen=True, gc=False):
    """An app is known, in this shape."""

    app: AppRow


class AppForgotten(msgspec.Struct, frozen=True, gc=False):
    """An app is gone, and its functions with it."""

    name: str


class FunctionVersioned(msgspec.Struct, frozen=True, gc=False):
    """A function is registered in a new version; `app_version` is what its app calls its own."""

    function: FunctionRow
    app_version: str = ""


class FunctionForgotten(msgspec.Struct, frozen=True, gc=False):
    """A function is no longer registered, since `at_ms`."""

    slug: str
    at_ms: int = 0


class CancellationStored(msgspec.Struct, frozen=True, gc=False):
    """Many runs are to end."""

    cancellation: Cancellation


class CancellationDone(msgspec.Struct, frozen=True, gc=False):
    """They were told, by `at_ms`."""

    id: str
    at_ms: int


class CancellationForgotten(msgspec.Struct, frozen=True, gc=False):
    """A cancellation is known no longer."""

    id: str


class BulkStored(msgspec.Struct, frozen=True, gc=False):
    """Something is to be done to many runs."""

    bulk: Bulk


class BulkAdvanced(msgspec.Struct, frozen=True, gc=False):
    """It was done to some of them."""

    id: str
    moved: BulkMove


class BulkOver(msgspec.Struct, frozen=True, gc=False):
    """It goes on no longer, since `at_ms`."""

    id: str
    at_ms: int
    stopped: bool


class KeyStored(msgspec.Struct, frozen=True, gc=False):
    """There is a key."""

    key: ApiKey


class KeyEnded(msgspec.Struct, frozen=True, gc=False):
    """A key opens nothing, since `at_ms`."""

    id: str
    at_ms: int


class ChangeWritten(msgspec.Struct, frozen=True, gc=False):
    """Somebody had something changed."""

    entry: AuditEntry


class ChangeMarked(msgspec.Struct, frozen=True, gc=False):
    """What an entry tells of was refused."""

    id: str
    status: int


class AnnotationPut(msgspec.Struct, frozen=True, gc=False):
    """Something is said of a run, or said anew."""

    annotation: Annotation


class FlowKeyPut(msgspec.Struct, frozen=True, gc=False):
    """Something is remembered of a key."""

    key: FlowKey


class FlowKeyForgotten(msgspec.Struct, frozen=True, gc=False):
    """Nothing is to be remembered of a key."""

    id: str


class SlotTaken(msgspec.Struct, frozen=True, gc=False):
    """A run has a place under a key, until it ends."""

    slot: Slot


class SlotLeft(msgspec.Struct, frozen=True, gc=False):
    """A run has a place under a key no more, before it ends."""

    key: str
    run_id: str


class HoldPut(msgspec.Struct, frozen=True, gc=False):
    """A start is put off, or put off once more."""

    hold: Hold


class EventHeld(msgspec.Struct, frozen=True, gc=False):
    """One more event is in a hold."""

    held: Held


class HoldClosed(msgspec.Struct, frozen=True, gc=False):
    """A hold is over, and its events are in it no more."""

    key: str


class EventDropped(msgspec.Struct, frozen=True, gc=False):
    """An event started no run of a function, for a reason."""

    dropped: Dropped


class DropForgotten(msgspec.Struct, frozen=True, gc=False):
    """What was said of an event and a function that it did not start holds no more."""

    event_id: str
    function: str


class LaneServed(msgspec.Struct, frozen=True, gc=False):
    """A lane had its turn. `credit` is what is left of it; with `again`, the turn goes on."""

    queue: str
    credit: float
    again: bool = False


class LaneRested(msgspec.Struct, frozen=True, gc=False):
    """A lane rests behind a key, until the key lets go of something, or until a time.

    With `again` it is the first to be roused, because its turn is not over; else whoever has waited
    longest, which `since` tells of a lane that had waited before (`LaneSeen`). `bound` is the
    limit it met there, if others may rest behind the same key under another one.
    """

    queue: str
    key: str
    at_ms: int
    until_ms: int = 0
    credit: float = 0.0
    again: bool = False
    since: int = 0
    bound: int = 0


class LanesRoused(msgspec.Struct, frozen=True, gc=False):
    """So many lanes that rest behind a key are to be looked at, of each bound or of one."""

    key: str
    count: int
    bound: int | None = None


class RunForgotten(msgspec.Struct, frozen=True, gc=False):
    """An ended run is older than the retention period: the run, its steps and notes are removed."""

    run_id: str


class EventForgotten(msgspec.Struct, frozen=True, gc=False):
    """An event is older than the retention period and no kept run refers to it."""

    event_id: str


class GoneForgotten(msgspec.Struct, frozen=True, gc=False):
    """A function was removed longer ago than the retention period, and no kept run is one of it: it
    and what it once was are removed."""

    slug: str


Record: TypeAlias = (
    EventStored
    | RunStarted
    | RunChanged
    | RunFinished
    | StepSaved
    | WaitOpened
    | WaitClosed
    | ItemAdded
    | ItemMoved
    | ItemLeased
    | ItemDone
    | Noted
    | AppStored
    | AppForgotten
    | FunctionVersioned
    | FunctionForgotten
    | CancellationStored
    | CancellationDone
    | CancellationForgotten
    | BulkStored
    | BulkAdvanced
    | BulkOver
    | KeyStored
    | KeyEnded
    | ChangeWritten
    | ChangeMarked
    | AnnotationPut
    | FlowKeyPut
    | FlowKeyForgotten
    | SlotTaken
    | SlotLeft
    | HoldPut
    | EventHeld
    | HoldClosed
    | EventDropped
    | DropForgotten
    | LaneServed
    | LaneRested
    | LanesRoused
    | RunForgotten
    | EventForgotten
    | GoneForgotten
)
