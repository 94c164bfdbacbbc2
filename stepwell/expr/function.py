"""The only place for the functions and operators an expression may call.

A function that is given a missing value gives false, `size` gives 0, `+` the other side.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from stepwell.expr import value as values
from stepwell.expr.tree import EvaluationError, matches
from stepwell.expr.value import MISSING, Long, TypeName, is_list, is_map, is_number, reckoned, text

Function: TypeAlias = Callable[..., object]

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")
_UNIT_SECONDS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_ZONE_CHARS_MAX = 100  # no name of a time zone is as long
_SECONDS_BELOW = 1e11  # numbers below are seconds since 1970, above milliseconds


def _wrong(name: str, *args: object) -> EvaluationError:
    kinds = ", ".join(type_name(arg) for arg in args)
    return EvaluationError(f"{name} is not defined for ({kinds})")


def _shown(value: object) -> str:
    """A value in a message: short, and without looking at all of it."""
    if isinstance(value, str | bytes):
        return repr(value[:40])
    return repr(value) if isinstance(value, float) else f"a {type_name(value)}"


def type_name(value: object) -> TypeName:
    """The name of a value's type, as `type()` gives it."""
    for kind, name in _TYPE_NAMES:
        if isinstance(value, kind):
            return TypeName(name)
    return TypeName("null_type")


_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (TypeName, "type"),
    (bool, "bool"),
    (Long, "double"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (list, "list"),
    (dict, "map"),
    (datetime, "google.protobuf.Timestamp"),
    (timedelta, "google.protobuf.Duration"),
)
TYPE_IDENTIFIERS = {
    name: TypeName(name)
    for name in ("bool", "int", "double", "string", "bytes", "list", "map", "null_type", "type")
}


# Operators


def _same(value: object) -> object:
    return value


def _differs(left: object, right: object) -> bool:
    return not values.equal(left, right)


def add(left: object, right: object) -> object:
    """`+`: numbers, text, lists, dates and durations; text with any scalar is concatenation."""
    if left is MISSING or left is None:
        return right
    if right is MISSING or right is None:
        return left
    if is_number(left) and is_number(right):
        return values.bounded(reckoned(left) + reckoned(right))
    if isinstance(left, bytes) and isinstance(right, bytes):
        return left + right
    if is_list(left) and is_list(right):
        return [*left, *right]
    if isinstance(left, str) or isinstance(right, str):
        first, second = text(left), text(right)
        if first is not None and second is not None:
            return first + second
    return _moved(left, right, "+")


def _moved(left: object, right: object, sign: str) -> object:
    try:
        if isinstance(right, timedelta) and isinstance(left, datetime | timedelta):
            return left + right if sign == "+" else left - right
        if isinstance(left, timedelta) and isinstance(right, datetime) and sign == "+":
            return right + left
    except OverflowError:
        raise EvaluationError("a date is out of range") from None
    raise _wrong(sign, left, right)


def subtract(left: object, right: object) -> object:
    """`-` between numbers, dates and durations."""
    if is_number(left) and is_number(right):
        return values.bounded(reckoned(left) - reckoned(right))
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left - right
    return _moved(left, right, "-")


def multiply(left: object, right: object) -> object:
    """`*` between numbers."""
    if is_number(left) and is_number(right):
        return values.bounded(reckoned(left) * reckoned(right))
    raise _wrong("*", left, right)


def divide(left: object, right: object) -> object:
    """`/` between numbers; between integers it cuts off towards zero."""
    if not (is_number(left) and is_number(right)):
        raise _wrong("/", left, right)
    left, right = reckoned(left), reckoned(right)
    if isinstance(left, int) and isinstance(right, int):
        if right == 0:
            raise EvaluationError("division by zero")
        quotient = abs(left) // abs(right)
        return values.bounded(quotient if (left < 0) == (right < 0) else -quotient)
    if right == 0:
        return float("nan") if left == 0 or left != left else float("inf") * left  # noqa: PLR0124
    return left / right


def modulo(left: object, right: object) -> object:
    """`%` between whole numbers, with the sign of the left side."""
    if not (is_number(left) and is_number(right)) or left % 1 or right % 1:
        raise _wrong("%", left, right)
    if right == 0:
        raise EvaluationError("division by zero")
    rest = int(abs(left)) % int(abs(right))
    signed = -rest if left < 0 else rest
    return signed if isinstance(left, int) and isinstance(right, int) else float(signed)


def negate(value: object) -> object:
    """`-x` of a number or a duration."""
    if isinstance(value, Long):
        return Long(-value)
    if is_number(value):
        return values.bounded(-value)
    if isinstance(value, timedelta):
        return -value
    raise _wrong("-", value)


def contained(item: object, container: object) -> bool:
    """`in`: an item of a list or a key of a map."""
    if is_list(container):
        return any(values.equal(item, one) for one in container)
    if is_map(container):
        return any(values.equal(item, one) for one in container)
    raise _wrong("in", item, container)


# Text


def _on_text(name: str, work: Callable[[str, str], bool]) -> Function:
    def call(subject: object, argument: object) -> bool:
        if isinstance(subject, str) and isinstance(argument, str):
            return work(subject, argument)
        raise _wrong(name, subject, argument)

    return call


def _changed(name: str, work: Callable[[str], object]) -> Function:
    def call(subject: object) -> object:
        if isinstance(subject, str):
            return work(subject)
        raise _wrong(name, subject)

    return call


def size(value: object) -> int:
    """Characters of a text, bytes, items of a list, keys of a map; 0 for null and missing."""
    if value is MISSING or value is None:
        return 0
    if isinstance(value, str | bytes) or is_list(value) or is_map(value):
        return len(value)
    raise _wrong("size", value)


def _b64decode(subject: str) -> str:
    try:
        padded = subject + "=" * (-len(subject) % 4)
        return base64.b64decode(padded, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise EvaluationError(f"b64decode: {subject[:40]!r} is no base 64") from None


def _json_parse(subject: str) -> object:
    try:
        return values.taken(json.loads(subject))
    except (ValueError, RecursionError):
        raise EvaluationError(f"json_parse: {subject[:40]!r} is no JSON") from None


# Conversions


def to_int(value: object) -> int:
    """`int(x)` of a number, a text or a date (seconds since 1970)."""
    try:
        if is_number(value) or (isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value)):
            number = values.bounded(int(value))
            return int(number)
    except (ValueError, OverflowError):
        raise EvaluationError("int: the number is out of range") from None
    if isinstance(value, datetime):
        return int(value.timestamp())
    raise _wrong("int", value)


def to_double(value: object) -> float:
    """`double(x)` of a number or a text."""
    try:
        if is_number(value) or isinstance(value, str):
            return float(value)
    except (ValueError, OverflowError):
        raise EvaluationError(f"double: {_shown(value)} is no number") from None
    raise _wrong("double", value)


def to_string(value: object) -> str:
    """`string(x)` of a scalar."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    written = text(value)
    if written is None:
        raise _wrong("string", value)
    return written


def to_bool(value: object) -> bool:
    """`bool(x)` of a boolean or the words true and false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "True", "TRUE", "t", "1"):
        return True
    if isinstance(value, str) and value in ("false", "False", "FALSE", "f", "0"):
        return False
    raise _wrong("bool", value)


def to_bytes(value: object) -> bytes:
    """`bytes(x)` of a text."""
    if isinstance(value, str | bytes):
        return value.encode() if isinstance(value, str) else value
    raise _wrong("bytes", value)


def to_duration(value: object) -> timedelta:
    """`duration("1h30m")`."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        signless = value.removeprefix("-")
        parts = _DURATION.findall(signless)
        if parts and "".join(number + unit for number, unit in parts) == signless:
            seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
            try:
                return timedelta(seconds=-seconds if value != signless else seconds)
            except OverflowError:
                raise EvaluationError(f"duration: {value[:40]!r} is too long") from None
    raise EvaluationError(f"duration: {_shown(value)} is none: write it as 1h30m")


def to_date(value: object) -> datetime:
    """`date(x)` and `timestamp(x)`: of an ISO text, or of seconds or milliseconds since 1970."""
    if is_number(value) and abs(value) < _SECONDS_BELOW:
        value *= 1000
    when = None if value is None else values.instant(value)
    if when is None:
        raise EvaluationError(f"date: {_shown(value)} is none: write 2030-01-31T12:00:00Z")
    return when


# Parts of dates and durations


def _zoned(when: datetime, zone: object) -> datetime:
    if zone is None:
        return when.astimezone(UTC)
    if not isinstance(zone, str):
        raise _wrong("a time zone", zone)
    try:
        return when.astimezone(ZoneInfo(zone[:_ZONE_CHARS_MAX]))
    except (ValueError, OSError, KeyError):
        raise EvaluationError(f"{zone[:40]!r} is no time zone") from None


def _part(
    name: str,
    of_date: Callable[[datetime], int],
    of_duration: Callable[[timedelta], int] | None = None,
) -> Function:
    def call(subject: object, zone: object = None) -> int:
        if isinstance(subject, datetime):
            return of_date(_zoned(subject, zone))
        if isinstance(subject, timedelta) and of_duration is not None:
            return of_duration(subject)
        raise _wrong(name, subject)

    return call


def _total(unit_ms: int) -> Callable[[timedelta], int]:
    return lambda length: int(length / timedelta(milliseconds=unit_ms))


_METHOD_TABLE: dict[str, tuple[Function, int, int]] = {
    "contains": (_on_text("contains", lambda a, b: b in a), 1, 1),
    "startsWith": (_on_text("startsWith", str.startswith), 1, 1),
    "endsWith": (_on_text("endsWith", str.endswith), 1, 1),
    "matches": (_on_text("matches", matches), 1, 1),
    "size": (size, 0, 0),
    "lowercase": (_changed("lowercase", str.lower), 0, 0),
    "uppercase": (_changed("uppercase", str.upper), 0, 0),
    "getFullYear": (_part("getFullYear", lambda d: d.year), 0, 1),
    "getMonth": (_part("getMonth", lambda d: d.month - 1), 0, 1),
    "getDate": (_part("getDate", lambda d: d.day), 0, 1),
    "getDayOfMonth": (_part("getDayOfMonth", lambda d: d.day - 1), 0, 1),
    "getDayOfWeek": (_part("getDayOfWeek", lambda d: d.isoweekday() % 7), 0, 1),
    "getDayOfYear": (_part("getDayOfYear", lambda d: d.timetuple().tm_yday - 1), 0, 1),
    "getHours": (_part("getHours", lambda d: d.hour, _total(3_600_000)), 0, 1),
    "getMinutes": (_part("getMinutes", lambda d: d.minute, _total(60_000)), 0, 1),
    "getSeconds": (_part("getSeconds", lambda d: d.second, _total(1000)), 0, 1),
    "getMilliseconds": (
        _part("getMilliseconds", lambda d: d.microsecond // 1000, _total(1)),
        0,
        1,
    ),
}
METHODS = _METHOD_TABLE
"""Methods by name: what they do, and how many arguments they take beside their target."""

GLOBALS: dict[str, tuple[Function, int, int]] = {
    "size": (size, 1, 1),
    "matches": (_on_text("matches", matches), 2, 2),
    "lowercase": (_changed("lowercase", str.lower), 1, 1),
    "uppercase": (_changed("uppercase", str.upper), 1, 1),
    "b64decode": (_changed("b64decode", _b64decode), 1, 1),
    "json_parse": (_changed("json_parse", _json_parse), 1, 1),
    "int": (to_int, 1, 1),
    "uint": (to_int, 1, 1),
    "double": (to_double, 1, 1),
    "string": (to_string, 1, 1),
    "bool": (to_bool, 1, 1),
    "bytes": (to_bytes, 1, 1),
    "duration": (to_duration, 1, 1),
    "timestamp": (to_date, 1, 1),
    "date": (to_date, 1, 1),
    "dyn": (_same, 1, 1),
    "type": (type_name, 1, 1),
}
"""Functions by name: what they do, and how many arguments they take."""

CONVERSIONS = frozenset(
    {"int", "uint", "double", "string", "bool", "bytes", "duration", "timestamp", "date", "dyn"}
)
"""The functions that only change a value's type."""

CLOCK: dict[str, tuple[Callable[[datetime, object], datetime], int, int]] = {
    "now": (lambda now, _: now, 0, 0),
    "now_plus": (lambda now, length: now + to_duration(length), 1, 1),
    "now_minus": (lambda now, length: now - to_duration(length), 1, 1),
}
"""Functions of the present moment, which comes first among their arguments."""

OPERATORS: dict[str, Function] = {
    "_==_": values.equal,
    "_!=_": _differs,
    "_<_": values.less,
    "_<=_": values.less_or_equal,
    "_>_": values.greater,
    "_>=_": values.greater_or_equal,
    "_+_": add,
    "_-_": subtract,
    "_*_": multiply,
    "_/_": divide,
    "_%_": modulo,
    "-_": negate,
    "@in": contained,
    "_[_]": values.field,
}
"""Operators that look at all their arguments, by the parser's names."""

BEARS_MISSING = frozenset(
    {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_", "_[_]", "size", "dyn"}
)
"""Operators and functions that have an answer of their own for a missing value."""
