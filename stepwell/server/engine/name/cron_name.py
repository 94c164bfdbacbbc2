"""The only place that names what belongs to the schedules of a function. Pure."""

from stepwell.wire.event import SCHEDULED_TIMER
from stepwell.wire.identifier import derived_ulid


def schedule_id(slug: str) -> str:
    """What the items of a function's schedules hang on, in place of a run."""
    return f"cron:{slug}"


def occurrence_id(slug: str, at_ms: int) -> str:
    """The id of the event that an occurrence is: the same for two schedules that coincide."""
    return derived_ulid(at_ms, slug, SCHEDULED_TIMER)
