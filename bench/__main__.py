"""Runs the workloads on the chosen peers and prints ratios.

    scripts/bench adapters [--only fast_api,flask] [--rounds 15]
    scripts/bench events [--events 20000] [--rounds 3]
    scripts/bench bulk [--runs 100000] [--rate 2000]
    scripts/bench call [--steps 0,10,100]
    scripts/bench database [--only bloat,sleepers,neighbour]
    scripts/bench flow [--scale 1.0]
    scripts/bench idle [--workers 1000] [--seconds 20]
    scripts/bench lists [--runs 1000000] [--times 40]
    scripts/bench nodes [--nodes 1,2,4] [--runs 400]
    scripts/bench testing [--tests 200]
    scripts/bench start [--rounds 10]
    scripts/bench soak [--minutes 10] [--rate 200]
    scripts/bench [--only stepwell_full,restate] [--workloads W2,W3] [--scale 1.0] [--rounds 3]

Peers take turns within each round, so that a slow minute of the machine is shared by all.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench import (
    adapters,
    bulk,
    call,
    database,
    events,
    flow,
    idle,
    lists,
    nodes,
    soak,
    start,
    testing,
)
from bench.peers import PEERS
from bench.workload import WORKLOADS

PARTS = {
    "adapters": adapters,
    "bulk": bulk,
    "call": call,
    "database": database,
    "events": events,
    "flow": flow,
    "idle": idle,
    "lists": lists,
    "nodes": nodes,
    "soak": soak,
    "start": start,
    "testing": testing,
}
PEERS_PYTHON = "BENCH_PEERS_PYTHON"
"""The interpreter that has the peers' packages; ours run on this one."""

HIGHER_IS_BETTER = ("/s", "after/before")
Samples = dict[tuple[str, str, str], list[float]]


def main() -> None:
    """Measure, then print a table per workload; or run the part that is named first."""
    if (part := PARTS.get("".join(sys.argv[1:2]))) is not None:
        part.main(sys.argv[2:])
        return
    wanted = _arguments()
    samples: Samples = defaultdict(list)
    durability: dict[str, str] = {}
    for round_number in range(wanted.rounds):
        for peer in wanted.peers:
            print(f"round {round_number + 1}: {peer}", file=sys.stderr, flush=True)
            for line in _measure(peer, wanted.workloads, wanted.scale):
                durability[peer] = line["durability"]
                if "error" in line:
                    print(f"  {line['workload']}: {line['error']}", file=sys.stderr)
                for figure, value in line["figures"].items():
                    samples[line["workload"], figure, peer].append(value)
    _print(samples, durability, wanted.peers, wanted.base)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--only", default=",".join(PEERS), help="peers, comma-separated")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="such as W2,W3")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workloads")
    parser.add_argument("--rounds", type=int, default=3, help="median of how many rounds")
    parser.add_argument("--base", default="restate", help="the peer that ratios compare with")
    parsed = parser.parse_args()
    parsed.peers = _known(parsed.only, PEERS, "peer")
    parsed.workloads = _known(parsed.workloads, WORKLOADS, "workload")
    return parsed


def _known(text: str, known: Iterable[str], what: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            sys.exit(f"no {what} is called {name!r}; there are {', '.join(known)}")
    return names


def _measure(peer: str, workloads: list[str], scale: float) -> Iterable[dict[str, object]]:
    theirs = os.environ.get(PEERS_PYTHON, sys.executable)
    python = sys.executable if peer.startswith("stepwell") else theirs
    command = [python, "-m", "bench.measure", peer, ",".join(workloads), str(scale)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
    if done.returncode != 0:
        print(f"  {peer} failed:\n{done.stderr[-2_000:]}", file=sys.stderr)


def _print(samples: Samples, durability: dict[str, str], peers: list[str], base: str) -> None:
    console = Console(width=150)
    for peer in peers:
        if peer in durability:
            console.print(f"{peer}: {durability[peer]}")
    rows = dict.fromkeys((workload, figure) for workload, figure, _ in samples)
    table = Table("workload", *peers, title=f"median (ratio to {base}; above 1 is better)")
    for workload, figure in rows:
        cells = [_cell(samples, workload, figure, peer, base) for peer in peers]
        table.add_row(f"{workload} {figure}", *cells)
    console.print(table)


def _cell(samples: Samples, workload: str, figure: str, peer: str, base: str) -> str:
    values = samples.get((workload, figure, peer))
    if not values:
        return "–"
    value = statistics.median(values)
    text = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
    compared = samples.get((workload, figure, base))
    if not compared or peer == base or not statistics.median(compared) or not value:
        return text
    other = statistics.median(compared)
    ratio = value / other if figure.endswith(HIGHER_IS_BETTER) else other / value
    return f"{text} ({ratio:.2g}x)"


if __name__ == "__main__":
    main()
