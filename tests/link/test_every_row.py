"""Each row of the feature table about the worker connection (W-1 to W-39), and each failure
scenario of its protocol (1 to 50), has a test that bears its number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
WHERE = ("link", "unit/sdk/connect", "unit/server/gateway", "unit/wire", "interop", "unit/cli")


def numbered() -> Iterator[tuple[str, int]]:
    """(kind, number) for each number at the beginning of a test's name."""
    files = [path for folder in WHERE for path in (TESTS / folder).glob("test_*.py")]
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            scenarios = path.name == "test_failure_scenarios.py"
            for word in node.name.split("_")[1:]:
                if word == "scenario":
                    scenarios = True
                elif row := re.fullmatch(r"w(\d\d)", word):
                    yield "row", int(row[1])
                elif scenarios and re.fullmatch(r"\d\d", word):
                    yield "scenario", int(word)
                else:
                    break


def test_each_row_and_each_scenario_has_a_test_of_its_number() -> None:
    found = set(numbered())
    wanted = {("row", n) for n in range(1, 40)} | {("scenario", n) for n in range(1, 51)}
    assert wanted - found == set()
