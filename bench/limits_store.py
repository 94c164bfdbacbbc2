"""What the SQLite store costs by itself: microseconds per input for every verb, rows and log bytes
per run, alone and in batches. Prints numbers with their conditions; run it on a quiet machine.

    python bench/limits_store.py [--durability full] [--sleepers 20000] [--runs 20000] [--batch 100]
"""

import argparse
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import NOTHING, Due, Need
from stepwell.server.engine.row.run import (
    MAIN,
    EventRow,
    Item,
    ItemKind,
    Lease,
    Run,
    RunStatus,
    Step,
)
from stepwell.server.engine.state.view import View
from stepwell.server.store.sqlite.connection import Durability
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.wire.identifier import derived_ulid

NOW = 1_750_000_000_000
BODY = b'{"name":"shop/order.placed","data":{"order":12345,"customer":"c-991"},"ts":1750000000000}'
CLOCK: list[Callable[[], float]] = [time.perf_counter]
VERBS = ("load", "apply", "write", "commit", "keep")


class Meter:
    """Times each verb of a phase."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.spent = dict.fromkeys(VERBS, 0.0)
        self.rows = 0
        self.inputs = 0
        self.log_bytes = 0
        self.catalog = store.catalog()

    def do(self, need: Need, records: Callable[[View], Iterable[fact.Record]], inputs: int) -> None:
        """One batch, as the ledger does it."""
        store, spent, clock = self.store, self.spent, CLOCK[0]
        wal = Path(f"{store.path}-wal")
        before_bytes = wal.stat().st_size
        view = View(self.catalog, store.waited)
        began = clock()
        store.load(need, view)
        loaded = clock()
        for record in records(view):
            view.apply(record)
        applied = clock()
        written = committed = applied
        if view.changes.durable:
            store.write(view.changes)
            self.rows += store._rows  # noqa: SLF001 - no verb tells, and only this file asks
            written = clock()
            store.commit()
            committed = clock()
        store.keep(view.changes)
        kept = clock()
        times = (began, loaded, applied, written, committed, kept)
        for verb, start, end in zip(VERBS, times[:-1], times[1:], strict=True):
            spent[verb] += end - start
        self.inputs += inputs
        self.log_bytes += max(wal.stat().st_size - before_bytes, 0)

    def tell(self, title: str) -> None:
        """One line."""
        each = {verb: 1e6 * spent / self.inputs for verb, spent in self.spent.items()}
        store_only = sum(each.values()) - each["apply"]
        verbs = "  ".join(f"{verb} {each[verb]:6.2f}" for verb in VERBS)
        print(
            f"{title:<10} {verbs}  | load+write+commit+keep {store_only:7.2f} us/input"
            f"  rows {self.rows / self.inputs:.2f}  log {self.log_bytes / self.inputs:6.0f} B"
        )


def runs_and_events(count: int) -> list[tuple[EventRow, Run, Item]]:
    """What is stored when events arrive and start a function each."""
    made: list[tuple[EventRow, Run, Item]] = []
    for number in range(count):
        at_ms = NOW + number // 50
        event_id = derived_ulid(at_ms, "event", str(number))
        event = EventRow(event_id, "shop/order.placed", at_ms, at_ms, BODY)
        run = Run(derived_ulid(at_ms, "f", event_id), "shop-order", "shop", (event_id,), at_ms)
        made.append((event, run, Item(run.id, MAIN, ItemKind.CALL, at_ms, "shop")))
    return made


def measure(
    path: str, durability: Durability, count: int, batch: int, sleepers: int, *, copy_back: bool
) -> None:
    """Every phase of one-step runs, in batches."""
    store = SqliteStore(path, durability=durability)
    store.migrate()
    parts_of = store._ready  # noqa: SLF001
    if not copy_back:
        parts_of.keeper.wrote = lambda _: None  # type: ignore[method-assign]
    if sleepers:
        put_to_sleep(store, sleepers)
    made = runs_and_events(count)
    parts = [made[first : first + batch] for first in range(0, count, batch)]
    meters = {name: Meter(store) for name in ("event", "claim", "step", "claim 2", "end")}
    later = NOW + 10_000_000
    for part in parts:
        starts = [
            r
            for event, run, item in part
            for r in (fact.EventStored(event), fact.RunStarted(run, item))
        ]
        meters["event"].do(NOTHING, lambda _, starts=starts: starts, len(part))
        claim(meters["claim"], later, len(part))
        ids = [run.id for _, run, _ in part]
        steps = frozenset((run_id, "a" * 40) for run_id in ids)
        need = Need(runs=frozenset(ids), steps=steps)
        meters["step"].do(need, lambda view, ids=ids: progress(view, ids, later), len(part))
        claim(meters["claim 2"], later, len(part))
        meters["end"].do(need, lambda view, ids=ids: finish(view, ids, later), len(part))
    for name, meter in meters.items():
        meter.tell(name)
    rows = sum(meter.rows for meter in meters.values()) / count
    log_bytes = sum(meter.log_bytes for meter in meters.values()) / count
    spent = sum(sum(m.spent.values()) - m.spent["apply"] for m in meters.values()) / count
    print(f"one-step run: {rows:.2f} rows, {log_bytes:.0f} B of log, {1e6 * spent:.1f} us of store")
    reader = store.reader()
    began = time.perf_counter()
    for _, run, _ in made[-1_000:]:
        reader.call_state(run)
    print(f"call_state of a fresh run: {1e3 * (time.perf_counter() - began):.2f} us")
    print(f"due index: {len(parts_of.memory.due)} items in memory")
    reader.close()
    store.close()


def claim(meter: Meter, now: int, count: int) -> None:
    """A pump takes what is due."""
    need = Need(due=Due(now, (("shop", count),), count))

    def lease(view: View) -> list[fact.Record]:
        items = view.due()
        assert len(items) == count, f"{len(items)} of {count} were due"
        return [
            fact.ItemLeased(Lease(f"L{item.run_id}", item.run_id, MAIN, now, now + 60_000))
            for item in items
        ]

    meter.do(need, lease, count)


def progress(view: View, ids: list[str], now: int) -> list[fact.Record]:
    """A reply with one step, after which the function is called again."""
    records: list[fact.Record] = []
    for run_id in ids:
        run = view.run(run_id)
        assert run is not None
        assert not view.is_saved(run_id, "a" * 40)
        step = Step(run_id, "a" * 40, now, "StepRun", "charge", b'{"data":{"ok":true}}', now, now)
        begun = msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=now, version=2)
        records.append(fact.StepSaved(step))
        records.append(fact.ItemMoved(Item(run_id, MAIN, ItemKind.CALL, now, "shop")))
        records.append(fact.RunChanged(begun))
    return records


def finish(view: View, ids: list[str], now: int) -> list[fact.Record]:
    """A reply with the function's result."""
    records: list[fact.Record] = []
    for run_id in ids:
        run = view.run(run_id)
        assert run is not None
        ended = msgspec.structs.replace(
            run, status=RunStatus.COMPLETED, ended_ms=now, output=b'{"ok":true}'
        )
        records.append(fact.RunFinished(ended))
    return records


def put_to_sleep(store: SqliteStore, count: int) -> None:
    """Runs that sleep for a long time."""
    meter = Meter(store)
    for event, run, _ in runs_and_events(count):
        sleeper = msgspec.structs.replace(run, id="S" + run.id[1:])
        asleep = Item(sleeper.id, "s" * 40, ItemKind.SLEEP, NOW + 10**11)
        first = Item(sleeper.id, MAIN, ItemKind.CALL, NOW, "shop")
        records: list[fact.Record] = [
            fact.EventStored(msgspec.structs.replace(event, id="S" + event.id[1:])),
            fact.RunStarted(sleeper, first),
            fact.ItemDone(sleeper.id, MAIN),
            fact.ItemAdded(asleep),
        ]
        meter.do(NOTHING, lambda _, records=records: records, 1)
    meter.tell("sleeper")


def main() -> None:
    """Read the conditions, print them, measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--durability", choices=("full", "relaxed"), default="relaxed")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--sleepers", type=int, default=0)
    parser.add_argument(
        "--log", action="store_true", help="leave the log to grow, so that its bytes can be told"
    )
    parser.add_argument(
        "--cpu", action="store_true", help="count processor time of the thread, for a busy machine"
    )
    parser.add_argument("--folder", help="where the database is made; a fast disk says little")
    given = parser.parse_args()
    print(
        f"SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}, {given.durability},"
        f" {given.runs} runs, batches of {given.batch}, {given.sleepers} sleepers"
    )
    if given.cpu:
        CLOCK[0] = time.thread_time
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = str(Path(folder) / "bench.db")
        measure(
            path,
            given.durability,
            given.runs,
            given.batch,
            given.sleepers,
            copy_back=not given.log,
        )


if __name__ == "__main__":
    main()
