"""The names of the events that the server itself sends."""

import enum

from stepwell.wire import event as wire_event


class InternalEvent(enum.StrEnum):
    """The names of the server's own events; each is a plain string, too."""

    FUNCTION_FAILED = wire_event.FUNCTION_FAILED
    """A run failed after all its retries."""
    FUNCTION_FINISHED = wire_event.FUNCTION_FINISHED
    """A run ended, well or not."""
    FUNCTION_CANCELLED = wire_event.FUNCTION_CANCELLED
    """A run was cancelled."""
    FUNCTION_INVOKED = wire_event.FUNCTION_INVOKED
    """A function was invoked by another one, or through the API."""
    DEFERRED_SCHEDULE = wire_event.DEFERRED_SCHEDULE
    """A run that deferred a function has ended."""
    SCHEDULED_TIMER = wire_event.SCHEDULED_TIMER
    """A schedule fell due."""
