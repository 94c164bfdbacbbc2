"""What an adapter adds to its framework: one call of an empty function, less a bare route.

    scripts/bench adapters [--only fast_api,flask] [--rounds 15] [--batch 200]

Both routes of an application are asked in turns over one kept connection, in batches. What counts
is the time of the processor, of all threads of the server's process; of the rounds, the least:
what is beyond it is other people's work.
Where the official SDK has an adapter for the framework, the same application with it is asked in
turns with ours.
Needs Linux, whose clocks tell the time of other processes.
"""

import argparse
import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from bench.adapter_apps import APPS
from bench.processes import Server, free_port
from stepwell.testing.contract.adapter_peer import call_body

# The framework and the colours of functions the official SDK's adapter takes.
OFFICIAL = {
    "fast_api": ("async", "sync"),
    "flask": ("async", "sync"),
    "django_wsgi": ("async", "sync"),
    "django_asgi": ("async", "sync"),
    "tornado": ("sync",),
    "digital_ocean": ("sync",),
}
# The official SDK's adapter for Tornado runs plain functions on the event loop, which nothing else
# can use meanwhile; beside it ours is told to do the same.
ON_THE_LOOP = {"tornado"}
NO_THREADS = {"INNGEST_THREAD_POOL_MAX_WORKERS": "0"}
Side: TypeAlias = tuple[str, Mapping[str, str]]
"""Ours or theirs, and variables of its environment."""
START_S = 20.0
WARM_UP = 100
CPUCLOCK_SCHED = 2
CALL = "/api/inngest?fnId=bench-f&stepId=step"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, then print a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench adapters")
    parser.add_argument("--only", default=",".join(APPS), help="frameworks, comma-separated")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=200, help="requests of one kind in a row")
    wanted = parser.parse_args(words)
    table = Table("framework", "function", "hello µs", "ours + µs", "official + µs", "ratio")
    names = wanted.only.split(",")
    if unknown := [name for name in names if name not in APPS]:
        sys.exit(f"no framework is called {', '.join(unknown)}; there are {', '.join(APPS)}")
    for name in names:
        for colour in ("async", "sync"):
            table.add_row(name, colour, *row(name, colour, wanted.rounds, wanted.batch))
    Console(width=100).print(table)


def row(name: str, colour: str, rounds: int, batch: int) -> list[str]:
    """What a bare route takes, what ours adds, what the official SDK's adapter adds, and the ratio
    of ours to it, both working alike."""
    sides: list[Side] = [("ours", {})]
    if colour in OFFICIAL.get(name, ()):
        environ = NO_THREADS if name in ON_THE_LOOP else {}
        sides += [("theirs", environ)]
        sides += [("ours", environ)] if environ else []
    (hello, ours), *beside = measure(name, colour, sides, rounds, batch)
    cells = [f"{hello:.0f}", f"{ours:.0f}"]
    if beside:
        theirs, alike = beside[0][1], beside[-1][1] if len(beside) > 1 else ours
        cells += [f"{theirs:.0f}", f"{alike / theirs:.2f}"]
    return cells


def measure(
    name: str, colour: str, sides: Sequence[Side], rounds: int, batch: int
) -> list[tuple[float, float]]:
    """For each side, microseconds of the bare route, and what a call takes beyond that.

    They are asked in turns: what else the machine does meanwhile is done to all of them.
    """
    path = "/hello-async" if name == "django_asgi" else "/hello"
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running(name, colour, side, environ)) for side, environ in sides
        ]
        spent: list[tuple[list[float], list[float]]] = [([], []) for _ in sides]
        for connection, _ in servers:
            ask(connection, path, WARM_UP)
            ask(connection, CALL, WARM_UP)
        for _ in range(rounds):
            for (connection, pid), (bare, whole) in zip(servers, spent, strict=True):
                for asked, times in ((path, bare), (CALL, whole)):
                    began = processor_ns(pid)
                    ask(connection, asked, batch)
                    times.append((processor_ns(pid) - began) / batch / 1e3)
    return [(min(bare), min(whole) - min(bare)) for bare, whole in spent]


def processor_ns(pid: int) -> int:
    """What all threads of a process have spent so far. A busy machine changes nothing about it."""
    return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)


@contextmanager
def running(
    name: str, colour: str, side: str, environ: Mapping[str, str]
) -> Generator[tuple[http.client.HTTPConnection, int]]:
    """The application in a process of its own: a connection to it, and its id."""
    port = free_port()
    command = [sys.executable, "-m", "bench.adapter_apps", name, colour, side, str(port)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        server = Server(command, log, {"INNGEST_DEV": "1", **environ})
        try:
            yield connected(port, server.process, log), server.pid
        finally:
            server.stop()


def connected(port: int, process: subprocess.Popen[bytes], log: Path) -> http.client.HTTPConnection:
    """A connection, once somebody listens."""
    give_up = time.monotonic() + START_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.connect()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > give_up:
                sys.exit(log.read_text())
            time.sleep(0.02)
        else:
            return connection


def ask(connection: http.client.HTTPConnection, path: str, count: int) -> None:
    """So many requests in a row. Exits if one is refused."""
    body = call_body({"said": "hello"}, {}, use_api=False)  # the official SDK wants it there
    headers = {"content-type": "application/json"}
    for _ in range(count):
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{path}: {answer.status} {text[:500]!r}")


if __name__ == "__main__":
    main()
