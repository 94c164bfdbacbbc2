"""The only place that reads and writes lengths of time and instants as text.

All numbers are milliseconds, instants since 1970 in UTC. A fraction of a millisecond is rounded up,
so nothing happens earlier than asked.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from stepwell.wire import limit

_UNITS_NS = {
    "w": 604_800_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ns": 1,
}
_PART = re.compile(r"([0-9]+)(?:\.([0-9]+))?(ms|us|µs|μs|ns|w|d|h|m|s)")
_WRITTEN_MS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000))
_ISO_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")
_DATE_CHARS_MIN = 10
# What RFC 1123, RFC 850, asctime and their common variants look like.
_DATE_FORMATS = (
    "%a, %d %b %Y %H:%M:%S %Z",
    "%a, %d %b %Y %H:%M:%S %z",
    "%A, %d-%b-%y %H:%M:%S %Z",
    "%a %b %d %H:%M:%S %Y",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DurationError(ValueError):
    """Text that is neither a length of time nor, where allowed, a date."""


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Each part of a duration as a fraction of nanoseconds: (numerator, denominator)."""
    position, stripped = 0, text.replace(" ", "")
    while position < len(stripped):
        found = _PART.match(stripped, position)
        if found is None:
            raise _bad_duration(text)
        whole, fraction, unit = found.group(1), found.group(2) or "", found.group(3)
        yield int(whole + fraction) * _UNITS_NS[unit], 10 ** len(fraction)
        position = found.end()


def _bad_duration(text: str) -> DurationError:
    return DurationError(
        f"{text[:80]!r} is no duration: write numbers with units, such as 30s, 1h30m or 7d"
        " (w, d, h, m, s, ms, us, ns)"
    )


def parse_duration_ms(text: str) -> int:
    """A duration such as `1h30m`, `1.5h`, `1w2d` or `250ms`, in milliseconds.

    Raises DurationError for anything else, the empty text included.
    """
    if text == "0":
        return 0
    if not text.strip() or len(text) > limit.TRIGGER_CHARS_MAX:
        raise _bad_duration(text)
    total_ms = 0
    for numerator, denominator in _parts(text):
        total_ms += -(-numerator // (denominator * 1_000_000))
    return total_ms


def format_duration(duration_ms: int, *, clock_units: bool = False) -> str:
    """The shortest compound of whole units for `duration_ms` >= 0, such as `1d2h` or `1s500ms`.

    With `clock_units` nothing above hours is used: batch time-outs know neither days nor weeks.
    """
    if duration_ms < 0:
        raise ValueError(f"a duration cannot be negative: {duration_ms} ms")
    text, rest = "", duration_ms
    for unit, unit_ms in _WRITTEN_MS[2:] if clock_units else _WRITTEN_MS:
        count, rest = divmod(rest, unit_ms)
        text += f"{count}{unit}" if count else ""
    seconds, milliseconds = divmod(rest, 1000)
    text += f"{seconds}s" if seconds else ""
    return text + (f"{milliseconds}ms" if milliseconds else "") or "0s"


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(_ISO_FRACTION.sub(r"\1", text))
    except ValueError:
        return None


def _other_date(text: str) -> datetime | None:
    for pattern in _DATE_FORMATS:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - the caller reads it as UTC
        except ValueError:
            continue
    return None


def parse_date_ms(text: str) -> int:
    """An instant written as RFC 3339, RFC 1123 or a common form of date; without a zone it is UTC.

    Raises DurationError for anything else.
    """
    stripped = text.strip()
    when = _iso(stripped) or _other_date(stripped) if len(stripped) >= _DATE_CHARS_MIN else None
    if when is None:
        raise DurationError(f"{text[:80]!r} is no date: write it as 2030-01-31T12:00:00Z")
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return -((_EPOCH - aware) // timedelta(milliseconds=1))


def parse_when(text: str, now_ms: int) -> int:
    """When a sleep or a time-out given as duration or date is due, never before `now_ms`.

    The empty text is due at once, a date of the past too. Raises DurationError. It
    does not judge whether the instant is too far away: see `limit.WAIT_MS_MAX`.
    """
    if not text.strip():
        return now_ms
    try:
        return now_ms + parse_duration_ms(text)
    except DurationError:
        if len(text.strip()) < _DATE_CHARS_MIN:
            raise
    try:
        return max(now_ms, parse_date_ms(text))
    except DurationError:
        raise DurationError(
            f"{text[:80]!r} is neither a duration nor a date: write 30s, 1h30m, 7d"
            " or 2030-01-31T12:00:00Z"
        ) from None


def format_instant(instant_ms: int) -> str:
    """An instant as RFC 3339 in UTC, with milliseconds only where there are some."""
    when = _EPOCH + timedelta(milliseconds=instant_ms)
    precision = "milliseconds" if instant_ms % 1000 else "seconds"
    return when.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def parse_retry_after(text: str | None, now_ms: int) -> int | None:
    """When a `Retry-After` header asks to be called again, clamped to 1 s … 24 h from now.

    Seconds (at most 7 characters) or a date; None if absent or neither.
    """
    stripped = (text or "").strip()
    if len(stripped) <= 7 and stripped.isascii() and stripped.isdecimal():
        due_ms = now_ms + int(stripped) * 1000
    else:
        try:
            due_ms = parse_date_ms(stripped)
        except DurationError:
            return None
    latest_ms = now_ms + limit.RETRY_AFTER_MS_MAX
    return min(max(due_ms, now_ms + limit.RETRY_AFTER_MS_MIN), latest_ms)


def format_retry_after(delay_ms: int) -> str:
    """A delay as the value of `Retry-After`: whole seconds, rounded up."""
    return str(-(-max(delay_ms, 0) // 1000))
