"""Every bound that `docs/security.md` promises names the test that holds it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAME = "the same"


def rows() -> list[tuple[str, str]]:
    """What each row of the tables with a column of tests is about, and what that column says."""
    found: list[tuple[str, str]] = []
    with_tests = False
    for line in (ROOT / "docs/security.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            with_tests = False
        elif cells[-1] == "Test":
            with_tests = True
        elif with_tests and set(line) - set("|-"):
            found.append((cells[0], cells[-1]))
    return found


def named_by(index: int) -> list[str]:
    """The files a row names, itself or by those before it."""
    while rows()[index][1] == SAME:
        index -= 1
    return re.findall(r"`(tests/\S+?)`", rows()[index][1])


@pytest.mark.parametrize("index", range(len(rows())), ids=[about for about, _ in rows()])
def test_a_bound_names_a_file_of_tests(index: int) -> None:
    named = named_by(index)
    assert named, f"{rows()[index][0]} names no test"
    for name in named:
        path = ROOT / name
        assert path.is_file(), f"{name} is not there"
        assert re.search(r"^(async )?def test_", path.read_text(), re.MULTILINE), name


def test_there_are_such_rows() -> None:
    assert len(rows()) > 25


def items(heading: str) -> list[str]:
    """The items of a list, below a heading."""
    page = (ROOT / "docs/security.md").read_text()
    below = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in below.splitlines() if line.startswith("- ")]


@pytest.mark.parametrize("item", items("The disk and the clock"), ids=lambda item: item[2:40])
def test_what_is_said_of_the_disk_and_the_clock_names_its_tests(item: str) -> None:
    named = re.findall(r"`(tests/\S+?)`", item)
    assert named, item
    assert all((ROOT / name).is_file() for name in named), item


def test_every_test_the_page_names_is_there() -> None:
    page = (ROOT / "docs/security.md").read_text()
    named = {name.rstrip("/") for name in re.findall(r"`(tests/[^`\s]+)`", page)}
    assert len(named) > 25
    assert {name for name in named if not (ROOT / name).exists()} == set()
