"""How an error of a run is printed: what it was, the line of the user's own code that raised it,
and what it was caused by. The only place that looks into the tracebacks of SDKs."""

import re
from itertools import pairwise
from typing import NamedTuple

from stepwell.wire.failure import decode_failure

CAUSES_MAX = 10
_PYTHON = re.compile(r'\s*File "(?P<file>.+?)", line (?P<line>\d+)(?:, in (?P<where>.+))?')
_JAVASCRIPT = re.compile(
    r"\s*at (?:(?P<where>[^()]+) \()?(?:file://)?(?P<file>[^()]+?):(?P<line>\d+)(?::\d+)?\)?"
)
_LIBRARY = re.compile(
    r"site-packages|dist-packages|[/\\]lib[/\\]python\d|^<|node_modules|node:|[/\\]stepwell[/\\]sdk[/\\]"
)


class CodeLine(NamedTuple):
    """A line of a traceback: where it is, and its text if that was told."""

    file: str
    line: str
    where: str = ""
    text: str = ""

    @property
    def told(self) -> str:
        """Where it is, as an editor opens it."""
        return f"{self.file}:{self.line}" + (f" in {self.where}" if self.where else "")


def own_line(stack: str) -> CodeLine | None:
    """The line of the user's own code that is nearest to where the error was raised; None if there
    is none, or none can be told. In a traceback of Python that is the last, else the first."""
    lines = stack.splitlines()
    python = [
        _line(match, following)
        for line, following in pairwise([*lines, ""])
        if (match := _PYTHON.match(line))
    ]
    other = [_line(match, "") for line in lines if (match := _JAVASCRIPT.fullmatch(line))]
    own = [line for line in [*reversed(python), *other] if not _LIBRARY.search(line.file)]
    return own[0] if own else None


def failure_lines(output: bytes) -> list[str]:
    """An error as lines: name and message, the line that raised it, and the same of each cause, of
    which ten are told at most."""
    told: list[str] = []
    raw: bytes | None = output
    for place in range(CAUSES_MAX + 1):
        if raw is None:
            break
        failure = decode_failure(raw)
        told.append(f"caused by {failure.told}" if place else failure.told)
        line = own_line(failure.stack)
        if line is not None:
            told.append(f"  at {line.told}")
            told += [f"     {line.text}"] if line.text else []
        cause = b"null" if failure.cause is None else bytes(failure.cause)
        raw = None if cause == b"null" else cause
    return told


def _line(match: re.Match[str], following: str) -> CodeLine:
    text = following.strip() if following.startswith("    ") else ""
    return CodeLine(match["file"], match["line"], match["where"] or "", text)
