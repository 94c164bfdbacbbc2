"""Makes the table of docs/frameworks.md from the results of the adapter contract.

`python -m tools.frameworks` runs the contract on every framework and writes both the results, kept
beside the contract, and the page; a test compares them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "tests/contract/adapters/results.json"
PAGE = ROOT / "docs/frameworks.md"
BEGIN, END = "<!-- the table: made by tools/frameworks.py -->\n", "<!-- the end of the table -->\n"
HEADINGS = (
    "Framework",
    "Module",
    "Server",
    "Tested",
    "`async def`",
    "`def`",
    "Streaming",
    "A lost client ends a streamed call",
    "Largest call",
)

Row: TypeAlias = dict[str, Any]


def results() -> dict[str, Row]:
    """What the contract gave when it was last kept."""
    kept: dict[str, Row] = json.loads(RESULTS.read_text("utf-8"))
    return kept


def page(text: str, rows: dict[str, Row]) -> str:
    """The page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE} lacks the marks around its table")
    return f"{before}{BEGIN}{_table(rows)}{END}{after}"


def _table(rows: dict[str, Row]) -> str:
    ordered = sorted(rows.values(), key=lambda row: row["title"].strip("`").lower())
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(_cells(row) for row in ordered)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    left = _passed(row, "test_clients_that_go_away_do_no_harm")
    return (
        row["title"],
        f"`{row['module']}`",
        row["server"],
        versions or "with Python",
        _passed(row, "test_f42_a_step_runs_and_then_the_function_returns[async]"),
        _passed(row, "test_f42_a_step_runs_and_then_the_function_returns[sync]"),
        _passed(row, "test_f54_streamed_answers[lingers]"),
        left if row["notices_disconnects"] else "no",
        row["body"]
        if _passed(row, "test_f02_large_bodies_arrive_whole") == "yes"
        else "below 20 MB",
    )


def _passed(row: Row, test: str) -> str:
    return "yes" if row["outcomes"].get(test) == "passed" else "no"


def main() -> int:
    """Runs the contract, then writes what changed. Fails if the contract does."""
    command = [sys.executable, "-m", "pytest", "tests/contract/adapters", "-q"]
    environ = {**os.environ, "STEPWELL_FRAMEWORK_RESULTS": str(RESULTS)}
    if subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode != 0:  # noqa: S603
        return 1
    PAGE.write_text(page(PAGE.read_text("utf-8"), results()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
