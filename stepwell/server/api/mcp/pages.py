"""The pages of the documentation, for tools that look things up in them: each by its path, such as
`guides/cron.md`. Decisions are not among them: they are for who works on Stepwell."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_PACKAGED: Final = Path(__file__).parents[3] / "docs"
_IN_CHECKOUT: Final = Path(__file__).parents[4] / "docs"
LEFT_OUT: Final = "decisions"
HITS_MAX = 50
PATTERN_CHARS_MAX = 200
_LINE_CHARS = 300


class PageOf(NamedTuple):
    """A page, by its path and title."""

    path: str
    title: str


class Hit(NamedTuple):
    """A line that was found, and the heading above it."""

    path: str
    line: int
    heading: str
    text: str


def _texts() -> dict[str, str]:
    folder = _PACKAGED if _PACKAGED.is_dir() else _IN_CHECKOUT
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.md"))}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in found.items()
        if not name.startswith(f"{LEFT_OUT}/")
    }


def pages() -> list[PageOf]:
    """All pages, by path."""
    return [PageOf(path, _title(text)) for path, text in _texts().items()]


def page(path: str) -> str | None:
    """The text of a page, by its path with or without `.md`; None if there is none."""
    texts = _texts()
    wanted = path.strip().strip("/")
    return texts.get(wanted) or texts.get(f"{wanted}.md")


def lines_with(pattern: str, limit: int) -> list[Hit]:
    """Lines that hold all words of a pattern, whatever their case: words that stand together first,
    so many at most. Words, no regular expression: nobody can make it slow."""
    words = pattern.lower().split()
    exact, others = list[Hit](), list[Hit]()
    for path, text in _texts().items():
        for hit in _lines(path, text):
            low = hit.text.lower()
            if words and all(word in low for word in words):
                (exact if " ".join(words) in low else others).append(hit)
    return [hit._replace(text=hit.text[:_LINE_CHARS]) for hit in (exact + others)[:limit]]


def _lines(path: str, text: str) -> Iterator[Hit]:
    heading = ""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"#+ ", line):
            heading = line.lstrip("# ")
        if line.strip():
            yield Hit(path, number, heading, line.strip())


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ").strip()
