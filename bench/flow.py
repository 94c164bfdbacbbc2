"""What flow control costs: `scripts/bench flow [--scale 1.0]`, the workloads W10 and W11.

All in one process, over SQLite with full durability. W10: runs of one step over 100 keys with a
limit of 1 each, beside the same runs without a limit. W11: how long the start of another key takes
while very many events are blocked behind one, beside the same without them, and what a claim costs
then. Besides: from the end of a step to the start of the next that waited for its place, and what
open debounces cost while nothing happens to them.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

import stepwell
from bench.processes import Server, answers, free_port
from stepwell.connect import connect
from stepwell.embedded import Engine

KEYS = 100
FREED = 300
BATCH = 1_000
PATIENCE_S = 600.0
KEY = "event.data.key"


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench flow")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workloads")
    scale = parser.parse_args(arguments).scale
    table = Table("figure", "value")
    for figure, value in asyncio.run(measure(scale)):
        table.add_row(figure, value)
    Console(width=100).print(table)


async def measure(scale: float) -> list[tuple[str, str]]:
    """Every figure with its name."""
    count = max(int(10_000 * scale), 200)
    plain = await burst(count)
    limited = await burst(count, concurrency=[stepwell.Concurrency(limit=1, key=KEY)])
    rows = [
        (f"W10 runs/s without a limit ({count})", f"{plain:,.0f}"),
        (f"W10 runs/s, limit 1 on each of {KEYS} keys", f"{limited:,.0f} ({limited / plain:.2f}x)"),
    ]
    rows += await blocked(max(int(100_000 * scale), 1_000))
    rows.append(("ms from a freed place to the next start, p50 / p99", await freed()))
    rows.append(("ms of the same over a worker's connection", await freed_over_connect()))
    rows += await held(max(int(100_000 * scale), 1_000))
    return rows


@asynccontextmanager
async def engine(
    handler: Callable[[Any], Awaitable[None]], folder: str, **options: Any
) -> AsyncGenerator[stepwell.Inngest]:
    """An engine with one function on `go`; gives its client."""
    client = stepwell.Inngest(app_id="bench", is_production=False)
    trigger = stepwell.TriggerEvent(event="go")
    function = client.create_function(fn_id="f", trigger=trigger, retries=0, **options)(handler)
    async with Engine(client, [function], database=Path(folder) / "bench.db"):
        yield client


async def send(client: stepwell.Inngest, keys: list[str]) -> None:
    """One event for each key, in batches."""
    events = [stepwell.Event(name="go", data={"key": key}) for key in keys]
    for start in range(0, len(events), BATCH):
        await client.send(events[start : start + BATCH])


async def burst(count: int, **options: Any) -> float:
    """Runs of one step, all sent at once: how many end per second."""
    done, ended = 0, asyncio.Event()

    async def handler(ctx: Any) -> None:
        async def work() -> None:
            nonlocal done
            done += 1
            if done == count:
                ended.set()

        await ctx.step.run("work", work)

    with tempfile.TemporaryDirectory() as folder:
        async with engine(handler, folder, **options) as client:
            began = time.perf_counter()
            await send(client, [str(number % KEYS) for number in range(count)])
            await asyncio.wait_for(ended.wait(), PATIENCE_S)
            return count / (time.perf_counter() - began)


async def blocked(count: int) -> list[tuple[str, str]]:
    """From sending an event to its start, with and without many behind another key."""
    begun: dict[str, float] = {}
    heard = asyncio.Event()

    async def handler(ctx: Any) -> None:
        key = str(ctx.event.data["key"])
        begun[key] = time.perf_counter()
        heard.set()
        if key == "blocked":
            await asyncio.sleep(PATIENCE_S)

    async def probes(client: stepwell.Inngest, name: str) -> tuple[float, float]:
        times: list[float] = []
        cpu = time.process_time()
        for number in range(200):
            key = f"{name}-{number}"
            began = time.perf_counter()
            await client.send(stepwell.Event(name="go", data={"key": key}))
            while key not in begun:
                heard.clear()
                await heard.wait()
            times.append(begun[key] - began)
        return statistics.median(times) * 1_000, (time.process_time() - cpu) / 200 * 1_000

    with tempfile.TemporaryDirectory() as folder:
        limit = [stepwell.Concurrency(limit=1, key=KEY)]
        async with engine(handler, folder, concurrency=limit) as client:
            alone, cpu_alone = await probes(client, "alone")
            await send(client, ["blocked"] * count)
            beside, cpu_beside = await probes(client, "beside")
            await client_cancelled(client)
    return [
        ("W11 ms to the start of another key, alone", f"{alone:.2f}"),
        (f"W11 the same beside {count} blocked", f"{beside:.2f} ({beside / alone:.2f}x)"),
        ("W11 ms of processor per start, alone / beside", f"{cpu_alone:.2f} / {cpu_beside:.2f}"),
    ]


async def client_cancelled(client: stepwell.Inngest) -> None:
    """End what sleeps in this process, so that the engine stops at once."""
    for task in asyncio.all_tasks():
        if "handler" in repr(task.get_coro()):
            task.cancel()
    await asyncio.sleep(0)


class Gaps:
    """From the end of a call to the start of the next that waited for its place."""

    def __init__(self, count: int) -> None:
        self.times: list[float] = []
        self.ended = asyncio.Event()
        self._count = count
        self._last = 0.0

    async def handler(self, ctx: Any) -> None:
        """What is called again and again, and does nothing."""
        if self._last:
            self.times.append(time.perf_counter() - self._last)
        if len(self.times) == self._count - 1:
            self.ended.set()
        self._last = time.perf_counter()

    async def told(self) -> str:
        """The median and the 99th percentile, once all have ended."""
        await asyncio.wait_for(self.ended.wait(), PATIENCE_S)
        ordered = sorted(gap * 1_000 for gap in self.times)
        return f"{statistics.median(ordered):.2f} / {ordered[len(ordered) * 99 // 100]:.2f}"


async def freed() -> str:
    """In one process."""
    gaps, limit = Gaps(FREED), [stepwell.Concurrency(limit=1)]
    with tempfile.TemporaryDirectory() as folder:
        async with engine(gaps.handler, folder, concurrency=limit) as client:
            await send(client, ["x"] * FREED)
            return await gaps.told()


async def freed_over_connect() -> str:
    """With a server of its own, to which this process is connected as a worker."""
    gaps, port = Gaps(FREED), free_port()
    client = stepwell.Inngest(app_id="bench", is_dev=True, base_url=f"http://127.0.0.1:{port}")
    trigger = stepwell.TriggerEvent(event="go")
    limit = [stepwell.Concurrency(limit=1)]
    function = client.create_function(fn_id="f", trigger=trigger, retries=0, concurrency=limit)(
        gaps.handler
    )
    with tempfile.TemporaryDirectory() as folder:
        ports = ["--port", str(port), "--connect-gateway-port", str(free_port())]
        data = ["--persist", "--sqlite-dir", folder, "--no-discovery"]
        start = [sys.executable, "-m", "stepwell", "dev", "--host", "127.0.0.1"]
        server = Server([*start, *ports, *data], Path(folder) / "server.log")
        try:
            await answers(f"http://127.0.0.1:{port}/health")
            async with connect([(client, [function])], shutdown_signals=[]):
                await send(client, ["x"] * FREED)
                return await gaps.told()
        finally:
            server.stop()


async def held(count: int) -> list[tuple[str, str]]:
    """Open debounces: memory each, and the processor's time while they rest."""

    async def handler(ctx: Any) -> None:
        """Never called here."""

    process = psutil.Process(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        period = stepwell.Debounce(period="1h", key=KEY)
        async with engine(handler, folder, debounce=period) as client:
            await send(client, ["first"])
            await asyncio.sleep(0.5)
            before = process.memory_info().rss
            await send(client, [str(number) for number in range(count)])
            grown = process.memory_info().rss - before
            cpu = time.process_time()
            await asyncio.sleep(5)
            rest = (time.process_time() - cpu) / 5
    return [
        (f"KiB of memory for each of {count} open debounces", f"{grown / 1024 / count:.2f}"),
        ("processor while they rest", f"{rest * 100:.1f} %"),
    ]
