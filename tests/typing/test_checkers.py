"""What users write is accepted and refused alike by mypy and pyright, both strict.

The programs of the README and the pages are among it: one run of each checker sees them all.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.cli.verbs.new import TEMPLATES, project
from tests.docs.test_snippets import all_programs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAMS = sorted([*HERE.glob("programs/*.py"), *HERE.glob("events/events_*.py")])
Found = dict[str, dict[int, str]]
# What the first generates is checked in `events`; tests of users are seldom annotated.
LEFT_OUT = ("from events_typed import", "def test_")
# It has no types of its own where pyright looks for them.
UNTYPED = "functions_framework.http("


def shown() -> dict[str, str]:
    """The programs of the pages, by a name that says where they stand."""
    return {
        f"{re.sub(r'[^a-z]', '_', snippet.page.lower())}_{snippet.line}.py": snippet.code
        for snippet in all_programs()
        if not any(words in snippet.code for words in LEFT_OUT)
    }


def generated() -> dict[str, str]:
    """The modules that `stepwell new` writes. In one folder only the applications share a name."""
    return {
        f"{template}_{name}" if name == "app.py" else name: text
        for template in TEMPLATES
        for name, text in project("shop", template).items()
        if name.endswith(".py")
    }


def run_mypy(programs: list[Path]) -> Found:
    """One run over all programs: the complaints by file and line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-pretty"]
    out = subprocess.run(
        [*command, "--config-file=", *map(str, programs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode in (0, 1), out.stdout + out.stderr
    found: Found = {path.name: {} for path in programs}
    for line in out.stdout.splitlines():
        match = re.match(r"(?:.*/)?([^/:]+\.py):(\d+)(?::\d+)?: error: (.*)", line)
        if match:
            found.setdefault(match[1], {})[int(match[2])] = match[3]
    return found


def run_pyright(programs: list[Path], folder: Path) -> Found:
    """The same with pyright, which is told what to do in a file of the folder."""
    settings = json.loads((HERE / "pyrightconfig.json").read_text())
    settings["include"] = [os.path.relpath(path, folder) for path in programs]
    settings["extraPaths"] = [str(ROOT), str(HERE / "events")]
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(folder)]
    out = subprocess.run(
        [*command, "--pythonpath", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(out.stdout)["summary"]["filesAnalyzed"] == len(programs)
    found: Found = {path.name: {} for path in programs}
    for problem in json.loads(out.stdout)["generalDiagnostics"]:
        if problem["severity"] == "error":
            line = problem["range"]["start"]["line"] + 1
            found.setdefault(Path(problem["file"]).name, {})[line] = problem["message"]
    return found


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    folder = tmp_path_factory.mktemp("programs")
    programs = list(PROGRAMS)
    for name, code in {**shown(), **generated()}.items():
        programs.append(folder / name)
        programs[-1].write_text(code, encoding="utf-8")
    return {"mypy": run_mypy(programs), "pyright": run_pyright(programs, folder)}


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


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("name", generated())
def test_the_modules_of_new_projects_are_accepted(
    complaints: dict[str, Found], checker: str, name: str
) -> None:
    assert complaints[checker][name] == {}


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("name", shown())
def test_the_programs_of_the_pages_are_accepted(
    complaints: dict[str, Found], checker: str, name: str
) -> None:
    lines = shown()[name].splitlines()
    found = complaints[checker][name]
    assert {line: text for line, text in found.items() if UNTYPED not in lines[line - 1]} == {}
