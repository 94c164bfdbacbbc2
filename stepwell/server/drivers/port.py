"""What a driver is: the way to reach a function. Bytes and sockets, no rule."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from stepwell.server.engine.catalog import Listing
from stepwell.server.engine.input import Done, Job, Outcome
from stepwell.server.store.port import CallState
from stepwell.wire.operation import Operation

Save: TypeAlias = Callable[[tuple[Operation, ...]], Awaitable[Done]]
"""Reports steps a running call finished; resolves after their commit."""


class Driver(Protocol):
    """Calls functions of one kind of app."""

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """Call the function once and say what it answered.

        Never raises for what the app or the way to it does: that is an outcome (`Broke`).
        Cancelling the task abandons the call.
        """
        ...
