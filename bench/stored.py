"""Databases with very many runs, written straight into their tables: faster than the engine."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.run import MAIN, EventRow, Item, ItemKind, Run, RunStatus
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.counting import counted
from stepwell.server.store.ended_counts import KINDS_MAX, ended_counts
from stepwell.server.store.row import event_values, run_values
from stepwell.server.store.sqlite.connection import SQL, open_writer
from stepwell.server.store.sqlite.migrating import migrate

FUNCTIONS = tuple(f"app{app}-work{name}" for app in range(4) for name in range(10))
EVERY_MS = 40
"""So far apart they were queued."""
BATCH = 20_000
FAILURE = b'{"name":"ValueError","message":"the card of order 7 was declined"}'


def served_from(folder: str) -> ServerConfig:
    """A server on a free port whose database is in a folder."""
    return ServerConfig(
        host="127.0.0.1", port=0, connect_gateway_port=0, persist=True, sqlite_dir=folder
    )


def fill(path: Path, count: int, last_ms: int, *, ended: bool) -> None:
    """A fresh database with so many runs, each of an event of its own, of forty functions, the last
    queued at `last_ms`. Of those that have ended one in nineteen failed, one in 47 was cancelled;
    the others wait to be called."""
    db = open_writer(str(path), "relaxed")
    migrate(db, str(path))
    first_ms = last_ms - count * EVERY_MS
    for begin in range(0, count, BATCH):
        numbers = range(begin, min(begin + BATCH, count))
        db.execute("BEGIN")
        db.executemany(SQL["insert_event"], _events(numbers, first_ms))
        runs = list(_runs(numbers, first_ms, ended=ended))
        db.executemany(SQL["insert_run"], _rows(numbers, runs))
        if ended:
            _count(db, runs)
        db.execute("COMMIT")
    db.close()


def _events(numbers: range, first_ms: int) -> Iterator[tuple[object, ...]]:
    for n in numbers:
        at_ms = first_ms + n * EVERY_MS
        name = f"shop/event{n % 40}"
        body = b'{"name":"%s","data":{"order":%d,"user":"u%d"}}' % (name.encode(), n, n % 1_000)
        yield event_values(n + 1, EventRow(f"01E{n:023d}", name, at_ms, at_ms, body))


def _runs(numbers: range, first_ms: int, *, ended: bool) -> Iterator[Run]:
    for n in numbers:
        run = Run(
            id=f"01R{n:023d}",
            function=FUNCTIONS[n % len(FUNCTIONS)],
            app=FUNCTIONS[n % len(FUNCTIONS)].partition("-")[0],
            event_ids=(f"01E{n:023d}",),
            queued_ms=first_ms + n * EVERY_MS,
        )
        yield _ended(run, n) if ended else run


def _rows(numbers: range, runs: Iterable[Run]) -> Iterator[tuple[object, ...]]:
    for n, run in zip(numbers, runs, strict=True):
        main = None if run.ended else Item(run.id, MAIN, ItemKind.CALL, run.queued_ms, run.app)
        yield run_values(n + 1, run, main)


def _count(db: sqlite3.Connection, runs: Iterable[Run]) -> None:
    """What the server counts as runs come and end."""
    started = {run.id: run for run in runs}
    changes = Changes(started=started, ended=set(started))
    counts = counted(changes, started.__getitem__)
    db.executemany(SQL["add_counts"], [(*key, *parts) for key, parts in counts.items()])
    ends = ended_counts(changes, started.__getitem__)
    db.executemany(SQL["add_durations"], [(*at, *count) for at, count in ends.durations.items()])
    failed = [(*at, *count, KINDS_MAX) for at, count in ends.failures.items()]
    db.executemany(SQL["add_failures"], failed)


def _ended(run: Run, n: int) -> Run:
    status, output = RunStatus.COMPLETED, b'{"ok":true}'
    if n % 19 == 3:
        status, output = RunStatus.FAILED, FAILURE
    elif n % 47 == 7:
        status, output = RunStatus.CANCELLED, b"null"
    return Run(
        run.id,
        run.function,
        run.app,
        run.event_ids,
        run.queued_ms,
        status=status,
        started_ms=run.queued_ms + 5,
        ended_ms=run.queued_ms + 5 + n % 700,
        output=output,
    )
