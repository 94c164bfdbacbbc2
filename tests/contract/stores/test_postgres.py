"""The PostgreSQL store keeps the contract of stores."""

import pytest

from stepwell.server.store.postgres.store import PostgresStore
from stepwell.testing.contract.store import StoreContract


class PostgresOpener:
    def __init__(self, url: str) -> None:
        self.url = url

    def open(self) -> PostgresStore:
        store = PostgresStore(self.url)
        store.migrate()
        return store


class TestPostgresStore(StoreContract):
    more_than_fits = 3_000

    @pytest.fixture
    def opener(self, engine_database: str, nobody_else: None) -> PostgresOpener:
        return PostgresOpener(engine_database)
