"""Lines of level WARNING and above in the logs of processes that tests start: each is expected by
name, or fails the test that reads it.

A server logs JSON where its output is no terminal. A program that sets up no logging prints nothing
but the text of a warning, beside whatever else it prints: of such a log only tracebacks are read.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from re import search

from tests.machine_clock import machine

LEVELS = frozenset({"warning", "error", "critical"})
TRACEBACK = "Traceback (most recent call last)"


def warned(text: str) -> list[str]:
    """What a log says at these levels, and each traceback that is no part of a line."""
    found: list[str] = []
    for line in text.splitlines():
        record = _record(line)
        if record.get("level") in LEVELS:
            found.append(str(record.get("msg")))
        elif not record and line.startswith(TRACEBACK):
            found.append(line)
    return found


def judge(log: Path, expected: Iterable[str]) -> None:
    """Raises AssertionError for a line that none of the regular expressions finds."""
    patterns = (*expected, *machine.lines())
    text = log.read_text(errors="replace")
    odd = [line for line in warned(text) if not any(search(one, line) for one in patterns)]
    assert not odd, f"lines of {log.name} nobody expects: {odd}"


def _record(line: str) -> dict[str, object]:
    if not line.startswith("{"):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
