"""What a handler receives: the only place for `Context` and `ContextSync`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeAlias

from typing_extensions import TypeVar

from stepwell.sdk.errors import StepError
from stepwell.sdk.events.event import Event
from stepwell.sdk.step._async import Step
from stepwell.sdk.step._sync import StepSync
from stepwell.sdk.step.cancelled import Cancelled
from stepwell.sdk.step.defer import Defer
from stepwell.sdk.step.group import Group, GroupSync
from stepwell.sdk.step.log import Logger
from stepwell.sdk.step.parent import ParentRun

E = TypeVar("E", default=Event)
T = TypeVar("T")


@dataclass
class Context(Generic[E]):
    """What a coroutine handler receives. `Context[Event[OrderPaid]]` is one with typed events."""

    holds_events: ClassVar[bool] = True

    attempt: int
    """How often this call was tried before, from 0."""
    event: E
    """The event that started the run; the first, if there are several."""
    events: list[E]
    """All events of the run: one, or a batch."""
    group: Group
    """Parallel branches, and experiments."""
    job_id: str | None
    """The server's name for the piece of work this call belongs to."""
    logger: Logger
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
    sessions: Mapping[str, str] = field(default_factory=dict[str, str])
    """The sessions of the run's events; events sent by this run inherit them."""
    cancelled: Cancelled = field(default_factory=Cancelled)
    """True once the run was cancelled: for steps that block. A coroutine gets `CancelledError`."""
    defer: Defer = field(default_factory=Defer)
    """Have functions started when the run has ended."""
    parents: list[ParentRun] = field(default_factory=list[ParentRun])
    """The runs that invoked or deferred this one: of each event that tells one, in their order."""


@dataclass
class ContextSync(Generic[E]):
    """What a plain handler receives. `ContextSync[Event[OrderPaid]]` is one with typed events."""

    holds_events: ClassVar[bool] = True

    attempt: int
    """How often this call was tried before, from 0."""
    event: E
    """The event that started the run; the first, if there are several."""
    events: list[E]
    """All events of the run: one, or a batch."""
    group: GroupSync
    """Parallel branches, and experiments."""
    job_id: str | None
    """The server's name for the piece of work this call belongs to."""
    logger: Logger
    """Silent while known steps are gone through again."""
    request_id: str | None
    """The server's name for this call."""
    run_id: str
    """The run this call belongs to."""
    step: StepSync
    """What the function does durably."""
    max_attempts: int | None = None
    """How often the call is tried at most; None if the server did not say."""
    error: StepError | None = None
    """What failed, in a failure handler."""
    sessions: Mapping[str, str] = field(default_factory=dict[str, str])
    """The sessions of the run's events; events sent by this run inherit them."""
    cancelled: Cancelled = field(default_factory=Cancelled)
    """True once the run was cancelled: look at it in work that takes long."""
    defer: Defer = field(default_factory=Defer)
    """Have functions started when the run has ended."""
    parents: list[ParentRun] = field(default_factory=list[ParentRun])
    """The runs that invoked or deferred this one: of each event that tells one, in their order."""


HandlerAsync: TypeAlias = Callable[[Context], Awaitable[T]]
"""A coroutine function that handles runs."""
HandlerSync: TypeAlias = Callable[[ContextSync], T]
"""A plain function that handles runs."""
