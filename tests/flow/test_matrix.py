"""Every case of flow control that must hold, and that a test is named after it.

A case runs over the memory store and SQLite on virtual time (`conftest.py`); races are drawn again
and again in `test_races.py`, and laws that hold for all of them at once in
`test_laws.py`.
"""

import re
from pathlib import Path

import pytest

CASES = {
    "C": (10, "concurrency of steps"),
    "F": (6, "concurrency of runs"),
    "T": (9, "throttle"),
    "R": (9, "rate limit and idempotency"),
    "D": (9, "debounce"),
    "B": (10, "batch"),
    "P": (7, "priority"),
    "S": (9, "singleton"),
    "X": (9, "cancelOn"),
    "M": (6, "time-outs"),
    "U": (7, "pause"),
    "Q": (7, "fairness"),
    "Y": (5, "limits and keys that change while running"),
}
"""The letter of each control, and how many cases it has."""

FOLDER = Path(__file__).parent
NAMED = re.compile(r"^def test_([A-Z][0-9]+)_(\w+)\(", re.MULTILINE)


def named() -> dict[str, list[str]]:
    """The tests of each case."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for case, name in NAMED.findall(path.read_text(encoding="utf-8")):
            found.setdefault(case, []).append(f"{path.name}: {name}")
    return found


@pytest.mark.parametrize("letter", CASES)
def test_every_case_has_a_test_of_its_name(letter: str) -> None:
    count, control = CASES[letter]
    cases = [f"{letter}{number}" for number in range(1, count + 1)]
    missing = [case for case in cases if case not in named()]
    assert not missing, f"{control}: no test is named after {missing}"


def test_no_test_is_named_after_a_case_that_is_not_there() -> None:
    known = {f"{letter}{n}" for letter, (count, _) in CASES.items() for n in range(1, count + 1)}
    strange = {case for case in named() if case[0] in CASES and case not in known}
    assert not strange
