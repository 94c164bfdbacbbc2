"""What users write is accepted and refused alike by mypy and pyright, both strict."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAMS = sorted([*HERE.glob("programs/*.py"), *HERE.glob("events/events_*.py")])
Found = dict[str, dict[int, str]]


def run_mypy() -> Found:
    """One run over all programs: the complaints by file and line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-pretty"]
    out = subprocess.run(
        [*command, "--config-file=", *map(str, PROGRAMS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode in (0, 1), out.stdout + out.stderr
    found: Found = {path.name: {} for path in PROGRAMS}
    for line in out.stdout.splitlines():
        match = re.match(r"(?:.*/)?([^/:]+\.py):(\d+)(?::\d+)?: error: (.*)", line)
        if match:
            found.setdefault(match[1], {})[int(match[2])] = match[3]
    return found


def run_pyright() -> Found:
    """The same with pyright."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(HERE)]
    out = subprocess.run(
        [*command, "--pythonpath", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(out.stdout)["summary"]["filesAnalyzed"] == len(PROGRAMS)
    found: Found = {path.name: {} for path in PROGRAMS}
    for problem in json.loads(out.stdout)["generalDiagnostics"]:
        if problem["severity"] == "error":
            line = problem["range"]["start"]["line"] + 1
            found.setdefault(Path(problem["file"]).name, {})[line] = problem["message"]
    return found


@pytest.fixture(scope="module")
def complaints() -> dict[str, Found]:
    return {"mypy": run_mypy(), "pyright": run_pyright()}


def marked(path: Path) -> set[int]:
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# REJECT")}


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_checkers_agree(complaints: dict[str, Found], checker: str, path: Path) -> None:
    found = complaints[checker][path.name]
    wanted = marked(path)
    assert {line: found[line] for line in sorted(set(found) - wanted)} == {}, "refused"
    lines = path.read_text().splitlines()
    assert [lines[line - 1].strip() for line in sorted(wanted - set(found))] == [], "accepted"
