"""What a handler receives: the only place for `Context` and `ContextSync`.

Source: features C.4, E-96, E-99, E-159.
"""

from dataclasses import dataclass
from typing import Any

from stepwell.sdk.errors import StepError
from stepwell.sdk.schema import Event
from stepwell.sdk.step._async import Step
from stepwell.sdk.step.group import Group


@dataclass
class Context:
    """What a coroutine handler receives."""

    attempt: int
    """How often this call was tried before, from 0."""
    event: Event
    """The event that started the run; the first, if there are several."""
    events: list[Event]
    """All events of the run: one, or a batch."""
    group: Group
    """Parallel branches."""
    job_id: str | None
    """The server's name for the piece of work this call belongs to."""
    logger: Any
    """Silent while known steps are gone through again."""
    request_id: str | None
    """The server's name for this call."""
    run_id: str
    """The run this call belongs to."""
    step: Step
    """What the function does durably."""
    max_attempts: int | None = None
    """How often the call is tried at most; None if the server did not say."""
    error: StepError | None = None
    """What failed, in a failure handler."""
