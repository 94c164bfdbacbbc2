"""The documentation site: every page is in it, and each name of the package in its reference."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import stepwell
from tests.docs.test_snippets import ROOT
from tools import command_page, docs_site


def in_nav() -> set[Path]:
    return {page.relative_to(docs_site.PAGES) for _, _, page in docs_site.nav()}


def test_every_page_is_in_the_order_of_reading() -> None:
    made = {Path("changelog.md"), Path("reference/command-line.md")}
    pages = {page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    decisions = {page for page in pages if page.match("decisions/[0-9]*.md")}
    assert in_nav() == (pages - decisions) | made


def test_every_public_name_is_in_the_reference() -> None:
    pages = (ROOT / "docs/reference").glob("python-*.md")
    named = [name for page in pages for name in docs_site.OBJECT.findall(page.read_text())]
    assert len(named) == len(set(named))
    wanted = {f"stepwell.{name}" for name in stepwell.__all__ if not name.startswith("__")}
    assert wanted - set(named) == set()


def test_blocks_bear_the_language_alone() -> None:
    text = "```python continued\na = 1\n```\n\n```output\n1\n```\n\n```console\n$ a\n```\n"
    assert re.findall(r"^```(.*)", docs_site.labelled(text), re.MULTILINE)[::2] == [
        "python",
        "text",
        "console",
    ]


def test_a_link_to_the_changelog_stays_in_the_site() -> None:
    assert docs_site.labelled("[c](../../CHANGELOG.md)") == "[c](../changelog.md)"
    assert docs_site.labelled("[c](../CHANGELOG.md)") == "[c](changelog.md)"


def test_the_first_sentence_is_found_below_the_title() -> None:
    assert docs_site.first_sentence("# A\n\nIt is\nso. And more.\n\nNo.") == "It is so."


def test_every_verb_has_a_section() -> None:
    page = command_page.page()
    for verb in ("send", "events generate", "keys create"):
        assert re.search(rf"^#+ stepwell {verb}$", page, re.MULTILINE), verb
    assert "| `--url URL` |" in page


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_asks_no_other_host() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.docs_site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for _, _, page in docs_site.nav():
        twin = docs_site.twin(page)
        html = twin.with_suffix(".html").read_text()
        asked = re.findall(
            r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="(https?:[^"]*)', html
        )
        assert asked == [], page
        assert "\n::: " not in twin.read_text()
    listed = (docs_site.SITE / "llms.txt").read_text()
    assert "- [Steps](reference/python-steps/index.md): What a handler calls" in listed
    steps = (docs_site.SITE / "reference/python-steps/index.md").read_text()
    assert "### run(step_id: str" in steps
