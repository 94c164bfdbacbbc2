"""Lengths of time as users write them: the only place that turns them into milliseconds."""

import datetime as dt

from stepwell.wire.duration import format_duration, parse_duration_ms

Duration = int | dt.timedelta | str
"""Milliseconds, a timedelta, or text such as "1h30m"."""

_SECOND_MS = 1000


def duration_ms(value: object) -> int:
    """A length of time in milliseconds, a fraction of one rounded up. Raises ValueError."""
    if isinstance(value, dt.timedelta):
        return -((-value) // dt.timedelta(milliseconds=1))
    if isinstance(value, str):
        return parse_duration_ms(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("write milliseconds, a timedelta, or text such as 1h30m")  # noqa: TRY004
    return value


def whole_seconds(value: Duration | None) -> str | None:
    """A configured period as the wire writes it: whole seconds, at least one, such as `90s`.

    The single largest unit that divides evenly is used. Raises ValueError.
    """
    if value is None:
        return None
    given_ms = duration_ms(value)
    if given_ms < _SECOND_MS or given_ms % _SECOND_MS:
        raise ValueError(
            f"must be whole seconds and at least 1 s, got {format_duration(max(given_ms, 0))}"
        )
    seconds = given_ms // _SECOND_MS
    for unit, length in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
