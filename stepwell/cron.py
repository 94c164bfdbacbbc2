"""The only place that understands cron schedules.

Five fields, minute to day of week, with names, ranges, lists and steps, and an optional time zone:
`TZ=Europe/Paris 0 12 * * MON-FRI`. Without a zone it is UTC. If both days are restricted, either
one matches.

When clocks change, a schedule behaves like that of Debian's cron. One that names its hour and its
minute runs once per day: a time that is skipped runs right after the gap, a time that comes twice
runs the first time. One with `*` for hour or minute follows real time, so it never pauses and never
runs twice in the same minute.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

CHARS_MAX = 255
JITTER_MS_MIN = 1000

_PREFIX = re.compile(r"(?:CRON_)?TZ=(\S*)\s+")
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_RANGES = ("0-59", "0-23", "1-31", "1-12 or JAN-DEC", "0-7 or SUN-SAT")
_FIELD = re.compile(r"[0-9A-Z*,/-]+")
_LOOK_BACK = timedelta(days=731)
_DAYS = 731
_DAYS_ONLY = frozenset({2, 4})
_MONTHS_AND_DAYS = re.compile(
    "SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
)


class CronError(ValueError):
    """A schedule that cannot be understood; the text names the field, its value and the fix."""


class UnknownZoneError(CronError):
    """The time zone of a schedule is none that this machine knows."""


class Schedule(msgspec.Struct, frozen=True):
    """A schedule that was understood: its five fields and its zone. Made by `parse`."""

    fields: str
    zone: str = "UTC"
    never: bool = False


def _checked(position: int, field: str) -> str:
    """One field by itself, in capitals, or CronError."""
    value = field.upper()
    if value == "?" and position in _DAYS_ONLY:
        return "*"
    alone = ["*"] * 5
    alone[position] = value
    letters = re.search("[A-Z]", _MONTHS_AND_DAYS.sub("", value))
    try:
        if letters or not _FIELD.fullmatch(value):
            raise CronSimError
        CronSim(" ".join(alone), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        raise CronError(
            f"{_FIELDS[position]} {field!r} is not understood: use *, {_RANGES[position]},"
            " ranges (1-5), lists (1,2) and steps (*/5)"
        ) from None
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UnknownZoneError(
            f"time zone {name!r} is unknown: use a name such as Europe/Paris or UTC"
        ) from None
    return name


@lru_cache(maxsize=1024)
def parse(text: str) -> Schedule:
    """A schedule such as `*/15 * * * *` or `TZ=Europe/Paris 0 12 * * 5`. Raises CronError.

    Dates that never come, such as `0 0 31 2 *`, are accepted.
    """
    if len(text) > CHARS_MAX:
        raise CronError(f"the schedule has {len(text)} characters: use at most {CHARS_MAX}")
    stripped = text.strip()
    prefix = _PREFIX.match(stripped)
    zone = _zone(prefix.group(1)) if prefix else "UTC"
    fields = stripped[prefix.end() if prefix else 0 :].split()
    if len(fields) != 5:
        raise CronError(
            f"{text!r} has {len(fields)} fields: use five, minute hour day-of-month month"
            " day-of-week, such as 0 12 * * 1"
        )
    whole = " ".join(_checked(position, field) for position, field in enumerate(fields))
    try:
        CronSim(whole, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return Schedule(whole, zone, never=True)
    return Schedule(whole, zone)


def next_after(schedule: Schedule, instant: datetime) -> datetime | None:
    """The first time after `instant` (with a time zone) at which a schedule fires, in UTC.

    None if there is none within the next decades.
    """
    return next(_times(schedule, instant), None)


def _times(schedule: Schedule, instant: datetime) -> Iterator[datetime]:
    if schedule.never:
        return
    local = instant.astimezone(UTC if schedule.zone == "UTC" else ZoneInfo(schedule.zone))
    for tick in CronSim(schedule.fields, local):
        found = tick.astimezone(UTC)
        # An hour that comes twice is met by the clock on the wall, which may point back.
        if found > instant:
            yield found
            instant = found


def last_before(schedule: Schedule, instant: datetime, count: int) -> list[datetime]:
    """The latest times up to `instant` (with a time zone) at which a schedule fired, the newest
    first, in UTC: at most `count`, and none of more than two years ago."""
    window = timedelta(minutes=count + 1)
    while True:
        begin = instant - min(window, _LOOK_BACK)
        past = takewhile(lambda at: at <= instant, _times(schedule, begin))
        found = deque(past, maxlen=count)
        if len(found) == count or window >= _LOOK_BACK:
            return [*reversed(found)]
        window *= 4


class ClockChange(msgspec.Struct, frozen=True):
    """When the clocks of a zone change, in UTC, and by how many minutes: forward if positive."""

    at: datetime
    minutes: int


@lru_cache(maxsize=1024)
def _changes(zone: str, year: int) -> tuple[ClockChange, ...]:
    """The changes of one year and the next."""
    there, found = ZoneInfo(zone), list[ClockChange]()
    day = datetime(year, 1, 1, tzinfo=UTC)
    for _ in range(_DAYS):
        following = day + timedelta(days=1)
        before, after = _offset(there, day), _offset(there, following)
        if before != after:
            found.append(ClockChange(_found(there, day, following), after - before))
        day = following
    return tuple(found)


def clock_change(zone: str, instant: datetime) -> ClockChange | None:
    """When the clocks of a zone change next after `instant` (with a time zone); None if they do not
    within a year."""
    if zone == "UTC":
        return None
    return next((one for one in _changes(zone, instant.year) if one.at > instant), None)


def _offset(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() / 60)


def _found(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The minute within a day in which the offset changes."""
    before = _offset(zone, low)
    while high - low > timedelta(minutes=1):
        middle = low + ((high - low) // timedelta(minutes=2)) * timedelta(minutes=1)
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def jitter_ms(key: str, at_ms: int, most_ms: int) -> int:
    """How much later than `at_ms` an occurrence fires: 1 s or more and less than `most_ms`.

    Always the same for the same key (a function) and occurrence.
    """
    if most_ms <= JITTER_MS_MIN:
        return JITTER_MS_MIN
    digest = hashlib.sha256(f"{at_ms} {key}".encode()).digest()
    return JITTER_MS_MIN + int.from_bytes(digest[:8], "big") % (most_ms - JITTER_MS_MIN)
