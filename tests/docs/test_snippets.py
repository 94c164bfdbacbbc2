"""Whatever the README and the pages show, runs.

A fenced block marked `python` is a program: it is run alone in a process and must end well.
`python continued` goes on from the blocks before it on its page. One marked `python test` is a
file of tests, run by pytest; `python test continued` goes on from those before it. A block marked
`output` right after one is what it must print. In a `console` block each `$ stepwell …` names a
verb and flags that exist.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepwell.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
SECONDS_MAX = 60
PAGE_SECONDS_MAX = 240
# No other plugin: whoever follows a page has none.
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_stepwell"]
LABELS = {"python", "python continued", "python test", "python test continued"}
# What else a console block may show.
OTHERS = {
    "cd",
    "cp",
    "curl",
    "docker",
    "export",
    "git",
    "journalctl",
    "opentelemetry-instrument",
    "pip",
    "pytest",
    "python",
    "systemctl",
}
# Verbs that have verbs of their own.
GROUPS = {"bulk", "events", "keys", "limits"}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A program of one page: everything it consists of, and what it must print (None: anything)."""

    page: str
    line: int
    code: str
    output: str | None
    is_test: bool = False


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[tuple[int, str, str]]:
    return [
        (text.count("\n", 0, m.start()) + 1, m.group(1).strip(), m.group(2))
        for m in FENCE.finditer(text)
    ]


def programs(page: str, text: str) -> list[Snippet]:
    found: list[Snippet] = []
    before = ""
    listed = blocks(text)
    for index, (line, label, code) in enumerate(listed):
        if label not in LABELS:
            continue
        before = f"{before}\n{code}" if label.endswith("continued") else code
        if label == "python test continued":
            found.pop()  # one run of pytest has all the tests of the page
        following = listed[index + 1] if index + 1 < len(listed) else None
        output = following[2] if following and following[1] == "output" else None
        found.append(Snippet(page, line, before, output, "test" in label.split()))
    return found


def all_programs() -> list[Snippet]:
    return [
        snippet
        for page in pages()
        for snippet in programs(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))
    ]


def commands() -> list[tuple[str, str]]:
    """Every `$ …` line of a console block, with its page."""
    return [
        (f"{page.relative_to(ROOT)}:{line}", shown[2:].strip())
        for page in pages()
        for line, label, code in blocks(page.read_text(encoding="utf-8"))
        if label == "console"
        for shown in code.splitlines()
        if shown.startswith("$ ")
    ]


@pytest.mark.parametrize("snippet", all_programs(), ids=lambda s: f"{s.page}:{s.line}")
def test_the_program_runs(snippet: Snippet, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    program = tmp_path / ("test_program.py" if snippet.is_test else "program.py")
    program.write_text(snippet.code, encoding="utf-8")
    command = [*PYTEST, "-q"] if snippet.is_test else [sys.executable]
    needs = "DATABASE_URL" in snippet.code
    given = {"DATABASE_URL": request.getfixturevalue("engine_database")} if needs else {}
    done = subprocess.run(
        [*command, str(program)],
        cwd=tmp_path,
        env={
            **os.environ,
            **given,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error::DeprecationWarning",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # others take seconds to begin
        },
        capture_output=True,
        text=True,
        # A page of tests is one run, of all its programs.
        timeout=PAGE_SECONDS_MAX if snippet.is_test else SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if snippet.output is not None:
        assert done.stdout.strip() == snippet.output.strip()


@cache
def helped(*verbs: str) -> Result:
    return CliRunner().invoke(main, [*verbs, "--help"])


@pytest.mark.parametrize(("where", "command"), commands())
def test_the_command_exists(where: str, command: str) -> None:
    words = [w for w in shlex.split(command, comments=True) if "=" not in w or w.startswith("-")]
    if words[0].startswith("scripts/"):
        assert os.access(ROOT / words[0], os.X_OK), where
    elif words[0] == "stepwell":
        verbs = words[1:3] if words[1] in GROUPS else words[1:2]
        if verbs[-1].startswith("-"):  # a part is not named, so "list" is meant
            verbs = [verbs[0], "list"]
        shown = helped(*verbs)
        assert shown.exit_code == 0, f"{where}: {shown.output}"
        flags = [w.split("=")[0] for w in words[2:] if w.startswith("-")]
        assert [f for f in flags if f not in shown.output] == [], where
    else:
        assert Path(words[0]).name in OTHERS, f"{where}: {command}"


def test_links_between_pages_lead_somewhere() -> None:
    bad = [
        f"{page.relative_to(ROOT)} → {target}"
        for page in pages()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert bad == []


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    names = [p.name for p in (ROOT / "docs/decisions").glob("[0-9]*.md")]
    assert names
    assert [n for n in names if n not in index] == []


def test_blocks_are_found_and_continued() -> None:
    text = "```python\na = 1\n```\n\n```python continued\nprint(a)\n```\n\n```output\n1\n```\n"
    first, second = programs("page", text)
    assert (first.code, first.output) == ("a = 1\n", None)
    assert (second.code, second.output) == ("a = 1\n\nprint(a)\n", "1\n")
