"""Schedules of `beat_schedule` as cron text."""

import datetime as dt
from collections.abc import Iterable

from stepwell.sdk.errors import ConfigurationError

Field = int | str | Iterable[int]
"""A field of a schedule: a number, several, or cron text such as `*/15`."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class crontab:  # noqa: N801 - Celery's name
    """A schedule in Celery's words: every field is `*` unless it says otherwise.

    Raises ConfigurationError if day of week and day of month are both restricted: Celery means
    both of them, cron either.
    """

    def __init__(
        self,
        minute: Field = "*",
        hour: Field = "*",
        day_of_week: Field = "*",
        day_of_month: Field = "*",
        month_of_year: Field = "*",
    ) -> None:
        """Declare a schedule."""
        days, weekdays = _text(day_of_month), _text(day_of_week)
        if "*" not in (days, weekdays):
            raise ConfigurationError(
                f"crontab.day_of_week = {day_of_week!r}: day_of_month is {day_of_month!r} already,"
                " and a schedule cannot ask for both: look at one of them in the task"
            )
        fields = (_text(minute), _text(hour), days, _text(month_of_year), weekdays)
        self.cron = " ".join(fields)
        """The schedule as cron has it."""


def cron_of(entry: str, schedule: object) -> str:
    """A schedule of an entry as cron text: a `crontab`, a timedelta or seconds.

    Raises ConfigurationError for intervals the clock does not divide evenly.
    """
    if isinstance(schedule, crontab):
        return schedule.cron
    if isinstance(schedule, dt.timedelta):
        seconds = schedule.total_seconds()
    elif isinstance(schedule, int | float) and not isinstance(schedule, bool):
        seconds = float(schedule)
    else:
        raise ConfigurationError(
            f'beat_schedule["{entry}"].schedule = {schedule!r}: give a crontab, a timedelta or'
            " seconds"
        )
    for unit, whole, text in (
        (_MINUTE, _HOUR, "*/{} * * * *"),
        (_HOUR, _DAY, "0 */{} * * *"),
    ):
        if seconds >= unit and seconds % unit == 0 and whole % seconds == 0 and seconds < whole:
            return text.format(round(seconds / unit))
    if seconds == _DAY:
        return "0 0 * * *"
    raise ConfigurationError(
        f'beat_schedule["{entry}"].schedule = {schedule!r}: give whole minutes that divide an hour,'
        " whole hours that divide a day, or a crontab"
    )


def _text(field: Field) -> str:
    if isinstance(field, str):
        return field.replace(" ", "")
    if isinstance(field, int):
        return str(field)
    return ",".join(str(one) for one in sorted(field))
