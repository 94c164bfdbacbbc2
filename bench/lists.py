"""What lists cost where much is stored: `scripts/bench lists [--runs 1000000] [--times 40]`.

A database with so many finished runs and as many events, a server on it, and every list and filter
of the page asked for by turns, over HTTP. The processor's time is that of both ends, which are one
process here; it tells more than the clock where others share the machine.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from bench.stored import FUNCTIONS, fill, served_from
from stepwell.cli.process import look_for_circles_seldom
from stepwell.server.config.node_config import DATABASE_NAME
from stepwell.server.serving import Server


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench lists")
    parser.add_argument("--runs", type=int, default=1_000_000, help="how many are stored")
    parser.add_argument("--times", type=int, default=40, help="how often each list is asked for")
    wanted = parser.parse_args(arguments)
    asyncio.run(measure(wanted.runs, wanted.times))


def questions(now: datetime) -> dict[str, str]:
    """What is asked, by what people call it."""
    app, function = FUNCTIONS[7].partition("-")[0], FUNCTIONS[7].partition("-")[2]
    of = f"appId={app}&functionId={function}"
    hour, day = ((now - back).isoformat() for back in (timedelta(hours=1), timedelta(days=1)))
    earlier = (now - timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    return {
        "runs": "runs?limit=50&order=DESC&timeField=queuedAt",
        "runs, oldest first": "runs?limit=50&order=ASC",
        "runs with retries": "runs?limit=50&includeRetries=true",
        "failed": "runs?limit=50&status=FAILED",
        "of a function": f"runs?limit=50&{of}",
        "failed of a function": f"runs?limit=50&status=FAILED&{of}",
        "of an app": f"runs?limit=50&appId={app}",
        "last ended": "runs?limit=50&timeField=endedAt",
        "last failed": "runs?limit=50&timeField=endedAt&status=FAILED",
        "of a function, by end": f"runs?limit=50&timeField=endedAt&{of}",
        "queued": "runs?limit=50&status=QUEUED",
        "before a moment": f"runs?limit=50&until={earlier}",
        "events": "events?limit=50&includeData=true",
        "events of a name": "events?limit=50&name=shop/event7&includeData=true",
        "failures": f"failures?from={hour.replace('+00:00', 'Z')}",
        "durations": f"durations?from={hour.replace('+00:00', 'Z')}",
        "counts of a day": f"counts?from={day.replace('+00:00', 'Z')}",
        "search: a frequent value": "runs?limit=50&query=event.data.order+%25+7+%3D%3D+0",
    }


async def measure(runs: int, times: int) -> None:
    """One table."""
    console = Console(width=100)
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE_NAME
        began = time.monotonic()
        fill(path, runs, int(now.timestamp() * 1000), ended=True)
        size = path.stat().st_size / 2**20
        console.print(
            f"{runs:,} runs, {size:,.0f} MiB, written in {time.monotonic() - began:.0f} s"
        )
        server = Server(served_from(folder))
        await server.start()
        look_for_circles_seldom()  # as the command that runs a server does
        try:
            console.print(await _table(server.url.replace("localhost", "127.0.0.1"), times, now))
        finally:
            await server.stop()


async def _table(url: str, times: int, now: datetime) -> Table:
    table = Table("list", "processor ms", "median ms", "95th ms", "rows")
    took: dict[str, list[float]] = {}
    worked: dict[str, list[float]] = {}
    rows: dict[str, int] = {}
    async with aiohttp.ClientSession() as http:
        asked = questions(now)
        asked["runs, the 40th page"] = await _deep(http, url, 40)
        for _ in range(times):
            for name, path in asked.items():
                began, worked_before = time.perf_counter(), time.process_time()
                async with http.get(f"{url}/api/v2/{path}") as answer:
                    told = await answer.json()
                    assert answer.status == 200, (name, told)
                took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
                used_ms = (time.process_time() - worked_before) * 1000
                worked.setdefault(name, []).append(used_ms)
                rows[name] = len(told["data"])
    for name, each in took.items():
        late = statistics.quantiles(each, n=20)[-1]
        figures = (statistics.median(worked[name]), statistics.median(each), late)
        table.add_row(name, *(f"{figure:.1f}" for figure in figures), str(rows[name]))
    return table


async def _deep(http: aiohttp.ClientSession, url: str, pages: int) -> str:
    """The question for a page far down."""
    path = "runs?limit=50"
    for _ in range(pages):
        async with http.get(f"{url}/api/v2/{path}") as answer:
            page = (await answer.json())["page"]
        path = f"runs?limit=50&cursor={page['cursor']}"
    return path
