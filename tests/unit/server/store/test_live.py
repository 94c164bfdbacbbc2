"""Runs are counted as they change: as many as there are, whatever happened, and after a restart."""

from collections import Counter
from pathlib import Path

import pytest

from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.input import Work
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.engine.rules import DEFAULT
from stepwell.server.ledger import Ledger
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import Reader, RunFilter, Store
from stepwell.server.store.sqlite.store import SqliteStore
from tests.bench import (
    APP,
    NOW_MS,
    SEED,
    Bench,
    app_row,
    broke,
    function,
    planned,
    progressed,
    returned,
)

SCHEDULED, RUNNING = RunStatus.SCHEDULED, RunStatus.RUNNING


class _Clock:
    def now_ms(self) -> int:
        return NOW_MS


def there(reader: Reader) -> dict[tuple[str, RunStatus], int]:
    """The same, counted one by one."""
    runs = reader.runs(RunFilter(limit=1_000))
    return dict(Counter((run.function, run.status) for run in runs if not run.ended))


def made(kind: str, path: Path) -> Store:
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(path, durability="relaxed")
    store.migrate()
    return store


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_the_counts_are_those_of_the_rows(kind: str, tmp_path: Path) -> None:
    store = made(kind, tmp_path / "a.db")
    ledger = Ledger(store, _Clock(), DEFAULT, lambda actions: None)
    functions = (function("a", event="go"), function("b", event="go", retries=0))
    await ledger.submit(given_.AppRegistered(app_row(), functions))
    bench = Bench()
    for _ in range(5):
        await ledger.submit(given_.EventsReceived((bench.event("go"),)))
    reader = store.reader()
    assert reader.live() == {("shop-a", SCHEDULED): 5, ("shop-b", SCHEDULED): 5}
    outcomes = [
        *(returned(1), broke(), progressed(planned("x"), planned("y"))),
        *(returned(2), broke(no_retry=True), progressed(planned("z"))),
    ]
    for outcome in outcomes:
        work = await ledger.submit(given_.WorkAsked(SEED, ((APP, 2),), 2, 60_000))
        assert isinstance(work, Work)
        for job in work.jobs:
            lease = job.lease
            reply = given_.ReplyReceived(lease.id, lease.run_id, lease.key, outcome)
            await ledger.submit(reply)
        assert reader.live() == there(reader)
    assert ("shop-a", RUNNING) in reader.live() or ("shop-b", RUNNING) in reader.live()
    await ledger.close()
    reader.close()
    store.close()
    if kind == "sqlite":
        again = made(kind, tmp_path / "a.db")
        reader = again.reader()
        assert reader.live() == there(reader)
        assert sum(reader.live().values()) > 0
        reader.close()
        again.close()
