"""What the gateway's protocol asks its shell to do, and what it tells it: a closed set of values.

The shell performs them in the order given.
"""

import msgspec

from stepwell.wire.connect_word import Checkpoint, ExtendLease, Reply, WorkerConnect, WorkerStatus


class Transmit(msgspec.Struct, frozen=True):
    """Write one binary frame."""

    frame: bytes


class Close(msgspec.Struct, frozen=True):
    """Close the socket with a close frame."""

    code: int
    reason: str


class Drop(msgspec.Struct, frozen=True):
    """End the socket at once: nobody is there to read a close frame."""

    reason: str


class Introduced(msgspec.Struct, frozen=True):
    """A worker said who it is: check its token, register its apps, then `accept` or `reject`."""

    worker: WorkerConnect


class Became(msgspec.Struct, frozen=True):
    """The worker can be given work, or no longer."""

    routable: bool


class Taken(msgspec.Struct, frozen=True):
    """The worker claimed a request."""

    request_id: str


class NotTaken(msgspec.Struct, frozen=True):
    """A forwarded request was not claimed and will not be: route it elsewhere, same id."""

    request_id: str
    why: str


class LeaseAsked(msgspec.Struct, frozen=True):
    """Extend a lease, then `answer_lease`."""

    message: ExtendLease


class ReplyCame(msgspec.Struct, frozen=True):
    """Store an answer; `acknowledge` only after the commit."""

    reply: Reply


class CheckpointCame(msgspec.Struct, frozen=True):
    """Store steps of a running call; `answer_checkpoint` only after the commit."""

    checkpoint: Checkpoint


class StatusCame(msgspec.Struct, frozen=True):
    """What the worker holds, for those who watch."""

    status: WorkerStatus


class Ended(msgspec.Struct, frozen=True):
    """The connection is over; `reason` is for the history of workers."""

    reason: str


Output = (
    Transmit
    | Close
    | Drop
    | Introduced
    | Became
    | Taken
    | NotTaken
    | LeaseAsked
    | ReplyCame
    | CheckpointCame
    | StatusCame
    | Ended
)
