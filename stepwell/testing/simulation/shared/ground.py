"""A database in memory that the servers of a simulated world share, and what befalls it."""

import asyncio
from collections.abc import Callable
from random import Random

import msgspec

from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.port import Store
from stepwell.server.store.postgres.presence import RENEW_S
from stepwell.testing.simulation.faults import SHARED, Fault, Plan
from stepwell.testing.simulation.options import Options, options_of
from stepwell.testing.simulation.shared.database import Database
from stepwell.testing.simulation.shared.store import SharedStore
from stepwell.testing.virtual_time import VirtualLoop

DELAYS_S = (0.0, 0.0, 0.0005, 0.002, 0.02, 0.4)
"""How long what is asked of a database is on its way."""
AWAY_S = (0.2, 4.0, 30.0)


class SharedGround:
    """Opens stores on one database, and lets each say that it lives."""

    is_shared = True

    def __init__(self, seed: int) -> None:
        self._chance = Random(f"{seed}/database")
        self._database: Database | None = None
        self._alive: set[asyncio.Task[None]] = set()
        self._opened = 0

    @property
    def database(self) -> Database:
        """What is shared."""
        assert self._database is not None
        return self._database

    def begin(self, loop: VirtualLoop, plan: Plan, freed: Callable[[Changes], None]) -> None:
        """A world begins."""
        self._database = Database(plan, freed, loop.time)
        loop.executor_delay_s = lambda: self._chance.choice(DELAYS_S)

    def open(self) -> Store:
        """A fresh process's store."""
        self._opened += 1
        store = SharedStore(self.database, f"node{self._opened}", self._chance)
        living = asyncio.get_running_loop().create_task(self._live(store))
        self._alive.add(living)
        living.add_done_callback(self._alive.discard)
        return store

    async def _live(self, store: SharedStore) -> None:
        while not store.is_over:
            store.say_alive()
            await asyncio.sleep(RENEW_S)

    def kill(self, store: Store) -> None:
        """The process that had it is gone."""
        assert isinstance(store, SharedStore)
        store.die()

    async def restart(self) -> None:
        """The database stops, and is there again after a while."""
        if not self.database.is_down:
            self.database.stop()
            await asyncio.sleep(self._chance.choice(AWAY_S))
            self.database.is_down = False


def servers_of(seed: int) -> Options:
    """A world of several servers for a seed."""
    draw = Random(f"{seed}/servers")
    alone = options_of(seed)
    odds = {fault: chance for fault, chance in alone.odds.items() if chance < 1}
    for fault in sorted(SHARED):
        chance = Random(f"{seed}/{fault.value}")
        if chance.random() < 0.4:
            odds[fault] = chance.choice((0.005, 0.02, 0.1))
    odds.pop(Fault.CLOCK_SET, None)
    return msgspec.structs.replace(
        alone,
        odds=odds,
        servers=draw.randint(1, 5),
        skew_ms=draw.choice((0, 300, 4_000, 30_000)),
        # Longer than a server stands still: an event is known again as long as it is kept.
        retention_ms=draw.choice((0, 0, 0, 900_000)),
        restarts=draw.choice((0, 0, 1, 3)),
        controlled=draw.random() < 0.6,
    )
