"""The memory store keeps the contract of stores."""

import pytest

from stepwell.server.store.disk import Disk
from stepwell.server.store.memory import MemoryStore
from stepwell.testing.contract.store import StoreContract


class MemoryOpener:
    def __init__(self) -> None:
        self.disk = Disk()

    def open(self) -> MemoryStore:
        store = MemoryStore(self.disk)
        store.migrate()
        return store


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def opener(self) -> MemoryOpener:
        return MemoryOpener()
