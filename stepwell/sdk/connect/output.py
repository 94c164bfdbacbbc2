"""What the worker's protocol asks its shell to do, and what it tells it: a closed set of values.

The shell performs them in the order given. None of them is a question: whatever comes of a request
(`AskStart`, `Dial`, `Flush`, `Execute`) returns to the protocol as an input of its own.
"""

from enum import Enum

import msgspec

from stepwell.sdk.connect.phase import ConnectionState
from stepwell.wire.connect_word import CheckpointOutcome, ExecutorRequest


class AskStart(msgspec.Struct, frozen=True):
    """POST /v0/connect/start with key number `key`; answer `start_answered` or `start_failed`."""

    attempt: int
    key: int
    exclude_gateways: tuple[str, ...]


class Dial(msgspec.Struct, frozen=True):
    """Open a WebSocket; answer with `opened` or `open_failed`. The attempt becomes the socket."""

    attempt: int
    endpoint: str


class Transmit(msgspec.Struct, frozen=True):
    """Write one binary frame."""

    socket: int
    frame: bytes


class CloseSocket(msgspec.Struct, frozen=True):
    """End an attempt or a socket, whatever it is doing; nothing it says later is heard."""

    socket: int
    code: int
    reason: str


class Execute(msgspec.Struct, frozen=True):
    """Run the function a request names; answer with `reply` or `abandon`."""

    request: ExecutorRequest
    checkpointing: bool
    """The gateway stores steps while the call goes on, see `checkpoint`."""


class CancelWork(msgspec.Struct, frozen=True):
    """The request is no longer this worker's: tell the running function. A reply is still taken."""

    request_id: str
    reason: str


class Flush(msgspec.Struct, frozen=True):
    """POST the reply to /v0/connect/flush; answer with `flushed` or `flush_failed`."""

    request_id: str
    payload: bytes


class ReplySettled(msgspec.Struct, frozen=True):
    """The server has the reply; whatever kept it may be forgotten."""

    request_id: str


class CheckpointSettled(msgspec.Struct, frozen=True):
    """What became of a checkpoint; None: the gateway could not be asked, answer as without it."""

    request_id: str
    sequence: int
    outcome: CheckpointOutcome | None
    message: str = ""


class StateChanged(msgspec.Struct, frozen=True):
    """The public state moved along one edge of the table."""

    before: ConnectionState
    after: ConnectionState


class Level(Enum):
    """How loudly a notice wants to be heard."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Notice(msgspec.Struct, frozen=True):
    """A sentence for the log, with its facts beside it."""

    level: Level
    words: str
    facts: dict[str, str | int | float | None] = {}


class Finished(msgspec.Struct, frozen=True):
    """The worker is CLOSED. `error` says why if it did not want to; `unsent` names kept replies."""

    error: str | None = None
    unauthorized: bool = False
    unsent: tuple[str, ...] = ()


Output = (
    AskStart
    | Dial
    | Transmit
    | CloseSocket
    | Execute
    | CancelWork
    | Flush
    | ReplySettled
    | CheckpointSettled
    | StateChanged
    | Notice
    | Finished
)
