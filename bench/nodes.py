"""What a run costs when several nodes share one PostgreSQL, all of them together.

    scripts/bench nodes [--nodes 1,2,4] [--runs 400] [--rounds 3]

Each node is an engine in a process of its own, and sends an equal part of the events. What counts
is the time of the processor: of all nodes, and of the database. What they take at rest, to look for
work now and then, was measured before and is taken off. Of the rounds, the middle one.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench.marks import Marks
from bench.postgres import start_postgres

KINDS = {"one": 1, "five": 5}
"""Functions, and how many steps they have."""
AT_REST_S = 3.0
LIMIT_S = 120.0
Figures = dict[str, float]


class Node:
    """One node, in a process."""

    def __init__(self, url: str, marks: Path) -> None:
        command = [sys.executable, "-m", "bench.node", url, str(marks)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def ready(self) -> None:
        """Wait until it is."""
        if self._line() != "ready":
            raise RuntimeError("a node did not start")

    def send(self, kind: str, name: str, count: int) -> None:
        """Have it send so many events."""
        self._say(f"send {kind} {name} {count}")

    def work(self) -> dict[str, int]:
        """What its ledger did so far."""
        self._say("work")
        found: dict[str, int] = json.loads(self._line())
        return found

    def stop(self) -> None:
        """Let it end in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main(words: Sequence[str] | None = None) -> None:
    """Measure, then print a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench nodes")
    parser.add_argument("--nodes", default="1,2,4", help="how many share the database")
    parser.add_argument("--runs", type=int, default=400, help="of each kind, in all")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args(words)
    counts = [int(count) for count in wanted.nodes.split(",")]
    load = os.getloadavg()[0]
    table = Table(
        "steps of a run",
        "nodes",
        "ms a step",
        "of the database",
        "ratio",
        "steps/s",
        "inputs a commit",
        title=f"load {load:.1f} on {os.cpu_count()} cores",
    )
    found = {count: asyncio.run(measure(count, wanted.runs, wanted.rounds)) for count in counts}
    for kind, steps in KINDS.items():
        base = found[counts[0]][kind]["ms"]
        for count in counts:
            one = found[count][kind]
            table.add_row(
                str(steps),
                str(count),
                f"{one['ms']:.2f}",
                f"{one['database ms']:.2f}",
                f"{one['ms'] / base:.2f}",
                f"{one['steps/s']:.0f}",
                f"{one['inputs'] / max(one['commits'], 1):.1f}",
            )
    Console(width=100).print(table)


async def measure(count: int, runs: int, rounds: int) -> dict[str, Figures]:
    """What a step of each kind takes with so many nodes."""
    folder = Path(tempfile.mkdtemp(prefix="bench-nodes-"))
    database, url = start_postgres(folder)
    marks = Marks(folder / "marks")
    nodes: list[Node] = []
    try:
        for _ in range(count):
            nodes.append(Node(url, folder / "marks"))
            nodes[-1].ready()
        for kind in KINDS:
            await burst(nodes, marks, kind, 20 * count)
        at_rest = await resting(nodes, database.pid)
        return {
            kind: middle(
                [
                    await measured(nodes, database.pid, marks, kind, runs, at_rest)
                    for _ in range(rounds)
                ]
            )
            for kind in KINDS
        }
    finally:
        for node in nodes:
            node.stop()
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def burst(nodes: Sequence[Node], marks: Marks, kind: str, runs: int) -> None:
    """So many runs at once, to the last line of the last."""
    marks.clear()
    each = runs // len(nodes)
    names = [f"{kind}-{time.time_ns()}-{number}" for number in range(len(nodes))]
    for node, name in zip(nodes, names, strict=True):
        node.send(kind, name, each)
    await marks.all_last([f"{name}-{number}" for name in names for number in range(each)], LIMIT_S)


async def resting(nodes: Sequence[Node], database: int) -> tuple[float, float]:
    """Seconds of processor for each second in which there is nothing to do: of all, of the
    database."""
    await asyncio.sleep(1.0)
    before, began = spent(nodes, database), time.monotonic()
    await asyncio.sleep(AT_REST_S)
    took = time.monotonic() - began
    after = spent(nodes, database)
    return (after[0] - before[0]) / took, (after[1] - before[1]) / took


async def measured(
    nodes: Sequence[Node],
    database: int,
    marks: Marks,
    kind: str,
    runs: int,
    at_rest: tuple[float, float],
) -> Figures:
    """One burst."""
    works = [node.work() for node in nodes]
    before, began = spent(nodes, database), time.monotonic()
    await burst(nodes, marks, kind, runs)
    # The runs end a moment after their last line.
    await asyncio.sleep(0.3)
    took, after = time.monotonic() - began, spent(nodes, database)
    last, steps = max(marks.last.values()), len(marks.last) * KINDS[kind]
    seconds = [b - a - rest * took for a, b, rest in zip(before, after, at_rest, strict=True)]
    figures = {
        "ms": seconds[0] * 1_000 / steps,
        "database ms": seconds[1] * 1_000 / steps,
        "steps/s": steps / (last - min(marks.first.values())),
    }
    for name in ("commits", "inputs"):
        done = (node.work()[name] - was[name] for node, was in zip(nodes, works, strict=True))
        figures[name] = float(sum(done))
    return figures


def spent(nodes: Sequence[Node], database: int) -> tuple[float, float]:
    """Seconds of processor so far: of nodes and database, of the database."""
    of_database = seconds_of(database)
    return sum(seconds_of(node.pid) for node in nodes) + of_database, of_database


def seconds_of(pid: int) -> float:
    """Seconds of processor of a process and its children, those that have ended among them."""
    root = psutil.Process(pid)
    times = [one.cpu_times() for one in (root, *root.children(recursive=True))]
    ended = root.cpu_times()
    return sum(one.user + one.system for one in times) + ended.children_user + ended.children_system


def middle(rounds: Sequence[Figures]) -> Figures:
    """The middle of each figure."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


if __name__ == "__main__":
    main()
