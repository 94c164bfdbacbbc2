"""Every link between pages leads to a page and to a heading that is there. Found in a second; that
the site itself is built strictly, its reference and all, a test of the documentation shows."""

import re
from functools import cache
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify, unique

from tests.repo.source import ROOT
from tools import command_page

MADE = {ROOT / "docs/reference/command-line.md": command_page.page}
"""Pages that a program writes when the site is built."""
CODE = re.compile(r"^( *)(```+).*?^\1\2 *$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
OBJECT = re.compile(r"^::: (\S+)$", re.MULTILINE)
MARKUP = re.compile(r"\[([^\]]*)\]\([^)]*\)|[`*]")


def pages() -> list[Path]:
    """All pages that people open, in the repository or in the site."""
    return [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *MADE]


@cache
def text_of(page: Path) -> str:
    return MADE[page]() if page in MADE else page.read_text(encoding="utf-8")


@cache
def anchors(page: Path) -> frozenset[str]:
    """What may follow the page's name behind a `#`."""
    text = CODE.sub(lambda m: "" if m[2] else m[0], text_of(page))
    seen: set[str] = set()
    for heading in HEADING.findall(text):
        unique(slugify(MARKUP.sub(lambda m: m[1] or "", heading), "-"), seen)
    return frozenset(seen.union(OBJECT.findall(text)))


def broken(page: Path, text: str) -> list[str]:
    """The links in `text`, as it stands in `page`, that lead nowhere."""
    bad: list[str] = []
    for target in LINK.findall(CODE.sub("", text)):
        name, _, anchor = target.partition("#")
        if ":" in name:
            continue
        other = (page.parent / name).resolve() if name else page
        there = other in MADE or other.exists()
        if not there or (anchor and other.suffix == ".md" and anchor not in anchors(other)):
            bad.append(f"{page.relative_to(ROOT)}: {target}")
    return bad


def test_every_link_leads_somewhere() -> None:
    assert [link for page in pages() for link in broken(page, text_of(page))] == []


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("[a](server.md)", True),
        ("[a](nowhere.md)", False),
        ("[a](glossary.md#no-such-heading)", False),
        ("[a](https://example.com/x)", True),
        ("`[a](nowhere.md)`", True),
        ("```\n[a](nowhere.md)\n```\n[b](elsewhere.md)", False),
    ],
)
def test_a_broken_link_is_seen(text: str, leads: bool) -> None:
    assert (broken(ROOT / "docs/index.md", text) == []) is leads
