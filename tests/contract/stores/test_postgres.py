"""The PostgreSQL store keeps the contract of stores; and on the newest PostgreSQL the part of it
that is about what is due and about flow control, where its statements are the hardest.

`scripts/test --postgres bundled tests/contract/stores tests/differential` runs all of it there.
"""

from collections.abc import Iterator

import psycopg
import pytest

from stepwell.testing.contract.due_store import DueStoreContract
from stepwell.testing.contract.flow_store import FlowStoreContract
from stepwell.testing.contract.store import StoreContract
from stepwell.testing.contract.store_world import World
from tests.postgres import Opener, Postgres, emptied, migrated

NEWEST = 18


class TestPostgresStore(StoreContract):
    more_than_fits = 3_000

    @pytest.fixture
    def opener(self, engine_database: str, nobody_else: None) -> Opener:
        return Opener(engine_database)


@pytest.fixture(scope="session")
def newest_database(newest_postgres: Postgres) -> str:
    """A database of the newest PostgreSQL, with the engine's tables."""
    return migrated(newest_postgres)


class TestNewestPostgres(DueStoreContract, FlowStoreContract):
    more_than_fits = 3_000

    @pytest.fixture
    def world(self, newest_database: str, nobody_else: None) -> Iterator[World]:
        world = World(Opener(emptied(newest_database)))
        yield world
        world.reader.close()
        world.store.close()

    def test_it_is_the_newest(self, newest_database: str) -> None:
        with psycopg.connect(newest_database) as db:
            assert db.info.server_version // 10_000 >= NEWEST
