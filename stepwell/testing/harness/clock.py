"""The clock of a test: it stands still until it is set. The only place that reads the times that
tests write."""

import datetime as dt
from collections.abc import Mapping

from stepwell.testing.harness.errors import HarnessError

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""When a test begins, unless it says otherwise: a Thursday, at midnight."""

_PARTS = {
    "weeks": dt.timedelta(weeks=1),
    "days": dt.timedelta(days=1),
    "hours": dt.timedelta(hours=1),
    "minutes": dt.timedelta(minutes=1),
    "seconds": dt.timedelta(seconds=1),
    "milliseconds": dt.timedelta(milliseconds=1),
}
_MS = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class StandingClock:
    """The clock port of a node. It shows the same time until somebody sets it."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._now_ms

    def set(self, now_ms: int) -> None:
        """Show this time from now on. It never goes back."""
        self._now_ms = max(self._now_ms, now_ms)


def instant_ms(given: object, name: str) -> int:
    """Milliseconds since 1970 of an aware datetime, or of a text as ISO 8601 writes it.

    Raises HarnessError naming the argument.
    """
    found = given
    if isinstance(given, str):
        try:
            found = dt.datetime.fromisoformat(given)
        except ValueError:
            raise HarnessError(
                f'{name} = {given!r} is no date: write one such as "2026-03-28T12:00:00+01:00"'
            ) from None
    if not isinstance(found, dt.datetime):
        raise HarnessError(f"{name} = {given!r}: give a datetime, or a text such as one")
    if found.tzinfo is None:
        raise HarnessError(
            f"{name} = {given!r} has no time zone: give it one, such as +00:00 or"
            ' ZoneInfo("Europe/Berlin")'
        )
    return (found - _EPOCH) // _MS


def length_ms(length: object, parts: Mapping[str, object]) -> int:
    """Milliseconds of a timedelta, or of its parts. Raises HarnessError if there are none, or if
    they lead back."""
    if length is not None and not isinstance(length, dt.timedelta):
        raise HarnessError(f"advance({length!r}): give a timedelta, or parts such as days=3")
    total = length or dt.timedelta()
    for name, value in parts.items():
        if name not in _PARTS:
            raise HarnessError(f"advance({name}=...) is unknown: use {', '.join(_PARTS)}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise HarnessError(f"advance({name}={value!r}): give a number")
        total += value * _PARTS[name]
    if total < dt.timedelta():
        raise HarnessError(
            f"advance by {total.total_seconds():g} s: time goes forward only; give a length above 0"
        )
    return total // _MS


def moment_of(now_ms: int) -> dt.datetime:
    """The same as a datetime of UTC."""
    return _EPOCH + now_ms * _MS
