"""What would be nice to do after a commit. Every action may be lost; then things are only later."""

from enum import StrEnum
from typing import TypeAlias

import msgspec


class Topic(StrEnum):
    """What listeners can hear about."""

    RUN_STARTED = "run.started"
    RUN_MOVED = "run.moved"
    RUN_ENDED = "run.ended"
    RUN_CANCELLED = "run.cancelled"
    RUN_WROTE = "run.wrote"
    EVENT_STORED = "event.stored"
    FUNCTION_GONE = "function.gone"
    RUN_FAILED = "run.failed"
    CANCELLATION = "cancellation"
    BULK = "bulk"
    ATTEMPT_FAILED = "attempt.failed"


class Wake(msgspec.Struct, frozen=True, gc=False):
    """Something is due at `due_ms`: ask for work then. `item` is its run and key, where it is one
    item: nobody need ask if that was handed out in the same commit."""

    due_ms: int
    item: tuple[str, str] | None = None


class Announce(msgspec.Struct, frozen=True, gc=False):
    """Tell whoever watches that `subject` changed: the id of a run, an event or a function, or the
    name of lines of a log. `place` is that of a note which tells more."""

    topic: Topic
    subject: str
    place: int = 0


class Warn(msgspec.Struct, frozen=True, gc=False):
    """Tell whoever runs the server, in the log, of something that a peer should put right."""

    text: str


Action: TypeAlias = Wake | Announce | Warn
