"""How much work one evaluation may do: the only place that weighs it. Pure, so no clock: a step is
what takes about half a microsecond, and whatever takes longer counts for several.

A sender chooses both the lists and the texts an expression is run over; without a bound it would
choose how long everybody else waits.
"""

import re
from collections.abc import Callable, Mapping

from stepwell.expr.tree import EvaluationError, Node, children
from stepwell.expr.value import is_list, is_map

STEPS_MAX = 100_000
"""Steps of one evaluation: a condition over each of ten thousand items passes."""


MATCH_STEPS = 100
PATTERN_CHARS_MAX = 2_000
_COUNTED = re.compile(r"\{(\d{1,4})(?:,(\d{0,4}))?\}")


class TooCostly(EvaluationError):
    """An expression that would take too much work for the values it was given."""

    def __init__(self) -> None:
        super().__init__(
            f"it takes more than {STEPS_MAX} steps: shorten its lists and texts, or ask for less"
        )


def size_of(node: Node) -> int:
    """How many steps an expression takes by itself: its nodes."""
    return 1 + sum(map(size_of, children(node)))


def depth_of(value: object, most: int) -> int:
    """How many values there are in a value, itself among them; about `most` if there are more."""
    found, waiting = 1, [value]
    while waiting and found <= most:
        one = waiting.pop()
        if is_list(one):
            found += len(one)
            waiting += [item for item in one if isinstance(item, list | dict)]
        elif is_map(one):
            found += len(one)
            waiting += [item for item in one.values() if isinstance(item, list | dict)]
    return found


def _holds_others(value: object) -> bool:
    return isinstance(value, list | dict)


def _length(value: object, per_step: int) -> int:
    return len(value) // per_step if isinstance(value, str | bytes) else 0


def _compared(left: object, right: object) -> int:
    return depth_of(left, STEPS_MAX) if _holds_others(left) and _holds_others(right) else 0


def _searched(item: object, container: object) -> int:
    if _holds_others(item):
        return depth_of(container, STEPS_MAX)
    return len(container) if is_list(container) or is_map(container) else 0


def _added(left: object, right: object) -> int:
    if is_list(left) and is_list(right):
        return (len(left) + len(right)) // 8
    return _length(left, 256) + _length(right, 256)


def _texts(per_step: int, least: int = 0) -> "Weigh":
    return lambda *texts: least + sum(_length(text, per_step) for text in texts)


def _matched(text: object, pattern: object) -> int:
    if not isinstance(text, str) or not isinstance(pattern, str):
        return MATCH_STEPS
    return MATCH_STEPS + (len(text) * pattern_size(pattern) + len(pattern)) // 64


def pattern_size(pattern: str) -> int:
    """About how many instructions a regular expression becomes: what is repeated a counted number
    of times is there as often. Matching takes each of them for each letter, at worst."""
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
            after += 1
        elif letter == "[":
            after = max(pattern.find("]", at + 2), at) + 1
        groups[-1] = min(groups[-1] + max(size, 0), STEPS_MAX)
        last[-1] = last[-1] + size if counted else size
        at = after
    return 1 + sum(groups)


Weigh = Callable[..., int]

WEIGHTS: Mapping[str, Weigh] = {
    "_==_": _compared,
    "_!=_": _compared,
    "@in": _searched,
    "_+_": _added,
    "contains": _texts(256),
    "startsWith": _texts(256),
    "endsWith": _texts(256),
    "lowercase": _texts(256),
    "uppercase": _texts(256),
    "matches": _matched,
    "json_parse": _texts(16),
    "b64decode": _texts(64),
    "string": _texts(256),
    "bytes": _texts(256),
    "int": _texts(16),
    "double": _texts(16),
    "duration": _texts(16),
    "date": _texts(16),
    "timestamp": _texts(16),
}
"""Steps that functions and operators take beyond their own, by what they are given."""
