"""What a driver is: the way to reach a function. Bytes and sockets, no rule."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from stepwell.server.engine.message.input import Done, Job, Outcome
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.wire.operation import Operation

Save: TypeAlias = Callable[[tuple[Operation, ...]], Awaitable[Done]]
"""Reports steps a running call finished; resolves after their commit."""


class Settled(msgspec.Struct, frozen=True):
    """The outcome reached the ledger another way already; there is nothing to report."""


class Lost(msgspec.Struct, frozen=True):
    """Whoever was to make the call is gone: the item is free again. `begun` says whether the
    function may have run, `elsewhere` that its app is not where this driver calls any more."""

    begun: bool = True
    elsewhere: bool = False


class LaneSeen(NamedTuple):
    """How a queue stands: how many calls are under way, how many may be, and since when it cannot
    be reached (milliseconds since 1970; 0 if it can)."""

    busy: int
    limit: int
    closed_ms: int


class Driver(Protocol):
    """Calls functions of one kind of app."""

    async def call(
        self, job: Job, state: CallState, listing: Listing, save: Save
    ) -> Outcome | Settled | Lost:
        """Call the function once and say what it answered.

        Never raises for what the app or the way to it does: that is an outcome (`Broke`).
        Cancelling the task abandons the call.
        """
        ...


@runtime_checkable
class LetsFinish(Protocol):
    """A driver of code that must not be cut off because its run was cancelled."""

    def lets_finish(self, lease_id: str) -> bool:
        """Whether a call under way goes on to its end, which nobody reads. Without such a method a
        call is abandoned."""
        ...
