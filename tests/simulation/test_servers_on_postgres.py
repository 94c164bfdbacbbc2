"""One of the same worlds on a real PostgreSQL: what the model of it says of several servers holds
there. A server that would wait for another's lock is refused after a moment, since all of them
stand on one loop."""

from collections.abc import Callable, Iterator
from random import Random

import pytest

from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.port import Store
from stepwell.server.store.postgres import session
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.testing.simulation.faults import Fault, Plan
from stepwell.testing.simulation.options import Options
from stepwell.testing.virtual_time import VirtualLoop
from tests.simulation.test_simulation import live_through

ODDS = {
    Fault.CRASH_BEFORE_COMMIT: 0.03,
    Fault.CRASH_AFTER_COMMIT: 0.03,
    Fault.CONFLICT: 0.05,
    Fault.LOST_ACTIONS: 0.05,
    Fault.LATE_REPLY: 0.1,
    Fault.VANISHED_CALL: 0.05,
}


class PostgresGround:
    """Rows in a database of PostgreSQL."""

    is_shared = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._chance = Random(url)
        self.opened: list[PostgresStore] = []

    def begin(self, loop: VirtualLoop, plan: Plan, freed: Callable[[Changes], None]) -> None:
        loop.executor_delay_s = lambda: self._chance.choice((0.0, 0.0005, 0.02))

    def open(self) -> Store:
        store = PostgresStore(self._url)
        self.opened.append(store)
        return store

    def kill(self, store: Store) -> None:
        """The database sees its connection end."""
        assert isinstance(store, PostgresStore)
        store._session.close()

    async def restart(self) -> None:
        """It stays."""


@pytest.fixture
def ground(engine_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresGround]:
    monkeypatch.setitem(session._NEVER_IDLE, "lock_timeout", "10ms")
    ground = PostgresGround(engine_database)
    yield ground
    for store in ground.opened:
        store.close()


def test_a_world_on_postgres(ground: PostgresGround) -> None:
    options = Options(ODDS, events=5, meddling=3, spread_ms=4_000, servers=3, controlled=True)
    told = live_through(5, options, lambda: ground)
    assert sum(told.runs.values()) > 0
