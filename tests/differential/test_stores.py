"""The same seed, two stores, equal views and readers, until every kind of record was written.

The SQLite store is given hardly any memory, so that it pages, forgets and reads again all the time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import psycopg
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Need, Old
from stepwell.server.engine.row.flow import (
    KeyKind,
)
from stepwell.server.engine.row.run import (
    MAIN,
    RunStatus,
)
from stepwell.server.engine.state.view import View
from stepwell.server.store.counting import KEPT_MS
from stepwell.server.store.disk import Disk
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import (
    EVERY_NAME,
    CountBy,
    CountFilter,
    EventFilter,
    Reader,
    RunFilter,
    Store,
)
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.server.store.sqlite.memory import Limits
from stepwell.server.store.sqlite.store import SqliteStore
from tests.differential.story import HOLDS, KEYS, LANES, NAMES, Story

SMALL = Limits(items_max=12, items_page=5, runs_bytes_max=30_000, events_bytes_max=6_000)
BATCHES = 60


class Twins:
    """Two stores that are told the same: one in memory, and the one that `other` opens."""

    def __init__(self, other: Callable[[], Store]) -> None:
        self._disk = Disk()
        self._other = other
        self.stores: tuple[Store, Store] = self._open()
        self.readers: list[Reader] = [store.reader() for store in self.stores]

    def _open(self) -> tuple[Store, Store]:
        stores = MemoryStore(self._disk), self._other()
        for store in stores:
            store.migrate()
        return stores

    def reopen(self) -> None:
        self.close()
        self.stores = self._open()
        self.readers = [store.reader() for store in self.stores]

    def close(self) -> None:
        for reader, store in zip(self.readers, self.stores, strict=True):
            reader.close()
            store.close()

    def views(self, need: Need) -> list[View]:
        views = [View(store.catalog(), store.waited) for store in self.stores]
        for store, view in zip(self.stores, views, strict=True):
            store.load(need, view)
        return views


def told_by_view(view: View, need: Need) -> dict[str, object]:
    """Everything a decision may read in a view."""
    assert need.due is not None
    return {
        "runs": {run_id: view.run(run_id) for run_id in need.runs},
        "items": {run_id: set(view.items_of(run_id)) for run_id in need.runs},
        "waits": {run_id: set(view.waits_of(run_id)) for run_id in need.runs},
        "leases": {
            (run_id, item.key): view.lease(run_id, item.key)
            for run_id in need.runs
            for item in view.items_of(run_id)
        },
        "steps": {slot: view.is_saved(*slot) for slot in need.steps},
        "events": {event_id: view.knows_event(event_id) for event_id in need.events},
        "bodies": {event_id: view.body(event_id) for event_id in need.bodies},
        "dedups": {slot: view.dedup(*slot) for slot in need.dedups},
        "meetings": [view.meeting(m.event_id, m.name, m.after) for m in need.meetings],
        "signals": {name: view.signal(name) for name in need.signals},
        "sizes": {run_id: view.saved_size(run_id) for run_id, _ in need.steps},
        "look_back": [(view.look_back(look), view.met(look.run_id)) for look in need.look_back],
        "due": (view.due(), view.overdue(), view.next_due_ms),
        "keys": [(view.flow.row(k), view.flow.taken(k), view.flow.holders(k)) for k in KEYS],
        "leased": [(view.flow.leased(key), view.flow.firsts(key)) for key in KEYS],
        "lanes": (view.flow.lanes, [view.flow.items(queue) for queue in LANES]),
        "holds": [(view.flow.hold(key), view.flow.held(key)) for key in HOLDS],
        "waited": [name for name in NAMES if name in view.waited],
        "catalog": (view.catalog.apps, {s: e.version for s, e in view.catalog.listings.items()}),
    }


def told_by_reader(reader: Reader, story: Story) -> dict[str, object]:
    """Everything readers may see."""
    runs = {run_id: reader.run(run_id) for run_id in story.runs}
    return {
        "runs": runs,
        "steps": {run_id: reader.steps(run_id) for run_id in runs},
        "notes": {run_id: reader.notes(run_id) for run_id in runs},
        "annotations": {run_id: reader.annotations(run_id) for run_id in runs},
        "items": {run_id: reader.items(run_id) for run_id in (*runs, "cron:1")},
        "waits": {run_id: reader.waits(run_id) for run_id in runs},
        "leases": {run_id: reader.leases(run_id) for run_id in runs},
        "calls": [reader.call_state(run) for run in runs.values() if run is not None],
        "listed": reader.runs(RunFilter(limit=1_000)),
        "counts": [
            reader.counts(CountFilter(span_ms, 0, story.now + 1, by))
            for span_ms in KEPT_MS
            for by in CountBy
        ],
        "running": reader.runs(RunFilter(statuses=(RunStatus.RUNNING,), apps=("a1",), limit=7)),
        "of_event": {event_id: reader.runs_of_event(event_id) for event_id in story.events},
        "events": reader.events(EventFilter(limit=1_000)),
        "named": reader.events(EventFilter(name="inngest/x", since_ms=story.now - 20)),
        "event": {event_id: reader.event(event_id) for event_id in story.events},
        "apps": (reader.apps(), reader.functions()),
        "versions": [reader.function_versions(row.slug) for row in reader.functions()],
        "keys": [(reader.flow_key(key), reader.slots(key)) for key in KEYS],
        "kinds": [reader.flow_keys(kind) for kind in KeyKind],
        "holds": (reader.holds(), reader.holds("f1"), [reader.held(key) for key in HOLDS]),
        "held": {event_id: reader.holds_of_event(event_id) for event_id in story.events},
        "dropped": {event_id: reader.dropped(event_id) for event_id in story.events},
        "dropped_of": reader.dropped_of("f1", story.now - 20, 9),
        "stranded": reader.stranded(100),
        "bulks": (reader.bulks("", 1_000), reader.open_bulks()),
        "access": (reader.api_keys("", 1_000), reader.audit("", 1_000)),
        "key_of": [reader.api_key_of(f"hash of {id_}") for id_ in story.api_keys],
        "cancellations": (reader.cancellations("", 1_000), reader.open_cancellations()),
    }


def parts_are_true(reader: Reader) -> bool:
    """A run that goes on counts what hangs on it."""
    return all(
        run.parts
        == len(reader.waits(run.id)) + sum(item.key != MAIN for item in reader.items(run.id))
        for run in reader.runs(RunFilter(limit=1_000))
        if not run.ended
    )


def tell(twins: Twins, records: list[fact.Record]) -> None:
    """One batch for both, now and then rolled back first."""
    named = {run_id for record in records if (run_id := run_of(record)) is not None}
    views = twins.views(Need(runs=frozenset(named)))
    for store, view in zip(twins.stores, views, strict=True):
        for record in records:
            view.apply(record)
        if view.changes.to_write(is_shared=store.is_shared):
            store.write(view.changes)
            if len(records) == 3 and not store.is_shared:  # there the locks went with it
                store.rollback()
                store.write(view.changes)
            store.commit()
        store.keep(view.changes)


def run_of(record: fact.Record) -> str | None:
    """The run a record is about, if it must be loaded."""
    for name in ("run", "item", "lease", "wait", "step"):
        row = getattr(record, name, None)
        if row is not None and not isinstance(record, fact.RunStarted):
            return row.id if name == "run" else row.run_id
    return record.run_id if isinstance(record, fact.ItemDone) else None


def prune(twins: Twins, story: Story) -> None:
    """Both forget what is old; in the end they have forgotten the same."""
    before_ms = story.now - 40
    for _ in range(50):
        views = twins.views(Need(old=Old(before_ms, 3)))
        assert views[0].old_runs == views[1].old_runs
        left = [view.old_events for view in views]
        if not views[0].old_runs and not any(left):
            return
        for store, view in zip(twins.stores, views, strict=True):
            for run_id in view.old_runs:
                view.apply(fact.RunForgotten(run_id))
            for event_id in view.old_events:
                view.apply(fact.EventForgotten(event_id))
            for slug in view.old_functions:
                view.apply(fact.GoneForgotten(slug))
            if view.changes.to_write(is_shared=store.is_shared):
                store.write(view.changes)
                store.commit()
            store.keep(view.changes)
    raise AssertionError("there is always something old left")


# What is written when both forget what is old, and by no story.
PRUNED = {fact.RunForgotten, fact.EventForgotten, fact.GoneForgotten}
SEEDS = 16
SEEDS_OVER_A_NETWORK = 2


@pytest.mark.parametrize("seed", range(SEEDS))
def test_memory_and_sqlite_tell_the_same(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "twin.db"
    both_tell_the_same(seed, Twins(lambda: SqliteStore(path, durability="relaxed", limits=SMALL)))


@pytest.mark.parametrize("seed", range(SEEDS_OVER_A_NETWORK))
def test_memory_and_postgres_tell_the_same(
    engine_database: str, nobody_else: None, seed: int
) -> None:
    both_tell_the_same(seed, Twins(lambda: PostgresStore(engine_database)))


def test_memory_and_postgres_behind_a_pooler_tell_the_same(
    pooled_database: str, nobody_else: None
) -> None:
    both_tell_the_same(SEEDS, Twins(lambda: PostgresStore(pooled_database)))


def test_memory_and_postgres_tell_the_same_however_it_isolates(
    engine_database: str, nobody_else: None
) -> None:
    # The name of the database is after the last slash.
    name = engine_database.rpartition("/")[2]
    setting = f"ALTER DATABASE {name} {{}} default_transaction_isolation".format
    with psycopg.connect(engine_database, autocommit=True) as db:
        db.execute(f"{setting('SET')} = 'serializable'".encode())
        try:
            both_tell_the_same(SEEDS, Twins(lambda: PostgresStore(engine_database)))
        finally:
            db.execute(setting("RESET").encode())


def both_tell_the_same(seed: int, twins: Twins) -> None:
    """A whole story, told to both."""
    story = Story(seed)
    for turn in range(BATCHES):
        tell(twins, story.batch())
        need = story.need()
        one, two = (told_by_view(view, need) for view in twins.views(need))
        if twins.stores[1].waited is EVERY_NAME:
            two["waited"] = one["waited"]
        assert one == two
        if turn % 10 == 5:
            one, two = (told_by_reader(reader, story) for reader in twins.readers)
            assert one == two
            assert parts_are_true(twins.readers[1])
        if turn % 20 == 17:
            prune(twins, story)
        if turn % 15 == 14:
            twins.reopen()
            story.leases.clear()
    one, two = (told_by_reader(reader, story) for reader in twins.readers)
    assert one == two
    twins.close()


def test_every_kind_of_record_is_told() -> None:
    stories = [Story(seed) for seed in range(SEEDS)]
    told = {type(r) for story in stories for _ in range(BATCHES) for r in story.batch()}
    assert set(get_args(fact.Record)) == told | PRUNED
