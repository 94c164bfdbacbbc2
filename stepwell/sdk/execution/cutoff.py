"""A step the handler stopped waiting for while it ran: how it is stored, and how it is replayed.

Its time-out is the handler's own (`asyncio.timeout`, `wait_for`), and what came after it was the
handler's choice. Every replay has to choose the same, and not to run the step again: so it counts
as failed for good, under a name of its own, and a replay waits for it until the time-out comes
round again. One that can be found is hurried.

Law: a replay waits no longer than the first call did, and a moment.
"""

from collections.abc import Iterable

import msgspec

from stepwell.sdk.execution.waiting import Alarm
from stepwell.wire.failure import Failure

NAME = "StepCutOff"
_MESSAGE = "The function stopped waiting for the step while it ran: at a time-out, for instance."
GRACE_SECONDS = 1.0
"""How much later than the first time a time-out may come round again, on a busy machine."""

_SECONDS = msgspec.json.Decoder(float)


def cut_off(seconds: float) -> Failure:
    """What is stored of a step cut off when its call had lasted so long."""
    return Failure(name=NAME, message=_MESSAGE, data=msgspec.Raw(b"%.3f" % seconds))


def patience_seconds(failure: Failure) -> float | None:
    """How long a replay waits for the time-out of a step; None if it failed in another way."""
    if failure.name != NAME or failure.data is None:
        return None
    try:
        return max(0.0, _SECONDS.decode(failure.data)) + GRACE_SECONDS
    except msgspec.DecodeError:
        return GRACE_SECONDS


def hurry(alarms: Iterable[Alarm], until: float) -> None:
    """Let the first of the time-outs that are due until then come at once."""
    due = [alarm for alarm in alarms if alarm.when <= until]
    if due:
        min(due, key=lambda alarm: alarm.when).ring()
