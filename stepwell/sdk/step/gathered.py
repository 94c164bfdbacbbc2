"""The lines that a call writes with `ctx.logger`, until an answer takes them along.

Only new lines come here: what a replay would write again, its logger drops.
"""

import logging
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec

from stepwell.sdk.step.suspension import INSIDE_STEP
from stepwell.wire import log
from stepwell.wire.log import LogLine
from stepwell.wire.operation import Logs

_LEVELS = {"trace": 5, "debug": 10, "info": 20, "success": 20, "msg": 20, "warn": 30, "warning": 30}
_OF_LOGGING = frozenset({"exc_info", "extra", "stack_info", "stacklevel"})
_OVERHEAD_BYTES = 64
"""What the JSON of a line outside of steps has besides its text."""


def level_of(method: str, args: tuple[Any, ...]) -> int:
    """The level of a line, by the method that writes it."""
    if method == "log":
        told = args[0] if args else logging.INFO
        return told if isinstance(told, int) else _LEVELS.get(str(told).lower(), logging.ERROR)
    return _LEVELS.get(method, logging.ERROR)


class Gathered:
    """Lines of one call. Any thread may add; past the bounds of an answer they are only counted."""

    def __init__(self) -> None:
        self._lines: list[LogLine] = []
        self._bytes = 0
        self._left_out = self._last = 0

    def add(
        self,
        level: int,
        message: object,
        args: tuple[Any, ...],
        more: Mapping[str, Any],
        *,
        braces: bool = False,
    ) -> None:
        """Take a line of this level, if it is one that is kept. `braces` says how its arguments
        stand in it, else with percent signs. Never raises."""
        if level < logging.INFO:
            return
        try:
            text = _text(message, args, more, braces=braces).encode(errors="replace").decode()
        except Exception:  # noqa: BLE001 - a logger must never fail a run
            text = "(this line could not be written)"
        step = INSIDE_STEP.get()
        where = ("", "") if step is None else (step.hashed, step.id)
        name = logging.getLevelName(level).lower()
        # What is told twice is known by its time and text: no two lines of a call have one time.
        self._last = max(time.time_ns() // 1000, self._last + 1)
        line = log.fitting(LogLine(self._last, name, text, *where))
        size = len(line.text.encode()) + _OVERHEAD_BYTES
        full = len(self._lines) >= log.LINES_PER_ANSWER_MAX
        if full or self._bytes + size > log.BYTES_PER_ANSWER_MAX:
            self._left_out += 1
            return
        self._bytes += size
        self._lines.append(line)

    def waiting(self) -> tuple[LogLine, ...]:
        """What no answer took along yet, with a last line on those that were left out."""
        lines = tuple(self._lines)
        if not self._left_out:
            return lines
        told = (
            f"[{self._left_out} more lines are not kept: one answer takes"
            f" {log.LINES_PER_ANSWER_MAX} lines and {log.BYTES_PER_ANSWER_MAX} bytes along]"
        )
        return (*lines, LogLine(lines[-1].at if lines else 0, "warning", told))

    def operation(self) -> Logs:
        """The same as an operation."""
        return Logs(lines=self.waiting())

    def kept(self, told: Logs) -> None:
        """The server has these now."""
        for line in told.lines:
            with suppress(ValueError):  # the last tells of others, or two saves took it along
                self._lines.remove(line)
        self._bytes = sum(len(line.text.encode()) + _OVERHEAD_BYTES for line in self._lines)
        self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._lines or self._left_out)


def _text(message: object, args: tuple[Any, ...], more: Mapping[str, Any], *, braces: bool) -> str:
    """The line as it is read: its text, what it names, and the error it is about."""
    text, values = str(message), {k: v for k, v in more.items() if k not in _OF_LOGGING}
    if args or values:
        text = _filled(text, args, values, braces=braces)
    error = more.get("exc_info")
    if error is True:
        error = sys.exception()
    elif isinstance(error, tuple):
        parts = cast("tuple[object, ...]", error)
        error = next((one for one in parts if isinstance(one, BaseException)), None)
    if isinstance(error, BaseException):
        text += "\n" + "".join(traceback.format_exception(error)).rstrip()
    return text


def _filled(text: str, args: tuple[Any, ...], values: Mapping[str, Any], *, braces: bool) -> str:
    """A text with its arguments, and what it names beside them."""
    if braces:
        return text.format(*args, **values)
    if args:
        one = args[0]
        text = text % (one if len(args) == 1 and isinstance(one, Mapping) and one else args)
    return text + "".join(f" {name}={value!r}" for name, value in values.items())


def with_lines(body: bytes, lines: tuple[LogLine, ...]) -> bytes:
    """The JSON of an error that carries lines along."""
    if body[:1] != b"{" or body[-1:] != b"}":
        return body
    comma = b"," if len(body) > len(b"{}") else b""
    key = msgspec.json.encode(log.FAILURE_KEY)
    return body[:-1] + comma + key + b":" + bytes(log.encode_lines(lines)) + b"}"
