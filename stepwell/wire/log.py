"""Lines that functions write with `ctx.logger`, as they travel and as they are kept. Ours.

A server that keeps them says so in its calls (`keeps_logs`); to others none are sent.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from stepwell.wire.failure import shortened
from stepwell.wire.outside import decode

LINES_PER_ANSWER_MAX: Final = 200
BYTES_PER_ANSWER_MAX: Final = 16 * 1024
LINE_CHARS_MAX: Final = 4_000
RUN_BYTES_MAX: Final = 256 * 1024
_LEVEL_CHARS_MAX = 16
_NAME_CHARS_MAX = 1_000

FAILURE_KEY: Final = "stepwell_logs"
"""Where the error of a function that failed carries the lines before it."""


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line: when it was written, in microseconds since 1970; `step` is the hashed id of the step
    it was written in, `name` that step's id in the code, both empty outside of steps."""

    at: int
    level: str
    text: str
    step: str = ""
    name: str = ""


class KeptLine(LogLine, frozen=True, omit_defaults=True):
    """A line with the attempt that wrote it, counted from 0."""

    attempt: int = 0


_KEY = msgspec.json.encode(FAILURE_KEY)
_LINES = msgspec.json.Decoder(tuple[LogLine, ...])
_WITH_LINES = msgspec.json.Decoder(dict[str, msgspec.Raw])


def fitting(line: LogLine) -> LogLine:
    """The line with texts of a size that is kept; what is cut says so."""
    return LogLine(
        line.at,
        line.level[:_LEVEL_CHARS_MAX],
        shortened(line.text, LINE_CHARS_MAX),
        line.step,
        shortened(line.name, _NAME_CHARS_MAX),
    )


def encode_lines(lines: Sequence[LogLine]) -> msgspec.Raw:
    """Lines as SDKs write them."""
    return msgspec.Raw(msgspec.json.encode(lines))


def decode_lines(raw: bytes) -> tuple[LogLine, ...]:
    """Lines as they came, no more and no longer than an answer may have.

    Raises msgspec.DecodeError or UnicodeDecodeError for anything else.
    """
    # One more tells how many were left out.
    return tuple(map(fitting, decode(raw, _LINES)[: LINES_PER_ANSWER_MAX + 1]))


def lines_in_error(body: bytes) -> tuple[bytes, tuple[LogLine, ...]]:
    """An error's JSON without the lines it carries, and those; other bodies as they are."""
    if _KEY not in body:
        return body, ()
    try:
        fields = decode(body, _WITH_LINES)
        lines = decode_lines(bytes(fields.pop(FAILURE_KEY)))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, RecursionError):
        return body, ()
    return msgspec.json.encode(fields), lines
