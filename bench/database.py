"""What a PostgreSQL database costs when it is full, old or held up:
`scripts/bench database [--only bloat,sleepers,neighbour]`.

One engine in this process on a PostgreSQL of its own with default settings, runs of one step, 200
under way at once. Rates depend on what else the machine does; processor time per run, of engine and
database together, does so less, and is what compares.

- bloat: so many runs with a retention of seconds; the tables' rows, dead rows and size meanwhile.
- sleepers: how fast it is with nothing stored, and with 20,000 and a million sleeping runs.
- neighbour: how fast it is when somebody has sat idle in a transaction for minutes under load, and
  right after that one left.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psutil
import psycopg
from rich.console import Console
from rich.table import Table

import stepwell
from bench.collector import look_seldom
from bench.postgres import start_postgres
from stepwell.embedded import Engine

PARTS = ("bloat", "sleepers", "neighbour")
IN_FLIGHT = 200
EVENTS_MAX = 1_000
RETENTION_S = 60.0
MIB = 2**20
SLEEP_UNTIL_MS = 4_102_444_800_000
WATCHED = ("item", "lease", "run", "event", "step", "note", "run_count", "node")

console = Console()


class Speed(msgspec.Struct, frozen=True):
    """Runs a second, and milliseconds of processor for each: ours and the database's together."""

    rate: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.rate:.0f} runs/s, {self.cpu_ms:.2f} ms each"


class Bench:
    """An engine, and the database it is on."""

    def __init__(self, engine: Engine, client: stepwell.Inngest, url: str, pid: int) -> None:
        self._client = client
        self._pid = pid
        self.engine = engine
        self.url = url
        self.ended = 0
        self._sent = 0
        self._moved = asyncio.Event()

    def has_ended(self) -> None:
        """One more run came to its end."""
        self.ended += 1
        self._moved.set()

    async def send(self, count: int) -> None:
        """Send so many events, each of which starts a run."""
        self._sent += count
        events = [stepwell.Event(name="bench/one", data={"n": 1}) for _ in range(count)]
        await self._client.send(events)

    async def runs(self, count: int) -> None:
        """So many runs, as many under way at once as may be."""
        last = self.ended + count
        while self.ended < last:
            room = min(IN_FLIGHT - (self._sent - self.ended), last - self._sent)
            if room >= IN_FLIGHT // 4 or (room > 0 and self._sent == last - room):
                await self.send(room)
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), 120)

    async def load(self, rate: float, seconds: float) -> None:
        """So many runs a second for so long."""
        began, already = time.monotonic(), self._sent
        while (passed := time.monotonic() - began) < seconds:
            if due := int(rate * passed) - (self._sent - already):
                await self.send(min(due, EVENTS_MAX))
            await asyncio.sleep(0.1)
        while self.ended < self._sent:
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), 120)

    async def speed(self, count: int) -> Speed:
        """How fast so many runs are."""
        began, cpu_s = time.monotonic(), self._cpu_s()
        await self.runs(count)
        took_s, used_s = time.monotonic() - began, self._cpu_s() - cpu_s
        return Speed(count / took_s, used_s * 1000 / count)

    async def pruned(self) -> Speed:
        """How fast what is old is removed."""
        began, cpu_s = time.monotonic(), self._cpu_s()
        count = (await self.engine.node.janitor.run_once()).runs
        took_s, used_s = time.monotonic() - began, self._cpu_s() - cpu_s
        return Speed(count / took_s, used_s * 1000 / max(count, 1))

    def _cpu_s(self) -> float:
        """What both have used, the database's servers of connections that ended left out."""
        database = psutil.Process(self._pid)
        processes = [psutil.Process(), database, *database.children(recursive=True)]
        total = 0.0
        for process in processes:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total


@asynccontextmanager
async def benched(retention_s: float = 0.0) -> AsyncGenerator[Bench]:
    """An engine on a fresh database."""
    folder = Path(tempfile.mkdtemp(prefix="bench-database-"))
    server, url = await asyncio.to_thread(start_postgres, folder)
    client = stepwell.Inngest(app_id="bench", is_production=False, logs=False)

    @client.create_function(fn_id="one", trigger=stepwell.TriggerEvent(event="bench/one"))
    async def one(ctx: stepwell.Context) -> None:
        await ctx.step.run("one", nothing)
        bench.has_ended()

    engine = Engine(client, [one], database=url, retention_days=retention_s / 86_400)
    bench = Bench(engine, client, url, server.pid)
    try:
        async with engine:
            yield bench
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def nothing() -> int:
    """The step."""
    return 1


class Size(msgspec.Struct, frozen=True):
    """A table: its rows, those that nobody sees any more, how large it and its indexes are."""

    rows: int
    dead: int
    table: float
    indexes: float
    vacuums: int
    updates: int
    hot: int


async def sizes(url: str) -> dict[str, Size]:
    """What the tables are now."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "SELECT relname, n_live_tup, n_dead_tup, pg_relation_size(relid),"
            " pg_indexes_size(relid), autovacuum_count, n_tup_upd, n_tup_hot_upd"
            " FROM pg_stat_user_tables WHERE schemaname = 'stepwell'"
        )
        found = {row[0]: row[1:] for row in await cursor.fetchall()}
    return {
        name: Size(rows, dead, table / MIB, indexes / MIB, vacuums, updates, hot)
        for name, (rows, dead, table, indexes, vacuums, updates, hot) in found.items()
    }


async def bloat(runs: int) -> None:
    """Print how large the tables are, after each tenth of the runs."""
    async with benched(RETENTION_S) as bench:
        parts: list[dict[str, Size]] = []
        speeds: list[Speed] = []
        for _ in range(10):
            speeds.append(await bench.speed(runs // 10))
            parts.append(await sizes(bench.url))
            print(f"{bench.ended} runs: {speeds[-1]}", flush=True)
        title = f"{runs} runs of one step, {RETENTION_S:g} s kept"
        table = Table("table", *_COLUMNS, title=title)
        for name in WATCHED:
            told = [part[name] for part in parts]
            table.add_row(name, *(_row(told)))
        console.print(table)
        await asyncio.sleep(RETENTION_S)
        print(f"removing the rest: {await bench.pruned()}", flush=True)


_COLUMNS = (
    *("rows, last", "dead, most", "MiB, half way", "MiB, last", "indexes, half way"),
    *("indexes, last", "vacuums", "updates", "of them hot"),
)


def _row(told: list[Size]) -> list[str]:
    middle, last = told[len(told) // 2 - 1], told[-1]
    return [
        str(last.rows),
        str(max(size.dead for size in told)),
        *(f"{size:.1f}" for size in (middle.table, last.table, middle.indexes, last.indexes)),
        *(str(last.vacuums), str(last.updates), str(last.hot)),
    ]


_EVENTS = """INSERT INTO stepwell.event SELECT
    '01E' || lpad(n::text, 23, '0'), 'bench/one', 1, 1, '', '{"name":"bench/one","data":{}}'
FROM generate_series(%(first)s::int8, %(last)s::int8) AS n"""
_RUNS = """INSERT INTO stepwell.run SELECT
    '01R' || lpad(n::text, 23, '0'), 'bench-one', 'bench', '01E' || lpad(n::text, 23, '0'), 1, '',
    NULL, 200, 1, 0, NULL, -1, 0, NULL, 0, ''
FROM generate_series(%(first)s::int8, %(last)s::int8) AS n"""
_SLEEPS = """INSERT INTO stepwell.item SELECT
    '01R' || lpad(n::text, 23, '0'), 'sleep', %(due)s + n, '', 2, 0, 'sleep', 0, '', 0
FROM generate_series(%(first)s::int8, %(last)s::int8) AS n"""


async def sleep_more(url: str, first: int, last: int) -> None:
    """Write sleeping runs straight into the tables."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for begin in range(first, last, 50_000):
            told = {"first": begin, "last": min(begin + 50_000, last) - 1, "due": SLEEP_UNTIL_MS}
            for statement in (_EVENTS, _RUNS, _SLEEPS):
                await connection.execute(statement.encode(), told)
    await vacuumed(url)


async def sleepers(counts: list[int], runs: int) -> None:
    """Print how fast it is with so many who sleep."""
    async with benched() as bench:
        await bench.runs(runs // 4)
        known = 0
        for count in [0, *counts]:
            await sleep_more(bench.url, known, count)
            known = count
            print(f"{count} sleeping: {await bench.speed(runs)}", flush=True)


async def neighbour(minutes: float, rate: float, runs: int) -> None:
    """Print how fast it is while somebody sits in a transaction, and right after."""
    async with benched() as bench:
        print(f"before: {await bench.speed(runs)}", flush=True)
        async with await psycopg.AsyncConnection.connect(bench.url) as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await connection.execute("SELECT pg_current_xact_id()")
            await bench.load(rate, minutes * 60)
            began = await looked_at(bench.url)
            during = await bench.speed(runs)
            dead = (await sizes(bench.url))["item"].dead
            _print_looked_at(began, await looked_at(bench.url), runs)
        print(f"after {minutes:g} min at {rate:g} runs/s: {during}; {dead} dead items", flush=True)
        await vacuumed(bench.url)
        began = await looked_at(bench.url)
        after = await bench.speed(runs)
        _print_looked_at(began, await looked_at(bench.url), runs)
        print(f"without: {after}; so it was {during.rate / after.rate:.0%} of that", flush=True)


LOOKED_AT_MIN = 1.0
STATISTICS_S = 1.5
"""The database counts in the memory of each connection for up to a second."""
_LOOKED_AT = """SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes
WHERE schemaname = 'stepwell'
UNION ALL SELECT relname || ' (whole)', seq_tup_read FROM pg_stat_user_tables
WHERE schemaname = 'stepwell'"""


async def looked_at(url: str) -> dict[str, int]:
    """How many rows were looked at by now in each index and in whole tables, dead ones too."""
    await asyncio.sleep(STATISTICS_S)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(_LOOKED_AT.encode())
        return dict(await cursor.fetchall())


def _print_looked_at(before: dict[str, int], after: dict[str, int], runs: int) -> None:
    """Print where most rows were looked at for a run."""
    per_run = {name: (count - before.get(name, 0)) / runs for name, count in after.items()}
    most = sorted(per_run.items(), key=lambda pair: -pair[1])[:8]
    told = (f"{name} {count:.1f}" for name, count in most if count >= LOOKED_AT_MIN)
    print("rows looked at for a run:", ", ".join(told), flush=True)


async def vacuumed(url: str) -> None:
    """What the database does by itself, a minute later."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(b"VACUUM ANALYZE")


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench database")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, comma-separated")
    parser.add_argument("--runs", type=int, default=100_000, help="of bloat")
    parser.add_argument("--sleepers", default="20000,1000000", help="so many, one after the other")
    parser.add_argument("--minutes", type=float, default=10.0, help="of a neighbour")
    parser.add_argument("--rate", type=float, default=200.0, help="runs a second meanwhile")
    parser.add_argument("--measured", type=int, default=4_000, help="runs that a rate is taken of")
    wanted = parser.parse_args(arguments)
    look_seldom()
    counts = [int(count) for count in wanted.sleepers.split(",")]
    for part in wanted.only.split(","):
        match part:
            case "bloat":
                asyncio.run(bloat(wanted.runs))
            case "sleepers":
                asyncio.run(sleepers(counts, wanted.measured))
            case "neighbour":
                asyncio.run(neighbour(wanted.minutes, wanted.rate, wanted.measured))
            case _:
                parser.error(f"--only {part}: give some of {', '.join(PARTS)}")
