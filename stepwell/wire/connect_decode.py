"""The only place where bytes of the worker connection become values.

A frame holds one message; `decode_frame` gives one frozen value of the closed union `Message`, or
raises `FrameError` saying which kind was unreadable, so that a gateway can close with the right
code. Kinds of a later protocol become `Unknown` and harm nothing. Nothing here waits, judges or
remembers.
"""

from collections.abc import Callable

from google.protobuf.message import DecodeError

from stepwell.wire import connect_pb2 as pb
from stepwell.wire.connect_word import (
    AppConfig,
    Checkpoint,
    CheckpointAck,
    CheckpointOutcome,
    ConnectionReady,
    ExecutorRequest,
    ExtendLease,
    ExtendLeaseAck,
    GatewayClosing,
    GatewayHeartbeat,
    GatewayHello,
    Kind,
    Message,
    Reply,
    ReplyAck,
    ReplyStatus,
    RequestAck,
    StartRequest,
    StartResponse,
    SyncFailed,
    SystemAttributes,
    Unknown,
    WorkerConnect,
    WorkerHeartbeat,
    WorkerPause,
    WorkerReady,
    WorkerStatus,
)


class FrameError(ValueError):
    """A frame or body that is none of the protocol's. `kind` is None if not even that was readable.

    `too_large` is set when the size alone was the reason; then nothing was parsed.
    """

    def __init__(self, message: str, kind: Kind | None = None, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.too_large = too_large


def decode_frame(frame: bytes, *, bytes_max: int) -> Message:
    """One frame as a message. Raises FrameError if it is larger than `bytes_max` or unreadable."""
    if len(frame) > bytes_max:
        raise FrameError(
            f"a frame of {len(frame)} bytes, at most {bytes_max} are read", too_large=True
        )
    try:
        envelope = pb.ConnectMessage.FromString(frame)
    except DecodeError as error:
        raise FrameError(f"not a ConnectMessage: {error}") from error
    number = int(envelope.kind)
    decode = _DECODERS.get(number)
    if decode is None:
        return Unknown(number)
    try:
        return decode(envelope.payload)
    except (DecodeError, ValueError) as error:
        kind = Kind(number)
        raise FrameError(f"{kind.name}: unreadable payload: {error}", kind) from error


def _worker_connect(payload: bytes) -> WorkerConnect:
    data = pb.WorkerConnectRequestData.FromString(payload)
    machine = data.system_attributes
    limit = data.max_worker_concurrency
    return WorkerConnect(
        connection_id=data.connection_id,
        instance_id=data.instance_id,
        session_token=data.auth_data.session_token,
        sync_token=data.auth_data.sync_token,
        capabilities=data.capabilities,
        apps=tuple(
            AppConfig(a.app_name, a.functions, a.app_version if a.HasField("app_version") else None)
            for a in data.apps
        ),
        manual_readiness=data.worker_manual_readiness_ack,
        system=SystemAttributes(machine.cpu_cores, machine.mem_bytes, machine.os or "unknown"),
        environment=data.environment if data.HasField("environment") else None,
        framework=data.framework,
        platform=data.platform if data.HasField("platform") else None,
        sdk_version=data.sdk_version,
        sdk_language=data.sdk_language,
        started_at_ms=data.started_at.ToMilliseconds() if data.HasField("started_at") else None,
        concurrency_max=limit if limit > 0 else None,
    )


def _connection_ready(payload: bytes) -> ConnectionReady:
    data = pb.GatewayConnectionReadyData.FromString(payload)
    return ConnectionReady(
        data.heartbeat_interval,
        data.extend_lease_interval,
        data.status_interval,
        tuple(data.extensions),
    )


def _executor_request(payload: bytes) -> ExecutorRequest:
    data = pb.GatewayExecutorRequestData.FromString(payload)
    return ExecutorRequest(
        data.request_id,
        data.account_id,
        data.env_id,
        data.app_id,
        data.app_name,
        data.function_id,
        data.function_slug,
        data.step_id if data.HasField("step_id") else None,
        data.request_payload,
        data.system_trace_ctx,
        data.user_trace_ctx,
        data.run_id,
        data.lease_id,
        data.job_id,
    )


def _request_ack(payload: bytes) -> RequestAck:
    data = pb.WorkerRequestAckData.FromString(payload)
    return RequestAck(
        data.request_id,
        data.account_id,
        data.env_id,
        data.app_id,
        data.function_slug,
        data.step_id if data.HasField("step_id") else None,
        data.system_trace_ctx,
        data.user_trace_ctx,
        data.run_id,
    )


def _reply(payload: bytes) -> Reply:
    data = pb.SDKResponse.FromString(payload)
    # A value of a later protocol is treated as an error and retried, as the reference does.
    known = 0 <= data.status <= ReplyStatus.ERROR
    return Reply(
        data.request_id,
        data.account_id,
        data.env_id,
        data.app_id,
        ReplyStatus(data.status) if known else ReplyStatus.ERROR,
        data.body,
        data.no_retry,
        data.retry_after if data.HasField("retry_after") else None,
        data.sdk_version,
        data.request_version,
        data.system_trace_ctx,
        data.user_trace_ctx,
        data.run_id,
    )


def _reply_ack(payload: bytes) -> ReplyAck:
    return ReplyAck(pb.WorkerReplyAckData.FromString(payload).request_id)


def _extend_lease(payload: bytes) -> ExtendLease:
    data = pb.WorkerRequestExtendLeaseData.FromString(payload)
    return ExtendLease(
        data.request_id,
        data.account_id,
        data.env_id,
        data.app_id,
        data.function_slug,
        data.step_id if data.HasField("step_id") else None,
        data.system_trace_ctx,
        data.user_trace_ctx,
        data.run_id,
        data.lease_id,
    )


def _extend_lease_ack(payload: bytes) -> ExtendLeaseAck:
    data = pb.WorkerRequestExtendLeaseAckData.FromString(payload)
    return ExtendLeaseAck(
        data.request_id,
        data.account_id,
        data.env_id,
        data.app_id,
        data.function_slug,
        data.new_lease_id or None,
    )


def _sync_failed(payload: bytes) -> SyncFailed:
    data = pb.SystemError.FromString(payload)
    return SyncFailed(data.code, data.message, data.data if data.HasField("data") else None)


def _worker_status(payload: bytes) -> WorkerStatus:
    data = pb.WorkerStatusData.FromString(payload)
    return WorkerStatus(tuple(data.in_flight_request_ids), data.shutdown_requested)


def _checkpoint(payload: bytes) -> Checkpoint:
    data = pb.WorkerCheckpointData.FromString(payload)
    return Checkpoint(
        data.request_id,
        data.lease_id,
        data.sequence,
        data.run_id,
        data.function_slug,
        data.steps,
        data.env_id,
    )


def _checkpoint_ack(payload: bytes) -> CheckpointAck:
    data = pb.GatewayCheckpointAckData.FromString(payload)
    known = 0 <= data.outcome <= CheckpointOutcome.REFUSED
    outcome = CheckpointOutcome(data.outcome) if known else CheckpointOutcome.UNSPECIFIED
    return CheckpointAck(data.request_id, data.sequence, outcome, data.message)


_DECODERS: dict[int, Callable[[bytes], Message]] = {
    Kind.GATEWAY_HELLO: lambda _: GatewayHello(),
    Kind.WORKER_CONNECT: _worker_connect,
    Kind.GATEWAY_CONNECTION_READY: _connection_ready,
    Kind.GATEWAY_EXECUTOR_REQUEST: _executor_request,
    Kind.WORKER_READY: lambda _: WorkerReady(),
    Kind.WORKER_REQUEST_ACK: _request_ack,
    Kind.WORKER_REPLY: _reply,
    Kind.WORKER_REPLY_ACK: _reply_ack,
    Kind.WORKER_PAUSE: lambda _: WorkerPause(),
    Kind.WORKER_HEARTBEAT: lambda _: WorkerHeartbeat(),
    Kind.GATEWAY_HEARTBEAT: lambda _: GatewayHeartbeat(),
    Kind.GATEWAY_CLOSING: lambda _: GatewayClosing(),
    Kind.WORKER_REQUEST_EXTEND_LEASE: _extend_lease,
    Kind.WORKER_REQUEST_EXTEND_LEASE_ACK: _extend_lease_ack,
    Kind.SYNC_FAILED: _sync_failed,
    Kind.WORKER_STATUS: _worker_status,
    Kind.WORKER_CHECKPOINT: _checkpoint,
    Kind.GATEWAY_CHECKPOINT_ACK: _checkpoint_ack,
}


# --- the bodies of the HTTP API ---------------------------------------------------------------


def decode_reply(body: bytes) -> Reply:
    """The body of a flush. Raises FrameError if it is no SDKResponse."""
    try:
        return _reply(body)
    except (DecodeError, ValueError) as error:
        raise FrameError(f"not an SDKResponse: {error}", Kind.WORKER_REPLY) from error


def decode_start_request(body: bytes) -> StartRequest:
    """Raises FrameError if the body is no StartRequest."""
    try:
        return StartRequest(tuple(pb.StartRequest.FromString(body).exclude_gateways))
    except DecodeError as error:
        raise FrameError(f"not a StartRequest: {error}") from error


def decode_start_response(body: bytes) -> StartResponse:
    """Raises FrameError if the body is no StartResponse."""
    try:
        data = pb.StartResponse.FromString(body)
    except DecodeError as error:
        raise FrameError(f"not a StartResponse: {error}") from error
    return StartResponse(
        data.connection_id,
        data.gateway_endpoint,
        data.gateway_group,
        data.session_token,
        data.sync_token,
    )


def decode_flush_response(body: bytes) -> str:
    """The request id an answer to a flush names. Raises FrameError if it is none."""
    try:
        return pb.FlushResponse.FromString(body).request_id
    except DecodeError as error:
        raise FrameError(f"not a FlushResponse: {error}") from error
