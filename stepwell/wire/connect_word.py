"""The words of the worker connection as frozen values: one class per message kind and body.

Two closed unions say who may speak what: `WorkerMessage` and `GatewayMessage`. How they become
bytes and come of them is the business of `connect_encode.py` and `connect_decode.py` alone.
"""

from enum import IntEnum

import msgspec


class Kind(IntEnum):
    """The numbers of the message kinds; 100 and above are this project's extension."""

    GATEWAY_HELLO = 0
    WORKER_CONNECT = 1
    GATEWAY_CONNECTION_READY = 2
    GATEWAY_EXECUTOR_REQUEST = 3
    WORKER_READY = 4
    WORKER_REQUEST_ACK = 5
    WORKER_REPLY = 6
    WORKER_REPLY_ACK = 7
    WORKER_PAUSE = 8
    WORKER_HEARTBEAT = 9
    GATEWAY_HEARTBEAT = 10
    GATEWAY_CLOSING = 11
    WORKER_REQUEST_EXTEND_LEASE = 12
    WORKER_REQUEST_EXTEND_LEASE_ACK = 13
    SYNC_FAILED = 14
    WORKER_STATUS = 15
    WORKER_CHECKPOINT = 100
    GATEWAY_CHECKPOINT_ACK = 101


class ReplyStatus(IntEnum):
    """What an answer means: more to do (206), the final value (200) or an error (500)."""

    NOT_COMPLETED = 0
    DONE = 1
    ERROR = 2


class CheckpointOutcome(IntEnum):
    """What became of saved-while-running steps; the zero value is never sent on purpose."""

    UNSPECIFIED = 0
    SAVED = 1
    STALE = 2
    REFUSED = 3


class GatewayHello(msgspec.Struct, frozen=True):
    """The gateway speaks first; encoded it is the empty frame."""


class AppConfig(msgspec.Struct, frozen=True):
    """One app a worker serves. `functions` is the JSON array of its function configurations."""

    name: str
    functions: bytes
    version: str | None = None


class SystemAttributes(msgspec.Struct, frozen=True):
    """The worker's machine; zero and "unknown" where nothing could be learned."""

    cpu_cores: int = 0
    mem_bytes: int = 0
    os: str = "unknown"


class WorkerConnect(msgspec.Struct, frozen=True):
    """A worker introduces itself: who it is, what it serves, how much it takes."""

    connection_id: str
    instance_id: str
    session_token: str
    sync_token: str
    capabilities: bytes
    apps: tuple[AppConfig, ...]
    manual_readiness: bool = False
    system: SystemAttributes = SystemAttributes()
    environment: str | None = None
    framework: str = ""
    platform: str | None = None
    sdk_version: str = ""
    sdk_language: str = ""
    started_at_ms: int | None = None
    concurrency_max: int | None = None
    """None where the worker named no limit, or a limit of zero or less."""


class ConnectionReady(msgspec.Struct, frozen=True):
    """The handshake is complete. Intervals are Go durations as text, see `interval_s`."""

    heartbeat_interval: str
    extend_lease_interval: str
    status_interval: str = ""
    extensions: tuple[str, ...] = ()


class ExecutorRequest(msgspec.Struct, frozen=True):
    """One call of one function. `payload` is the JSON body a call over HTTP would have."""

    request_id: str
    account_id: str
    env_id: str
    app_id: str
    app_name: str
    function_id: str
    function_slug: str
    step_id: str | None
    payload: bytes
    system_trace: bytes
    user_trace: bytes
    run_id: str
    lease_id: str
    job_id: str = ""


class WorkerReady(msgspec.Struct, frozen=True):
    """A worker that asked for manual readiness takes work from now on."""


class RequestAck(msgspec.Struct, frozen=True):
    """A worker takes a request: it owns it as long as it extends its lease."""

    request_id: str
    account_id: str
    env_id: str
    app_id: str
    function_slug: str
    step_id: str | None
    system_trace: bytes
    user_trace: bytes
    run_id: str


class Reply(msgspec.Struct, frozen=True):
    """The answer to one request, over the socket or by flush.

    `body` is JSON: opcodes, the value or an error, by status. `system_trace` must be JSON even if
    nothing is traced: the flush of the reference server refuses an empty field.
    """

    request_id: str
    account_id: str
    env_id: str
    app_id: str
    status: ReplyStatus
    body: bytes
    no_retry: bool = False
    retry_after: str | None = None
    sdk_version: str = ""
    request_version: int = 0
    system_trace: bytes = b"{}"
    user_trace: bytes = b"{}"
    run_id: str = ""


class ReplyAck(msgspec.Struct, frozen=True):
    """The answer is stored; the worker may forget it."""

    request_id: str


class WorkerPause(msgspec.Struct, frozen=True):
    """The worker takes no new work on this connection any more."""


class WorkerHeartbeat(msgspec.Struct, frozen=True):
    """The worker is alive; the gateway answers each."""


class GatewayHeartbeat(msgspec.Struct, frozen=True):
    """The answer to a heartbeat."""


class GatewayClosing(msgspec.Struct, frozen=True):
    """The gateway drains: connect elsewhere, then close this connection."""


class ExtendLease(msgspec.Struct, frozen=True):
    """A worker still works on a request and asks for a later expiry of its lease."""

    request_id: str
    account_id: str
    env_id: str
    app_id: str
    function_slug: str
    step_id: str | None
    system_trace: bytes
    user_trace: bytes
    run_id: str
    lease_id: str


class ExtendLeaseAck(msgspec.Struct, frozen=True):
    """The next lease id, or None: refused, the request is no longer this worker's."""

    request_id: str
    account_id: str
    env_id: str
    app_id: str
    function_slug: str
    lease_id: str | None


class SyncFailed(msgspec.Struct, frozen=True):
    """The worker's apps could not be registered; the code may be empty."""

    code: str
    message: str
    data: bytes | None = None


class WorkerStatus(msgspec.Struct, frozen=True):
    """What a worker holds, at the interval the gateway asked for."""

    request_ids: tuple[str, ...]
    shutdown_requested: bool = False


class Checkpoint(msgspec.Struct, frozen=True):
    """Steps to store while the call that found them goes on (extension)."""

    request_id: str
    lease_id: str
    sequence: int
    run_id: str
    function_slug: str
    steps: bytes
    env_id: str = ""


class CheckpointAck(msgspec.Struct, frozen=True):
    """What became of a checkpoint, said after the commit (extension)."""

    request_id: str
    sequence: int
    outcome: CheckpointOutcome
    message: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """A kind this version does not know: to be ignored."""

    kind: int


WorkerMessage = (
    WorkerConnect
    | WorkerReady
    | RequestAck
    | Reply
    | WorkerPause
    | WorkerHeartbeat
    | ExtendLease
    | WorkerStatus
    | Checkpoint
)
GatewayMessage = (
    GatewayHello
    | ConnectionReady
    | ExecutorRequest
    | ReplyAck
    | GatewayHeartbeat
    | GatewayClosing
    | ExtendLeaseAck
    | SyncFailed
    | CheckpointAck
)
Message = WorkerMessage | GatewayMessage | Unknown


class StartRequest(msgspec.Struct, frozen=True):
    """The body of POST /v0/connect/start: groups of gateways the worker would rather avoid."""

    exclude_gateways: tuple[str, ...] = ()


class StartResponse(msgspec.Struct, frozen=True):
    """Where to connect, and the tokens to show there. They live five minutes."""

    connection_id: str
    gateway_endpoint: str
    gateway_group: str
    session_token: str
    sync_token: str
