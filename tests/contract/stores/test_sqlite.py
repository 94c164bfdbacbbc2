"""The SQLite store keeps the contract of stores: as it is, and with hardly any memory, so that
whatever it does not remember is read again."""

from pathlib import Path

import pytest

from stepwell.server.store.sqlite.connection import Durability
from stepwell.server.store.sqlite.memory import LIMITS, Limits
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.contract.store import StoreContract

FORGETFUL = Limits(items_max=8, items_page=4, runs_bytes_max=2_048, events_bytes_max=512)


class SqliteOpener:
    def __init__(self, path: Path, durability: Durability, limits: Limits) -> None:
        self.path, self.durability, self.limits = path, durability, limits

    def open(self) -> SqliteStore:
        store = SqliteStore(self.path, durability=self.durability, limits=self.limits)
        store.migrate()
        return store


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> SqliteOpener:
        return SqliteOpener(tmp_path / "stepwell.db", "relaxed", LIMITS)


class TestForgetfulSqliteStore(StoreContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> SqliteOpener:
        return SqliteOpener(tmp_path / "stepwell.db", "full", FORGETFUL)
