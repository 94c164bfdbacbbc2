"""The only place for what values mean in the dialect: missing ones, mixed types, truth.

A field that is not there is no error but `MISSING`. Numbers that come from JSON are doubles,
literals in an expression may be integers; both compare as numbers. An integer of JSON that no
double may hold is compared and written with all its digits: two orders whose ids differ in the last
one are two orders.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, TypeGuard

from stepwell.expr.tree import EvaluationError

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
Segment: TypeAlias = str | int

_INT_MAX = 2**63 - 1
_EXACT_MAX = 2**53
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Missing:
    """What stands for a field that is not there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class TypeName(str):
    """What `type(x)` gives: the name of a type, equal only to such a name."""

    __slots__ = ()


class Long(int):
    """An integer of JSON beyond 2**53: exact where it is compared or written, else a double."""

    __slots__ = ()


def is_map(value: object) -> TypeGuard[Mapping[object, object]]:
    """Whether a value is a map."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether a value is a list."""
    return isinstance(value, list)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number; booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def taken(value: object) -> object:
    """A value as it comes out of JSON: integers become doubles, or Long."""
    if type(value) is int:
        return float(value) if -_EXACT_MAX <= value <= _EXACT_MAX else Long(value)
    return value


def reckoned(value: float) -> float:
    """A number as it is reckoned with."""
    return nearest(value) if isinstance(value, Long) else value


def nearest(value: float) -> float:
    """The double next to a number."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def field(value: object, name: object) -> object:
    """`value[name]`, MISSING if there is no such thing."""
    if is_map(value):
        try:
            return taken(value.get(name, MISSING))
        except TypeError:
            return MISSING
    if is_list(value) and is_number(name) and 0 <= name < len(value) and name == int(name):
        return taken(value[int(name)])
    return MISSING


def truthy(value: object) -> bool:
    """Truth as in JavaScript: false, null, missing, 0, NaN and "" are false."""
    if value is True:
        return True
    if isinstance(value, str | bytes):
        return len(value) > 0
    if is_number(value):
        return value == value and value != 0  # noqa: PLR0124 - NaN is what differs from itself
    return not (value is None or value is False or value is MISSING)


def instant(value: object) -> datetime | None:
    """What a date can be compared with: a date, an ISO text, or milliseconds since 1970."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            when = datetime.fromisoformat(value)
            return when if when.tzinfo else when.replace(tzinfo=UTC)
        if is_number(value):
            return EPOCH + timedelta(milliseconds=value)
    except (ValueError, OverflowError):
        return None
    return EPOCH if value is None else None


def equal(left: object, right: object) -> bool:
    """`==`: a missing value equals null and nothing else; different types are never equal."""
    if left is MISSING or right is MISSING:
        return left is None or right is None
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, TypeName) or isinstance(right, TypeName):
        return isinstance(left, TypeName) and isinstance(right, TypeName) and str(left) == right
    if is_list(left) and is_list(right):
        return len(left) == len(right) and all(map(equal, left, right))
    if is_map(left) and is_map(right):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, datetime) or isinstance(right, datetime):
        if left is None or right is None:
            return False
        return instant(left) == instant(right)
    return left == right


def _zero_of(value: object) -> object:
    if isinstance(value, bool):
        return False
    if is_number(value):
        return 0
    if isinstance(value, timedelta):
        return timedelta()
    return "" if isinstance(value, str) else None


def _as_number(value: object) -> float | int | None:
    if is_number(value):
        return value
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def order(left: object, right: object) -> int | None:
    """-1, 0 or 1 for two values that are there; None if nothing puts them in order.

    Null counts as the zero of the other type. Raises EvaluationError for lists and maps.
    """
    if left is None:
        left = _zero_of(right)
    if right is None:
        right = _zero_of(left)
    if left is None and right is None:
        return 0
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if isinstance(left, bytes) and isinstance(right, bytes):
        return (left > right) - (left < right)
    if isinstance(left, bool) and isinstance(right, bool):
        return int(left) - int(right)
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return (left > right) - (left < right)
    if isinstance(left, datetime) or isinstance(right, datetime):
        first, second = instant(left), instant(right)
        if first is None or second is None:
            return None
        return (first > second) - (first < second)
    if is_list(left) or is_list(right) or is_map(left) or is_map(right):
        raise EvaluationError("lists and maps have no order: compare their size or a field")
    one, other = _as_number(left), _as_number(right)
    if one is None or other is None or one != one or other != other:  # noqa: PLR0124 - NaN
        return None
    return (one > other) - (one < other)


def less(left: object, right: object) -> bool:
    """`<`: a missing left side is less than anything, anything is not less than a missing one."""
    if left is MISSING or right is MISSING:
        return left is MISSING
    return order(left, right) == -1


def less_or_equal(left: object, right: object) -> bool:
    """`<=`, by the same rule."""
    if left is MISSING or right is MISSING:
        return left is MISSING
    return order(left, right) in (-1, 0)


def greater(left: object, right: object) -> bool:
    """`>`: a missing left side is greater than nothing, anything is greater than a missing one."""
    if left is MISSING or right is MISSING:
        return left is not MISSING
    return order(left, right) == 1


def greater_or_equal(left: object, right: object) -> bool:
    """`>=`, by the same rule."""
    if left is MISSING or right is MISSING:
        return left is not MISSING
    return order(left, right) in (0, 1)


def number_text(value: float) -> str:
    """A number as people write it: whole doubles without their fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def text(value: object) -> str | None:
    """A scalar as text for concatenation and `string()`; None if it is no scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, timedelta):
        return f"{number_text(value.total_seconds())}s"
    return None


def bounded(value: float) -> float:
    """A number within the range of a 64-bit integer, if it is an integer."""
    if isinstance(value, int) and not -_INT_MAX - 1 <= value <= _INT_MAX:
        raise EvaluationError("an integer is out of range: use a double such as 1.0")
    return value


def plain(value: object) -> JSON:
    """A result as JSON: dates as ISO text, bytes as base 64, a missing value as false."""
    if value is MISSING:
        return False
    if value is None or isinstance(value, bool | int | float):
        return int(value) if isinstance(value, Long) else value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if is_list(value):
        return [plain(item) for item in value]
    if is_map(value):
        return {_key(key): plain(item) for key, item in value.items()}
    return text(value)


def _key(key: object) -> str:
    return text(key) or ""
