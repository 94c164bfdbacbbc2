"""What a page costs does not grow with the table: counted in steps of the database, not in time."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import msgspec
import pytest

from stepwell.server.engine.row.run import EventRow, Run, RunStatus
from stepwell.server.store.port import EventFilter, Mark, RunFilter, RunTime
from stepwell.server.store.row import event_values, run_values
from stepwell.server.store.sqlite import listing
from stepwell.server.store.sqlite.connection import SQL, open_writer
from stepwell.server.store.sqlite.listing import list_events, list_runs
from stepwell.server.store.sqlite.migrating import migrate

NOW = 1_800_000_000_000
FEW, MANY = 1_000, 16_000
LIMIT = 20
STATUSES = {7: RunStatus.FAILED, 11: RunStatus.CANCELLED, 13: RunStatus.RUNNING}


def run_of(number: int, count: int) -> Run:
    """Most runs completed, of one function; of the rest there are as many in each table, and they
    are its oldest."""
    rare = number < FEW // 2
    status = STATUSES.get(number % 17, RunStatus.COMPLETED) if rare else RunStatus.COMPLETED
    function = "rare-f" if rare and number % 3 == 0 else "shop-f"
    begun = NOW + number + 1
    return Run(
        id=f"R{number:025d}",
        function=function,
        app=function.partition("-")[0],
        event_ids=(f"E{number:025d}",),
        queued_ms=NOW + number,
        status=status,
        started_ms=begun,
        ended_ms=begun if status.ended else 0,
        deferred=rare and number % 5 == 0,
    )


def filled(path: Path, count: int) -> sqlite3.Connection:
    db = open_writer(str(path), "relaxed")
    migrate(db, str(path))
    db.execute("BEGIN")
    runs = (run_values(n, run_of(n, count), None) for n in range(1, count))
    db.executemany(SQL["insert_run"], runs)
    names = {0: "rare", 1: "inngest/function.invoked"}
    events = (
        EventRow(f"E{n:025d}", names.get(n % 9 if n < FEW else 5, "paid"), NOW, NOW + n, b"{}")
        for n in range(1, count)
    )
    db.executemany(SQL["insert_event"], (event_values(n, e) for n, e in enumerate(events, 1)))
    db.execute("COMMIT")
    return db


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[sqlite3.Connection, ...]:
    folder = tmp_path_factory.mktemp("listing")
    return tuple(filled(folder / f"{count}.db", count) for count in (FEW, MANY))


class Steps:
    """Steps of the database's machine, in hundreds."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db, self.count = db, 0

    def __enter__(self) -> Self:
        self.db.set_progress_handler(self._step, 100)
        return self

    def _step(self) -> int:
        self.count += 1
        return 0

    def __exit__(self, *_: object) -> None:
        self.db.set_progress_handler(None, 0)


NONE = ("queued", "nobody's", "going, by end")
FILTERS = {
    "all": RunFilter(limit=LIMIT),
    "ascending": RunFilter(ascending=True, limit=LIMIT),
    "in the middle": RunFilter(after=Mark(NOW + 400, "R"), limit=LIMIT),
    "failed": RunFilter(statuses=(RunStatus.FAILED,), limit=LIMIT),
    "running": RunFilter(statuses=(RunStatus.RUNNING,), limit=LIMIT),
    "queued": RunFilter(statuses=(RunStatus.SCHEDULED,), limit=LIMIT),
    "failed or cancelled of one": RunFilter(
        statuses=(RunStatus.FAILED, RunStatus.CANCELLED), functions=("shop-f",), limit=LIMIT
    ),
    "rare function": RunFilter(functions=("rare-f",), limit=LIMIT),
    "rare app": RunFilter(apps=("rare",), limit=LIMIT),
    "nobody's": RunFilter(functions=("none",), limit=LIMIT),
    "long ago": RunFilter(until_ms=NOW + 300, limit=LIMIT),
    "deferred": RunFilter(deferred=True, limit=LIMIT),
    "last ended": RunFilter(time=RunTime.ENDED, limit=LIMIT),
    "first ended": RunFilter(time=RunTime.ENDED, ascending=True, limit=LIMIT),
    "last started": RunFilter(time=RunTime.STARTED, limit=LIMIT),
    "last failed": RunFilter(time=RunTime.ENDED, statuses=(RunStatus.FAILED,), limit=LIMIT),
    "rare, by start": RunFilter(time=RunTime.STARTED, functions=("rare-f",), limit=LIMIT),
    "going, by end": RunFilter(time=RunTime.ENDED, statuses=(RunStatus.RUNNING,), limit=LIMIT),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_of_runs(
    tables: tuple[sqlite3.Connection, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The smaller table has more than that, too.
    monkeypatch.setattr(listing, "NEAR", FEW // 4)
    cost: list[int] = []
    for db in tables:
        with Steps(db) as steps:
            found = list_runs(db, {}, FILTERS[name])
        assert len(found) == (LIMIT if name not in NONE else 0)
        cost.append(steps.count)
    assert cost[1] <= 2 * cost[0] + 5, cost


@pytest.mark.parametrize("name", [name for name, one in FILTERS.items() if one.time != "queuedAt"])
def test_every_way_to_a_page_leads_to_the_same(
    tables: tuple[sqlite3.Connection, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost: list[int] = []
    for db in tables:
        near = list_runs(db, {}, FILTERS[name])
        monkeypatch.setattr(listing, "NEAR", 0)
        sorted_here = list_runs(db, {}, FILTERS[name])
        monkeypatch.setattr(listing, "FEW", 0)
        with Steps(db) as steps:
            sorted_by_the_database = list_runs(db, {}, FILTERS[name])
        cost.append(steps.count)
        monkeypatch.setattr(listing, "SOME", 0)
        looked_for = list_runs(db, {}, FILTERS[name])
        assert near == sorted_here == sorted_by_the_database == looked_for
        monkeypatch.undo()
    if name in ("last failed", "rare, by start", "going, by end"):
        # As many are wanted in either table.
        assert cost[1] <= 2 * cost[0] + 5, cost


EVENTS = {
    "all": EventFilter(limit=LIMIT),
    "named": EventFilter(name="paid", limit=LIMIT),
    "rare": EventFilter(name="rare", limit=LIMIT),
    "internal": EventFilter(internal=True, limit=LIMIT),
    "long ago": EventFilter(until_ms=NOW + 300, limit=LIMIT),
    "in the middle": EventFilter(after=Mark(NOW + 400, "E"), limit=LIMIT),
}


@pytest.mark.parametrize("name", EVENTS)
def test_a_page_of_events(tables: tuple[sqlite3.Connection, ...], name: str) -> None:
    cost: list[int] = []
    for db in tables:
        with Steps(db) as steps:
            assert len(list_events(db, EVENTS[name])) == LIMIT
        cost.append(steps.count)
    assert cost[1] <= 2 * cost[0] + 5, cost


MIXED: dict[str, Callable[[sqlite3.Connection], Sequence[Run | EventRow]]] = {
    "runs": lambda db: list_runs(db, {}, RunFilter(limit=50)),
    "events": lambda db: list_events(db, EventFilter(limit=50)),
}


@pytest.mark.parametrize("name", MIXED)
def test_of_many_streams_each_is_read_as_far_as_the_page_may_need(
    tmp_path: Path, name: str
) -> None:
    """Of forty functions, or names, a page of fifty takes a few rows each, not fifty."""
    db = open_writer(str(tmp_path / "mixed.db"), "relaxed")
    migrate(db, str(tmp_path))
    db.execute("BEGIN")
    for number in range(1, 2_000):
        run = msgspec.structs.replace(run_of(FEW, 0), id=f"R{number:025d}", queued_ms=NOW + number)
        run = msgspec.structs.replace(run, function=f"shop-f{number % 40}")
        db.execute(SQL["insert_run"], run_values(number, run, None))
        event = EventRow(f"E{number:025d}", f"paid{number % 40}", NOW, NOW + number, b"{}")
        db.execute(SQL["insert_event"], event_values(number, event))
    db.execute("COMMIT")
    with Steps(db) as steps:
        found = MIXED[name](db)
    assert [one.id[1:] for one in found] == [f"{n:025d}" for n in range(1_999, 1_949, -1)]
    assert steps.count < 200
    db.close()
