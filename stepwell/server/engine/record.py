"""The closed set of facts. What a decision makes true is a list of these, all or nothing."""

from typing import TypeAlias

import msgspec

from stepwell.server.engine.row import (
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
    """A function is registered in a new version."""

    function: FunctionRow


class FunctionForgotten(msgspec.Struct, frozen=True, gc=False):
    """A function is no longer registered, since `at_ms`."""

    slug: str
    at_ms: int = 0


class RunForgotten(msgspec.Struct, frozen=True, gc=False):
    """An ended run is older than the retention period: the run, its steps and notes are removed."""

    run_id: str


class EventForgotten(msgspec.Struct, frozen=True, gc=False):
    """An event is older than the retention period and no kept run refers to it."""

    event_id: str


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
    | RunForgotten
    | EventForgotten
)
