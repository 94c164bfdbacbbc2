"""A disk that is full: every request is told, the log once."""

import asyncio
import logging

import pytest

from stepwell.server.engine.message.input import Accepted, EventsReceived
from stepwell.server.engine.rules import DEFAULT
from stepwell.server.engine.state.changes import Changes
from stepwell.server.ledger import Ledger
from stepwell.server.repeated import TELL_EVERY_S, Repeated
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import Unavailable
from tests.bench import NOW_MS, Bench, function


class _Clock:
    def now_ms(self) -> int:
        return NOW_MS


class Full(MemoryStore):
    full = False

    def write(self, changes: Changes) -> None:
        if self.full:
            raise Unavailable("no space is left for a.db")
        super().write(changes)


async def test_the_log_hears_of_a_full_disk_once(caplog: pytest.LogCaptureFixture) -> None:
    store = Full()
    bench = Bench(store=store)
    bench.register(function(event="go"))
    ledger = Ledger(store, _Clock(), DEFAULT, lambda actions: None)
    store.full = True
    with caplog.at_level(logging.INFO, "stepwell.ledger"):
        given = [EventsReceived((bench.event("go"),)) for _ in range(50)]
        told = await asyncio.gather(*map(ledger.submit, given), return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in told)
        assert [record.message for record in caplog.records] == [
            "EventsReceived was refused: no space is left for a.db"
        ]
        store.full = False
        assert isinstance(await ledger.submit(given[0]), Accepted)
        assert caplog.records[-1].message == "over, after 49 more: no space is left for a.db"
    await ledger.close()


def test_what_lasts_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    repeated = Repeated(logging.getLogger("stepwell.test"), lambda: now)
    for _ in range(5):
        repeated.tell(logging.ERROR, "disk", "no space")
        repeated.tell(logging.ERROR, "net", "no network")
        now += TELL_EVERY_S / 4
    assert [record.message for record in caplog.records] == [
        "no space",
        "no network",
        "no space (and 4 more like it)",
        "no network (and 4 more like it)",
    ]
