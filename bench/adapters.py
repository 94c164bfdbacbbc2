"""What an adapter adds to its framework: one call of an empty function, less a bare route.

    scripts/bench adapters [--only fast_api,flask] [--rounds 15] [--batch 200]

Both routes of an application are asked in turns over one kept connection, in batches. What counts
is the time of the processor, of all threads of the server's process; of the rounds, the least:
what is beyond it is other people's work.
Where the official SDK has an adapter for the framework, the same application is measured with it.
Needs Linux, whose clocks tell the time of other processes.
"""

import argparse
import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.adapter_apps import APPS
from bench.processes import Server, free_port
from stepwell.testing.adapter_peer import call_body

# The framework and the colours of functions the official SDK's adapter takes.
OFFICIAL = {
    "fast_api": ("async", "sync"),
    "flask": ("async", "sync"),
    "django_wsgi": ("async", "sync"),
    "django_asgi": ("async", "sync"),
    "tornado": ("sync",),
}
# The official SDK's adapter for Tornado runs plain functions on the event loop, which nothing else
# can use meanwhile; beside it ours is told to do the same.
ON_THE_LOOP = {"tornado"}
NO_THREADS = {"INNGEST_THREAD_POOL_MAX_WORKERS": "0"}
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
            hello, ours = measure(name, colour, "ours", wanted.rounds, wanted.batch)
            cells = [name, colour, f"{hello:.0f}", f"{ours:.0f}"]
            if colour in OFFICIAL.get(name, ()):
                cells += beside_the_official(name, colour, ours, wanted.rounds, wanted.batch)
            table.add_row(*cells)
    Console(width=100).print(table)


def beside_the_official(
    name: str, colour: str, ours: float, rounds: int, batch: int
) -> tuple[str, str]:
    """What the official SDK's adapter adds, and the ratio of ours to it, both working alike."""
    environ = NO_THREADS if name in ON_THE_LOOP else {}
    alike = measure(name, colour, "ours", rounds, batch, environ)[1] if environ else ours
    _, theirs = measure(name, colour, "theirs", rounds, batch, environ)
    return f"{theirs:.0f}", f"{alike / theirs:.2f}"


def measure(
    name: str,
    colour: str,
    side: str,
    rounds: int,
    batch: int,
    environ: Mapping[str, str] | None = None,
) -> tuple[float, float]:
    """Microseconds of the bare route, and what a call takes beyond that."""
    path = "/hello-async" if name == "django_asgi" else "/hello"
    with running(name, colour, side, environ or {}) as (connection, pid):
        ask(connection, path, WARM_UP)
        ask(connection, CALL, WARM_UP)
        bare, whole = [], []
        for _ in range(rounds):
            for asked, spent in ((path, bare), (CALL, whole)):
                began = processor_ns(pid)
                ask(connection, asked, batch)
                spent.append((processor_ns(pid) - began) / batch / 1e3)
    hello = min(bare)
    return hello, min(whole) - hello


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
