"""What the rows of a simulated world are kept in."""

from collections.abc import Callable
from typing import Protocol

from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.disk import Disk
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import Store
from stepwell.testing.simulation.faults import Plan
from stepwell.testing.virtual_time import VirtualLoop


class Ground(Protocol):
    """What outlives a process: opens a store over the same rows again and again."""

    is_shared: bool
    """Whether several processes may have it at once."""

    def begin(self, loop: VirtualLoop, plan: Plan, freed: Callable[[Changes], None]) -> None:
        """A world begins: `plan` says what goes wrong, `freed` is told of leases that end without a
        commit."""
        ...

    def open(self) -> Store:
        """A fresh process's store."""
        ...

    def kill(self, store: Store) -> None:
        """The process that had it is gone."""
        ...

    async def restart(self) -> None:
        """What the rows are kept in stops, and is there again after a while."""
        ...


class MemoryGround:
    """Rows in memory."""

    is_shared = False

    def __init__(self) -> None:
        self.disk = Disk()

    def begin(self, loop: VirtualLoop, plan: Plan, freed: Callable[[Changes], None]) -> None:
        """Nothing more can go wrong."""

    def open(self) -> Store:
        """A fresh process's store."""
        return MemoryStore(self.disk)

    def kill(self, store: Store) -> None:
        """Memory does not notice."""

    async def restart(self) -> None:
        """It is there with its process, or not at all."""
