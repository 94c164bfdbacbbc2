"""Nothing in the package names a page that whoever reads it cannot open.

What decided a rule is written where the rule is, in `docs`, or in a decision there.
"""

import re

import pytest

from tests.repo.source import written

CITED = re.compile(
    r"(?<!docs/)\b(?:http|server|connect|flow|cluster|dashboard|architecture|models|users)\.md\b"
    r"|\b[Ff]eatures? (?:list\b|[A-F][-.]?\d)"
    r"|\b[BDEFW]-\d+\b"
    r"|\b[Pp]rotocol(?: of the worker connection,)? sections?\b"
)


def test_no_page_is_cited_that_nobody_can_open() -> None:
    cited = [
        f"{module.where}:{number}: {line.strip()}"
        for module in written()
        if CITED.search(module.text)
        for number, line in enumerate(module.text.splitlines(), 1)
        if CITED.search(line)
    ]
    assert cited == []


@pytest.mark.parametrize(
    ("text", "cites"),
    [
        ("Source: features C.11, E-156; http.md 6.7.", True),
        ("(server.md 6.3)", True),
        ("protocol of the worker connection, section 7.3", True),
        ("see docs/server.md", False),
        ("UTF-8, SHA-256, RFC 8785", False),
    ],
)
def test_what_counts_as_citing(text: str, cites: bool) -> None:
    assert bool(CITED.search(text)) is cites
