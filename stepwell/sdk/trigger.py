"""What starts a function: events and schedules. The only place for the public trigger classes.

Source: features C.3, E-92 to E-95; http.md 4.4.
"""

import re

import pydantic

from stepwell.sdk.declaration import Declaration
from stepwell.wire import limit
from stepwell.wire.duration import DurationError, parse_duration_ms

_CRON = re.compile(r"^(?:(?:TZ|CRON_TZ)=(?P<zone>\S+)\s+)?(?P<fields>\S.*)$")
_CRON_FIELDS = 5


class TriggerEvent(Declaration):
    """Run for events of a name, or of names that begin alike with `user/*`.

    `expression` is a condition in CEL that sees the event as `event`.
    """

    event: str
    expression: str | None = None

    @pydantic.field_validator("event")
    @classmethod
    def _has_a_name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError('name the event, such as "shop/order.created"')
        if len(value) > limit.TRIGGER_CHARS_MAX:
            raise ValueError(f"shorten the name to {limit.TRIGGER_CHARS_MAX} characters")
        return value


class TriggerCron(Declaration):
    """Run by the clock: five cron fields, optionally after `TZ=Europe/Paris `.

    `jitter` spreads the starts over a duration of at most five minutes, such as "30s".
    """

    cron: str
    jitter: str | None = None

    @pydantic.field_validator("cron")
    @classmethod
    def _has_five_fields(cls, value: str) -> str:
        found = _CRON.match(value.strip())
        fields = found["fields"].split() if found else []
        if len(fields) != _CRON_FIELDS and not (fields and fields[0].startswith("@")):
            raise ValueError(
                'write five fields, such as "0 9 * * 1-5" or "TZ=Europe/Paris 0 9 * * *"'
            )
        return value

    @pydantic.field_validator("jitter")
    @classmethod
    def _is_a_short_duration(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            jitter_ms = parse_duration_ms(value)
        except DurationError as error:
            raise ValueError(str(error)) from None
        if not limit.CRON_JITTER_MS_MIN <= jitter_ms <= limit.CRON_JITTER_MS_MAX:
            raise ValueError("write a duration between 1s and 5m")
        return value


Trigger = TriggerEvent | TriggerCron
