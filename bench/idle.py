"""What waiting costs: `scripts/bench idle [--workers 1000] [--seconds 20]`.

First the memory of one worker with one function that nobody calls, beside the official SDK's; then
what many such workers cost the one server they are connected to. The many are connections of one
process without threads, because here only the server is measured. Pages that processes share count
for each in proportion (PSS), where the system tells; RSS counts them whole.
"""

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

import stepwell
from bench.processes import Server, answers, free_port
from stepwell.connect import ConnectionState, WorkerConnection, connect

MIB = 2**20
SETTLE_S = 3.0
SDKS = {"ours": "stepwell", "official": "inngest"}


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench idle")
    parser.add_argument("--workers", type=int, default=1_000, help="how many on one server")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they are watched")
    wanted = parser.parse_args(arguments)
    asyncio.run(measure(wanted.workers, wanted.seconds))


async def measure(workers: int, seconds: float) -> None:
    """Both tables."""
    console = Console(width=100)
    table = Table("one idle worker", "PSS MiB", "RSS MiB")
    for sdk in SDKS:
        async with server() as (url, _):
            pss, rss = await one_worker(sdk, url)
        table.add_row(sdk, f"{pss:.1f}", f"{rss:.1f}")
    console.print(table)
    async with server() as (url, pid):
        before = memory_mib(pid)[0]
        cpu = await many_workers(workers, url, pid, seconds)
        after = memory_mib(pid)[0]
    table = Table("one server", "PSS MiB without", "PSS MiB with", "KiB per worker", "core %")
    each = (after - before) * 1024 / workers
    cells = [f"{before:.1f}", f"{after:.1f}", f"{each:.1f}", f"{cpu * 100:.1f}"]
    table.add_row(f"{workers} idle workers", *cells)
    console.print(table)


@asynccontextmanager
async def server() -> AsyncGenerator[tuple[str, int]]:
    """A development server of its own: its URL and its process."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stepwell", "dev", "--host", "127.0.0.1"]
        ports = ["--port", str(port), "--connect-gateway-port", str(free_port())]
        quiet = ["--no-discovery", "--no-poll"]
        clean = {name: "" for name in os.environ if name.startswith(("INNGEST_", "STEPWELL_"))}
        started = Server([*command, *ports, *quiet], Path(folder) / "log", clean)
        try:
            url = f"http://127.0.0.1:{port}"
            await answers(f"{url}/health")
            yield url, started.pid
        finally:
            started.stop()


async def one_worker(sdk: str, url: str) -> tuple[float, float]:
    """PSS and RSS of a worker, some seconds after it connected."""
    with tempfile.TemporaryDirectory() as folder:
        env = {"INNGEST_DEV": url, "BENCH_SDK": SDKS[sdk]}
        command = [sys.executable, "-m", "bench.idle_worker"]
        worker = Server(command, Path(folder) / "log", env)
        try:
            await asyncio.sleep(2 * SETTLE_S)
            if worker.process.poll() is not None:
                raise RuntimeError((Path(folder) / "log").read_text())
            return memory_mib(worker.pid)
        finally:
            worker.stop()


async def many_workers(count: int, url: str, pid: int, seconds: float) -> float:
    """Connect so many workers; the server's share of a core while they wait."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    made = [_worker(index, url) for index in range(count)]
    tasks: list[asyncio.Task[None]] = []
    for start in range(0, count, 50):
        some = made[start : start + 50]
        tasks += [asyncio.create_task(worker.start()) for worker in some]
        await asyncio.gather(*(one.wait_for_state(ConnectionState.ACTIVE) for one in some))
    await asyncio.sleep(SETTLE_S)
    process = psutil.Process(pid)
    spent, began = process.cpu_times(), time.perf_counter()
    await asyncio.sleep(seconds)
    now, took = process.cpu_times(), time.perf_counter() - began
    for worker in made:
        worker.ask_close()
    await asyncio.gather(*tasks)
    return (now.user + now.system - spent.user - spent.system) / took


def _worker(index: int, url: str) -> WorkerConnection:
    client = stepwell.Inngest(
        app_id="idle", is_production=False, api_base_url=url, event_api_base_url=url
    )

    @client.create_function(fn_id="one", trigger=stepwell.TriggerEvent(event="bench/one"))
    async def one(ctx: stepwell.Context) -> int:
        return 1

    functions = [(client, [one])]
    name = f"worker-{index}"
    return connect(functions, instance_id=name, isolate_execution=False, shutdown_signals=[])


def memory_mib(pid: int) -> tuple[float, float]:
    """PSS and RSS of a process; where there is no PSS, RSS stands for both."""
    found = psutil.Process(pid).memory_full_info()
    return getattr(found, "pss", found.rss) / MIB, found.rss / MIB


if __name__ == "__main__":
    main(sys.argv[1:])
