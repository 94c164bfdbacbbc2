"""Files and folders that pages name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
# Where a path begins that is named from inside the package.
INSIDE = {"sdk": "stepwell", "server": "stepwell"}
FROM_ROOT = "bench dashboard deploy docs examples scripts stepwell tests tools"
NAMED = re.compile(rf"`((?:{'|'.join([*INSIDE, *FROM_ROOT.split()])})/[\w./-]*)`")


def place(name: str) -> Path:
    return ROOT / INSIDE.get(name.partition("/")[0], "") / name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_are_there(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not place(name).exists()] == []
