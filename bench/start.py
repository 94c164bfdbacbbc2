"""What importing costs a program: ours beside the official SDK, and beside what both are made of.

    scripts/bench start [--rounds 10]

What counts is the time of the processor that the process spent, of the rounds the least. The
libraries alone (pydantic with one model, asyncio, msgspec) are the floor below which neither gets
that declares a function; `import stepwell` alone brings no name, so the client is measured beside.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

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


if __name__ == "__main__":
    main()
