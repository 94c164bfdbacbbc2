"""Whether what grows under load shrinks at rest: `scripts/bench soak [--minutes 10] [--rate 200]`.

One server with a database that is kept, one worker with a function of two steps, and so many events
a second. Then nothing is sent for a while. Printed is what the server held before, at its most, and
after the rest: memory, log and database on the disk, files and sockets.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import psutil
from rich.console import Console
from rich.table import Table

import stepwell
from bench.processes import Server, answers, free_port
from stepwell.connect import ConnectionState, WorkerConnection, connect

MIB = 2**20
LOOK_S = 0.5
BATCH_S = 0.1


class Held(msgspec.Struct, frozen=True):
    """What a server holds. Sizes in MiB."""

    memory: float
    log: float
    database: float
    descriptors: int

    def most(self, other: "Held") -> "Held":
        """The larger of each."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Held(*(max(pair) for pair in pairs))


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench soak")
    parser.add_argument("--minutes", type=float, default=10.0, help="of load")
    parser.add_argument("--rate", type=int, default=200, help="events a second")
    parser.add_argument("--rest", type=float, default=150.0, help="seconds of rest")
    wanted = parser.parse_args(arguments)
    before, most, after, sent = asyncio.run(soaked(wanted.minutes * 60, wanted.rate, wanted.rest))
    title = f"{sent} runs of 2 steps in {wanted.minutes:g} min, then {wanted.rest:g} s of rest"
    table = Table("what the server holds", "before", "at most", "at rest", title=title)
    for field, unit in (
        ("memory", "MiB"),
        ("log", "MiB"),
        ("database", "MiB"),
        ("descriptors", ""),
    ):
        row = [f"{getattr(held, field):.1f}" for held in (before, most, after)]
        table.add_row(f"{field} {unit}".strip(), *row)
    Console(width=100).print(table)


async def soaked(seconds: float, rate: int, rest_s: float) -> tuple[Held, Held, Held, int]:
    """What was held before, at most and after a rest; and how many events were sent."""
    async with server() as (url, folder, pid), worker(url):
        before = most = held_by(pid, folder)
        sending = asyncio.ensure_future(send(url, seconds, rate))
        while not sending.done():
            most = most.most(held_by(pid, folder))
            await asyncio.sleep(LOOK_S)
        sent = await sending
        end = time.monotonic() + rest_s
        while time.monotonic() < end:
            most = most.most(held_by(pid, folder))
            await asyncio.sleep(LOOK_S)
        return before, most, held_by(pid, folder), sent


async def send(url: str, seconds: float, rate: int) -> int:
    """Send events at a rate. How many were sent."""
    number = max(1, int(rate * BATCH_S))
    body = msgspec.json.encode([{"name": "bench/soak", "data": {"text": "x" * 500}}] * number)
    end, sent = time.monotonic() + seconds, 0
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < end:
            async with http.post(f"{url}/e/bench", data=body) as answer:
                answer.raise_for_status()
            sent += number
            await asyncio.sleep(BATCH_S)
    return sent


@asynccontextmanager
async def server() -> AsyncGenerator[tuple[str, Path, int]]:
    """A server of its own: its URL, the folder of its database and its process."""
    port = free_port()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        command = [sys.executable, "-m", "stepwell", "dev", "--host", "127.0.0.1", "--persist"]
        command += ["--port", str(port), "--connect-gateway-port", str(free_port())]
        command += ["--sqlite-dir", str(folder / "data"), "--no-discovery", "--no-poll"]
        started = Server(command, folder / "log")
        try:
            url = f"http://127.0.0.1:{port}"
            await answers(f"{url}/health")
            yield url, folder / "data", started.pid
        finally:
            started.stop()


@asynccontextmanager
async def worker(url: str) -> AsyncGenerator[None]:
    """A worker in this process."""
    client = stepwell.Inngest(
        app_id="soak", is_production=False, api_base_url=url, event_api_base_url=url
    )

    async def step() -> str:
        return "y" * 500

    @client.create_function(fn_id="two", trigger=stepwell.TriggerEvent(event="bench/soak"))
    async def two(ctx: stepwell.Context) -> str:
        await ctx.step.run("one", step)
        return await ctx.step.run("two", step)

    made: WorkerConnection = connect([(client, [two])], shutdown_signals=[])
    running = asyncio.ensure_future(made.start())
    await made.wait_for_state(ConnectionState.ACTIVE)
    yield
    made.ask_close()
    await running


def held_by(pid: int, folder: Path) -> Held:
    """What is held now."""
    process = psutil.Process(pid)
    sizes = {path.name: path.stat().st_size / MIB for path in folder.iterdir()}
    return Held(
        process.memory_info().rss / MIB,
        sum(size for name, size in sizes.items() if name.endswith("-wal")),
        sum(size for name, size in sizes.items() if name.endswith(".db")),
        process.num_fds(),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
