"""How much work one evaluation may do: the only place that weighs it. Pure, so no clock: a step is
what takes half a microsecond on a slow machine, and whatever takes longer counts for several, by
what it touches. So a bound of steps is a bound of time: 50 ms.

A sender chooses both the lists and the texts an expression is run over; without a bound it would
choose how long everybody else waits.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from stepwell.expr.tree import Call, Fold, MapOf, Node, children
from stepwell.expr.value import Long, is_list, is_map

STEPS_MAX = 100_000
"""Steps of one evaluation: a condition over each of ten thousand items passes."""

FOLDED_STEPS_MAX = 1_000
"""Steps of what is done once, when an expression is compiled."""

FAILED_STEPS = 8
"""What it takes to fail, where the other side of `&&` or `||` decides."""

MATCH_STEPS = 100
PATTERN_CHARS_MAX = 2_000
_COUNTED = re.compile(r"\{(\d{1,4})(?:,(\d{0,4}))?\}")
_TABLE_SIZE = 16
_PROPERTY = re.compile(r"\\[pP](?:\{[^}]*\}|.)?")
_PROPERTY_SIZE = 4_000
"""The instructions that `\\pL` becomes: the letters of all languages."""


class TooCostly(Exception):
    """An expression takes too much work for the values it was given. No `EvaluationError`: what
    `&&` and `||` make of one would let it go on."""

    def __init__(self) -> None:
        super().__init__(
            f"it takes more than {STEPS_MAX} steps: shorten its lists and texts, or ask for less"
        )


_PARTS = (
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)


def size_of(node: Node) -> int:
    """How many steps an expression takes by itself: its nodes, some of which count for more."""
    return _of_node(node) + sum(map(size_of, children(node)))


def _of_node(node: Node) -> int:
    if isinstance(node, Call):
        return _SLOW.get(node.function, 1)
    if isinstance(node, Fold):
        return 4
    return 1 + len(node.entries) if isinstance(node, MapOf) else 1


_SLOW: Mapping[str, int] = {
    **dict.fromkeys(("date", "timestamp", "int", "uint", "type", "@in"), 3),
    **dict.fromkeys(("b64decode", "json_parse", "bytes", "double", "string"), 3),
    **dict.fromkeys(("contains", "startsWith", "endsWith"), 2),
    **dict.fromkeys(("_-_", "_*_", "_/_", "_%_", "-_"), 2),
    **dict.fromkeys(("duration", "now_plus", "now_minus"), 8),
    **dict.fromkeys(_PARTS, 6),
}


def depth_of(value: object, most: int) -> int:
    """How many values there are in a value, itself among them, long texts for several; some number
    above `most` if there are more."""
    found, waiting = 1, [value]
    while waiting and found <= most:
        one = waiting.pop()
        if is_list(one):
            found += len(one)
            inner: list[object] = one
        elif is_map(one):
            found += 2 * len(one)
            inner = [*one, *one.values()] if found <= most else []
        else:
            found += _length(one, _COMPARED)
            continue
        if found <= most:
            waiting += [item for item in inner if isinstance(item, _LARGE)]
    return found


_LARGE = (list, dict, str, bytes)
_COMPARED = 2_048
"""Characters that are compared, or copied, in a step."""
_DIGITS = 24
"""Binary digits of a long integer that are written, or reckoned with, in a step."""


def _holds_others(value: object) -> bool:
    return isinstance(value, list | dict)


def _length(value: object, per_step: int) -> int:
    if isinstance(value, str | bytes):
        return len(value) // per_step
    return value.bit_length() // _DIGITS if isinstance(value, Long) else 0


def _compared(left: object, right: object) -> int:
    if _holds_others(left) and _holds_others(right):
        alike = type(left) is type(right) and _count(left) == _count(right)
        return 2 * depth_of(left, STEPS_MAX) if alike else 0
    return min(_length(left, _COMPARED), _length(right, _COMPARED))


def _count(value: object) -> int:
    return len(value) if is_list(value) or is_map(value) else 0


def _ordered(left: object, right: object) -> int:
    if isinstance(left, str) and isinstance(right, str):
        return min(len(left), len(right)) // _COMPARED
    # One of them is read as a number, or as a date.
    return _length(left, 64) + _length(right, 64)


def _searched(item: object, container: object) -> int:
    if _holds_others(item):
        return 2 * depth_of(container, STEPS_MAX)
    return _count(container) * (1 + _length(item, _COMPARED))


def _found(text: object, part: object) -> int:
    if not isinstance(text, str) or not isinstance(part, str):
        return 0
    # Python looks through a short text, or for a short one, letter by letter.
    naive = len(text) < 2_500 or (len(text) < 30_000 and len(part) < 100)
    return len(text) * len(part) // 2_048 if naive else len(text) // 64


def _added(left: object, right: object) -> int:
    if is_list(left) and is_list(right):
        return (len(left) + len(right)) // 8
    return _length(left, 256) + _length(right, 256)


def _texts(per_step: int) -> "Weigh":
    return lambda *texts: sum(_length(text, per_step) for text in texts)


def _zoned(when: object, zone: object = None) -> int:
    # A name that is no time zone's is looked for in files.
    return 500 if isinstance(when, datetime) and zone is not None else 0


def _matched(text: object, pattern: object) -> int:
    if not isinstance(text, str) or not isinstance(pattern, str):
        return MATCH_STEPS
    size = pattern_size(pattern)
    # Of a small pattern the library makes a table; of others it follows all ways at once.
    of_text = len(text) // 64 if size <= _TABLE_SIZE else len(text) * size // 8
    return MATCH_STEPS + size + of_text


def pattern_size(pattern: str) -> int:
    """About how many instructions a regular expression becomes: what is repeated a counted number
    of times is there as often. To compile it takes each, and so does matching for each letter, at
    worst."""
    if len(pattern) > PATTERN_CHARS_MAX:
        return STEPS_MAX
    groups, last, at = [0], [0], 0
    while at < len(pattern):
        letter, size, after = pattern[at], 1, at + 1
        counted = _COUNTED.match(pattern, at)
        if counted:
            size = last[-1] * (int(counted[2] or counted[1]) - 1)
            after = counted.end()
        elif letter == "(":
            groups, last, size = [*groups, 0], [*last, 0], 0
        elif letter == ")" and len(groups) > 1:
            size = groups.pop()
            last.pop()
        elif letter == "\\":
            found = _PROPERTY.match(pattern, at)
            size, after = (_PROPERTY_SIZE, found.end()) if found else (1, after + 1)
        elif letter == "[":
            after = max(pattern.find("]", at + 2), at) + 1
            size = _class_size(pattern[at:after])
        elif letter == ".":
            size = 2
        groups[-1] = min(groups[-1] + max(size, 0), STEPS_MAX)
        last[-1] = last[-1] + size if counted else size
        at = after
    return (1 + sum(groups)) * (2 if "(?i" in pattern else 1)


def _class_size(letters: str) -> int:
    if letters.isascii() and letters[1:2] != "^" and "\\" not in letters:
        return 2
    return 10 + len(letters) + _PROPERTY_SIZE * len(_PROPERTY.findall(letters))


Weigh = Callable[..., int]

WEIGHTS: Mapping[str, Weigh] = {
    "_==_": _compared,
    "_!=_": _compared,
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _ordered),
    "@in": _searched,
    "_+_": _added,
    "_%_": _texts(256),
    "contains": _found,
    "startsWith": _texts(_COMPARED),
    "endsWith": _texts(_COMPARED),
    "lowercase": _texts(32),
    "uppercase": _texts(32),
    "matches": _matched,
    "json_parse": _texts(6),
    "b64decode": _texts(32),
    "string": _texts(64),
    "bytes": _texts(64),
    "int": _texts(16),
    "uint": _texts(16),
    "double": _texts(16),
    "duration": _texts(3),
    "now_plus": _texts(3),
    "now_minus": _texts(3),
    "date": _texts(16),
    "timestamp": _texts(16),
    **dict.fromkeys(_PARTS, _zoned),
}
"""Steps that functions and operators take beyond their own, by what they are given."""
