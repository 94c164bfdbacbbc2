"""Very many runs cancelled at once: `scripts/bench bulk [--runs 100000] [--rate 2000]`.

A database with so many runs that wait, a server on it, and a bulk over HTTP that cancels them all
at a pace. Meanwhile the list of runs is asked for ten times a second, as by somebody who looks on:
how long that takes tells whether anybody was kept waiting.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from bench.stored import fill, served_from
from stepwell.server.config.node_config import DATABASE_NAME
from stepwell.server.serving import Server

LOOK_EVERY_S = 0.1


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench bulk")
    parser.add_argument("--runs", type=int, default=100_000, help="how many are cancelled")
    parser.add_argument("--rate", type=int, default=2_000, help="how many a second, at most 2,000")
    wanted = parser.parse_args(arguments)
    asyncio.run(measure(wanted.runs, wanted.rate))


async def measure(runs: int, rate: int) -> None:
    """One table."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / DATABASE_NAME, runs, int(time.time() * 1000), ended=False)
        server = Server(served_from(folder))
        await server.start()
        try:
            url = f"{server.url.replace('localhost', '127.0.0.1')}/api/v2"
            async with aiohttp.ClientSession() as http:
                Console(width=100).print(await _cancelled(http, url, rate))
        finally:
            await server.stop()


async def _cancelled(http: aiohttp.ClientSession, url: str, rate: int) -> Table:
    body = {"action": "cancel", "filter": {"status": ["QUEUED"]}, "rate": rate}
    began, worked = time.perf_counter(), time.process_time()
    async with http.post(f"{url}/bulk", json=body) as answer:
        bulk: dict[str, Any] = (await answer.json())["data"]
    looked: list[float] = []
    while bulk["status"] == "RUNNING":
        await asyncio.sleep(LOOK_EVERY_S)
        asked = time.perf_counter()
        async with http.get(f"{url}/runs?limit=50") as answer:
            await answer.read()
        looked.append((time.perf_counter() - asked) * 1000)
        async with http.get(f"{url}/bulk/{bulk['id']}") as answer:
            bulk = (await answer.json())["data"]
    took, used = time.perf_counter() - began, time.process_time() - worked
    table = Table("cancelled", "a second", "processor s", "list: median ms", "list: longest ms")
    figures = (bulk["done"] / took, used, statistics.median(looked), max(looked))
    table.add_row(f"{bulk['done']:,}", *(f"{figure:,.1f}" for figure in figures))
    return table
