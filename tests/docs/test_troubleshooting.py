"""What the page of troubleshooting has programs say, they say: its readers look for these words."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/guides/troubleshooting.md"


def said() -> list[str]:
    """The words of first cells, without what differs from case to case."""
    found: list[str] = []
    for table in PAGE.read_text(encoding="utf-8").split(
        "| What it says | What to do |\n|---|---|\n"
    )[1:]:
        for row in table.split("\n\n", 1)[0].splitlines():
            found += re.split(r"…,?|;", row.split("|")[1])
    return [words.strip() for words in found if words.strip()]


def test_the_words_are_those_of_the_program() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("stepwell/**/*.py"))
    # A sentence over several lines of code, and what stands in it.
    joined = re.sub(r"\"\s*\n\s*f?\"", "", sources)
    told = re.sub(r"\{[^{}]*\}", "", joined)
    words = said()
    assert len(words) > 15
    assert [each for each in words if each not in told] == []
