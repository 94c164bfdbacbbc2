"""What importing costs a program: ours beside the official SDK, and beside what both are made of.

    scripts/bench start [--rounds 10]

What counts is the time of the processor that the process spent, of the rounds the least. The
libraries alone (pydantic with one model, asyncio, msgspec) are the floor below which neither gets
that declares a function; `import stepwell` alone brings no name, so the client is measured beside.
Last comes the time, by the clock, from the start of `stepwell dev` until its /health answers.
"""

import argparse
import http.client
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.processes import READY_S, Server, free_port

DECLARES = """
import {module} as sdk

client = sdk.Inngest(app_id="shop", is_production=False)


@client.create_function(fn_id="order", trigger=sdk.TriggerEvent(event="shop/order"))
async def order(ctx: sdk.Context) -> str:
    return ""
"""
PROGRAMS = {
    "nothing": "pass",
    "the libraries alone": """
import asyncio, msgspec, pydantic

class Model(pydantic.BaseModel):
    number: int = 1

Model()
""",
    "import stepwell": "import stepwell",
    "import inngest": "import inngest",
    "the client, ours": "from stepwell import Inngest",
    "a function, ours": DECLARES.format(module="stepwell"),
    "a function, official": DECLARES.format(module="inngest"),
    "stepwell --help": """
import sys
from stepwell.cli.entry import main
sys.argv[1:] = ["--help"]
main()
""",
}
BASE = "import inngest"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, then print a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench start")
    parser.add_argument("--rounds", type=int, default=10, help="the least of how many rounds")
    wanted = parser.parse_args(words)
    spent = dict.fromkeys(PROGRAMS, float("inf"))
    for _ in range(wanted.rounds):
        for name, program in PROGRAMS.items():
            spent[name] = min(spent[name], _spent_s(program))
    table = Table("start", "ms of the processor", f"of {BASE}")
    for name, seconds in spent.items():
        table.add_row(name, f"{seconds * 1000:.0f}", f"{seconds / spent[BASE]:.2f}")
    Console().print(table)
    ready = min(_ready_s() for _ in range(wanted.rounds))
    Console().print(f"stepwell dev answers after {ready:.2f} s")


def _spent_s(program: str) -> float:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, nowhere, out) for out in (1, 2)]
    command = [sys.executable, "-c", program]
    child = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions)
    os.close(nowhere)
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"this program failed: {program}")
    return used.ru_utime + used.ru_stime


def _ready_s() -> float:
    port, began = free_port(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stepwell", "dev", "--no-discovery", "--port", str(port)]
        server = Server([*command, "--sqlite-dir", folder], Path(folder, "log"))
        try:
            while not _is_healthy(port):
                if server.process.poll() is not None or time.perf_counter() - began > READY_S:
                    raise SystemExit(Path(folder, "log").read_text())
                time.sleep(0.005)
            return time.perf_counter() - began
        finally:
            server.stop()


def _is_healthy(port: int) -> bool:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
    try:
        asked.request("GET", "/health")
        return asked.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        asked.close()


if __name__ == "__main__":
    main()
