"""The only place that knows the operations an SDK can report, one frozen class per opcode.

Reading is strict where the server acts upon a field and lenient elsewhere; unknown fields are
ignored. `data`, `payload` and errors come out in canonical form, ready to be kept.
"""

from collections.abc import Iterable
from typing import ClassVar, TypeAlias

import msgspec

from stepwell.wire.failure import Failure
from stepwell.wire.log import LogLine
from stepwell.wire.named_limit import LimitUsed, StepLimit

NULL = msgspec.Raw(b"null")
EMPTY_OBJECT = msgspec.Raw(b"{}")
EMPTY_LIST = msgspec.Raw(b"[]")

PARALLEL_WAIT = "wait"
PARALLEL_RACE = "race"
CONFLICT_FAIL = "fail"
CONFLICT_REPLACE = "replace"


class Userland(msgspec.Struct, frozen=True):
    """What the user called a step; `index` counts repetitions, 0 is the first occurrence."""

    id: str = ""
    index: int = 0


NO_USERLAND = Userland()


class Timing(msgspec.Struct, frozen=True):
    """When a step ran, as some SDKs report it: nanoseconds since 1970, and how long it took."""

    start_ns: int
    duration_ns: int


class _Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What all operations have. `id` is the hashed step id, `parallel_mode` empty, wait or race."""

    op: ClassVar[str] = ""

    id: str = ""
    name: str = ""
    display_name: str = ""
    userland: Userland = NO_USERLAND
    parallel_mode: str = ""
    timing: Timing | None = None
    metadata: msgspec.Raw | None = None


class Nothing(_Operation, frozen=True, kw_only=True):
    """`None`: discover again at once."""

    op = "None"


class LegacyStep(_Operation, frozen=True, kw_only=True):
    """`Step`: a result that is stored without its wrapper."""

    op = "Step"
    data: msgspec.Raw = NULL


class StepRun(_Operation, frozen=True, kw_only=True):
    """A step that ran well. `input` is the array of its arguments, `type` its kind for display;
    `used` corrects what it took of named limits (ours)."""

    op = "StepRun"
    data: msgspec.Raw = NULL
    input: msgspec.Raw | None = None
    type: str = ""
    used: tuple[LimitUsed, ...] = ()


class StepError(_Operation, frozen=True, kw_only=True):
    """A step that failed and wants another try."""

    op = "StepError"
    failure: Failure
    input: msgspec.Raw | None = None
    type: str = ""
    used: tuple[LimitUsed, ...] = ()


class StepFailed(_Operation, frozen=True, kw_only=True):
    """A step that failed for good; user code may still catch it."""

    op = "StepFailed"
    failure: Failure
    input: msgspec.Raw | None = None
    type: str = ""
    used: tuple[LimitUsed, ...] = ()


class StepPlanned(_Operation, frozen=True, kw_only=True):
    """A step that was found and wants a call of its own. `limits` (ours): it stands under these."""

    op = "StepPlanned"
    input: msgspec.Raw | None = None
    type: str = ""
    limits: tuple[StepLimit, ...] = ()


class Sleep(_Operation, frozen=True, kw_only=True):
    """`until` is a duration or a date as text; empty is at once."""

    op = "Sleep"
    until: str = ""


class WaitForEvent(_Operation, frozen=True, kw_only=True):
    """`timeout` is a duration or a date, empty is at once; `condition` an expression or empty.

    `look_back` also takes an event that arrived since the run began (ours; other servers
    ignore it).
    """

    op = "WaitForEvent"
    event: str
    timeout: str = ""
    condition: str = ""
    look_back: bool = False


class WaitForSignal(_Operation, frozen=True, kw_only=True):
    """`timeout` empty is one year; `conflict` is `fail` or `replace`."""

    op = "WaitForSignal"
    signal: str
    timeout: str = ""
    conflict: str = CONFLICT_FAIL


class InvokeFunction(_Operation, frozen=True, kw_only=True):
    """Run another function. `data` is an object; `timeout` empty is one year."""

    op = "InvokeFunction"
    function_id: str
    data: msgspec.Raw = EMPTY_OBJECT
    user: msgspec.Raw | None = None
    v: str | None = None
    meta: msgspec.Raw | None = None
    timeout: str = ""


class GatewayCall(_Operation, frozen=True, kw_only=True):
    """`Gateway`: an HTTP request the server makes."""

    op = "Gateway"
    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


class AiGatewayCall(_Operation, frozen=True, kw_only=True):
    """`AIGateway`: an inference the server asks a provider for; `body` is the provider's JSON."""

    op = "AIGateway"
    url: str
    format: str = ""
    auth_key: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: msgspec.Raw = EMPTY_OBJECT
    type: str = ""


class RunComplete(_Operation, frozen=True, kw_only=True):
    """The handler returned `data`."""

    op = "RunComplete"
    data: msgspec.Raw = NULL


class SyncRunComplete(_Operation, frozen=True, kw_only=True):
    """An API endpoint's run has ended; `data` describes its HTTP answer."""

    op = "SyncRunComplete"
    data: msgspec.Raw = NULL


class DiscoveryRequest(_Operation, frozen=True, kw_only=True):
    """Ask for one more discovery; `id` differs each time."""

    op = "DiscoveryRequest"


class DeferAdd(_Operation, frozen=True, kw_only=True):
    """Start `function_slug` with `input` (an object) when this run ends."""

    op = "DeferAdd"
    function_slug: str
    input: msgspec.Raw = EMPTY_OBJECT
    meta: msgspec.Raw | None = None


class DeferAbort(_Operation, frozen=True, kw_only=True):
    """Take back the deferral with this hashed id."""

    op = "DeferAbort"
    target_id: str


class Logs(_Operation, frozen=True, kw_only=True):
    """Lines that the function wrote (ours): only for servers that say that they keep them."""

    op = "Logs"
    lines: tuple[LogLine, ...] = ()


Operation: TypeAlias = (
    Nothing
    | LegacyStep
    | StepRun
    | StepError
    | StepFailed
    | StepPlanned
    | Sleep
    | WaitForEvent
    | WaitForSignal
    | InvokeFunction
    | GatewayCall
    | AiGatewayCall
    | RunComplete
    | SyncRunComplete
    | DiscoveryRequest
    | DeferAdd
    | DeferAbort
    | Logs
)


class MalformedOperation(ValueError):
    """An operation the server cannot act upon; the text names the operation, field and value."""


def label(operation: Operation) -> str:
    """What to show to people for a step: its display name, else its name, else its id."""
    return operation.display_name or operation.name or operation.id


def is_step(operation: Operation) -> bool:
    """Whether it is about one of the run's steps."""
    return bool(operation.id) and not isinstance(operation, _NO_STEPS)


_NO_STEPS = (Nothing, DiscoveryRequest, RunComplete, SyncRunComplete, DeferAdd, DeferAbort, Logs)


def logs_in(operations: Iterable[Operation]) -> list[LogLine]:
    """The lines of the log that operations bring."""
    return [line for one in operations if isinstance(one, Logs) for line in one.lines]


def is_lazy(operation: Operation) -> bool:
    """Whether it only accompanies others and does not count when looking for parallel steps."""
    return isinstance(operation, DeferAdd | DeferAbort | Logs)
