"""The only place where values of the worker connection become bytes.

A frame holds one message.
"""

from typing import assert_never, cast

from google.protobuf.timestamp_pb2 import Timestamp

from stepwell.wire import connect_pb2 as pb
from stepwell.wire.connect_word import (
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
    GatewayMessage,
    Kind,
    Reply,
    ReplyAck,
    ReplyStatus,
    RequestAck,
    StartRequest,
    StartResponse,
    SyncFailed,
    WorkerConnect,
    WorkerHeartbeat,
    WorkerMessage,
    WorkerPause,
    WorkerReady,
    WorkerStatus,
)

# The generated enumerations are plain numbers at run time, but types of their own to a checker.
_PB_KIND = {kind: cast("pb.GatewayMessageType", kind.value) for kind in Kind}
_PB_STATUS = {status: cast("pb.SDKResponseStatus", status.value) for status in ReplyStatus}
_PB_OUTCOME = {o: cast("pb.CheckpointOutcome", o.value) for o in CheckpointOutcome}


def frame_of(kind: Kind, payload: bytes = b"") -> bytes:
    """A payload that is already encoded, as a frame: replies are encoded once and kept."""
    return pb.ConnectMessage(kind=_PB_KIND[kind], payload=payload).SerializeToString()


_KINDS: dict[type[WorkerMessage | GatewayMessage], Kind] = {
    GatewayHello: Kind.GATEWAY_HELLO,
    WorkerConnect: Kind.WORKER_CONNECT,
    ConnectionReady: Kind.GATEWAY_CONNECTION_READY,
    ExecutorRequest: Kind.GATEWAY_EXECUTOR_REQUEST,
    WorkerReady: Kind.WORKER_READY,
    RequestAck: Kind.WORKER_REQUEST_ACK,
    Reply: Kind.WORKER_REPLY,
    ReplyAck: Kind.WORKER_REPLY_ACK,
    WorkerPause: Kind.WORKER_PAUSE,
    WorkerHeartbeat: Kind.WORKER_HEARTBEAT,
    GatewayHeartbeat: Kind.GATEWAY_HEARTBEAT,
    GatewayClosing: Kind.GATEWAY_CLOSING,
    ExtendLease: Kind.WORKER_REQUEST_EXTEND_LEASE,
    ExtendLeaseAck: Kind.WORKER_REQUEST_EXTEND_LEASE_ACK,
    SyncFailed: Kind.SYNC_FAILED,
    WorkerStatus: Kind.WORKER_STATUS,
    Checkpoint: Kind.WORKER_CHECKPOINT,
    CheckpointAck: Kind.GATEWAY_CHECKPOINT_ACK,
}


def kind_of(message: WorkerMessage | GatewayMessage) -> Kind:
    """The kind under which a message travels."""
    return _KINDS[type(message)]


def encode_frame(message: WorkerMessage | GatewayMessage) -> bytes:
    """A message as the bytes of one binary frame. The hello is the empty frame."""
    match message:
        case GatewayHello():
            return b""
        case WorkerReady():
            return frame_of(Kind.WORKER_READY)
        case WorkerPause():
            return frame_of(Kind.WORKER_PAUSE)
        case WorkerHeartbeat():
            return frame_of(Kind.WORKER_HEARTBEAT)
        case GatewayHeartbeat():
            return frame_of(Kind.GATEWAY_HEARTBEAT)
        case GatewayClosing():
            return frame_of(Kind.GATEWAY_CLOSING)
        case WorkerConnect() | RequestAck() | Reply() | ExtendLease() | WorkerStatus():
            return _encode_from_worker(message)
        case Checkpoint():
            return frame_of(Kind.WORKER_CHECKPOINT, _encode_checkpoint(message))
        case _:
            return _encode_from_gateway(message)


def _encode_from_worker(
    message: WorkerConnect | RequestAck | Reply | ExtendLease | WorkerStatus,
) -> bytes:
    match message:
        case WorkerConnect():
            return frame_of(Kind.WORKER_CONNECT, _encode_worker_connect(message))
        case RequestAck():
            return frame_of(Kind.WORKER_REQUEST_ACK, _encode_request_ack(message))
        case Reply():
            return frame_of(Kind.WORKER_REPLY, encode_reply(message))
        case ExtendLease():
            return frame_of(Kind.WORKER_REQUEST_EXTEND_LEASE, _encode_extend_lease(message))
        case WorkerStatus():
            status = pb.WorkerStatusData(
                in_flight_request_ids=message.request_ids,
                shutdown_requested=message.shutdown_requested,
            )
            return frame_of(Kind.WORKER_STATUS, status.SerializeToString())
        case _:
            assert_never(message)


def _encode_from_gateway(
    message: ConnectionReady
    | ExecutorRequest
    | ReplyAck
    | ExtendLeaseAck
    | SyncFailed
    | CheckpointAck,
) -> bytes:
    match message:
        case ConnectionReady():
            ready = pb.GatewayConnectionReadyData(
                heartbeat_interval=message.heartbeat_interval,
                extend_lease_interval=message.extend_lease_interval,
                status_interval=message.status_interval,
                extensions=message.extensions,
            )
            return frame_of(Kind.GATEWAY_CONNECTION_READY, ready.SerializeToString())
        case ExecutorRequest():
            return frame_of(Kind.GATEWAY_EXECUTOR_REQUEST, _encode_executor_request(message))
        case ReplyAck():
            ack = pb.WorkerReplyAckData(request_id=message.request_id)
            return frame_of(Kind.WORKER_REPLY_ACK, ack.SerializeToString())
        case ExtendLeaseAck():
            return frame_of(Kind.WORKER_REQUEST_EXTEND_LEASE_ACK, _encode_extend_ack(message))
        case SyncFailed():
            failed = pb.SystemError(code=message.code, message=message.message, data=message.data)
            return frame_of(Kind.SYNC_FAILED, failed.SerializeToString())
        case CheckpointAck():
            saved = pb.GatewayCheckpointAckData(
                request_id=message.request_id,
                sequence=message.sequence,
                outcome=_PB_OUTCOME[message.outcome],
                message=message.message,
            )
            return frame_of(Kind.GATEWAY_CHECKPOINT_ACK, saved.SerializeToString())
        case _:
            assert_never(message)


def _encode_worker_connect(message: WorkerConnect) -> bytes:
    started_at = None
    if message.started_at_ms is not None:
        started_at = Timestamp()
        started_at.FromMilliseconds(message.started_at_ms)
    return pb.WorkerConnectRequestData(
        connection_id=message.connection_id,
        instance_id=message.instance_id,
        auth_data=pb.AuthData(session_token=message.session_token, sync_token=message.sync_token),
        capabilities=message.capabilities,
        apps=[
            pb.AppConfiguration(app_name=a.name, app_version=a.version, functions=a.functions)
            for a in message.apps
        ],
        worker_manual_readiness_ack=message.manual_readiness,
        system_attributes=pb.SystemAttributes(
            cpu_cores=message.system.cpu_cores,
            mem_bytes=message.system.mem_bytes,
            os=message.system.os,
        ),
        environment=message.environment,
        framework=message.framework,
        platform=message.platform,
        sdk_version=message.sdk_version,
        sdk_language=message.sdk_language,
        started_at=started_at,
        max_worker_concurrency=message.concurrency_max,
    ).SerializeToString()


def _encode_request_ack(message: RequestAck) -> bytes:
    return pb.WorkerRequestAckData(
        request_id=message.request_id,
        account_id=message.account_id,
        env_id=message.env_id,
        app_id=message.app_id,
        function_slug=message.function_slug,
        step_id=message.step_id,
        system_trace_ctx=message.system_trace,
        user_trace_ctx=message.user_trace,
        run_id=message.run_id,
    ).SerializeToString()


def _encode_extend_lease(message: ExtendLease) -> bytes:
    return pb.WorkerRequestExtendLeaseData(
        request_id=message.request_id,
        account_id=message.account_id,
        env_id=message.env_id,
        app_id=message.app_id,
        function_slug=message.function_slug,
        step_id=message.step_id,
        system_trace_ctx=message.system_trace,
        user_trace_ctx=message.user_trace,
        run_id=message.run_id,
        lease_id=message.lease_id,
    ).SerializeToString()


def _encode_extend_ack(message: ExtendLeaseAck) -> bytes:
    return pb.WorkerRequestExtendLeaseAckData(
        request_id=message.request_id,
        account_id=message.account_id,
        env_id=message.env_id,
        app_id=message.app_id,
        function_slug=message.function_slug,
        new_lease_id=message.lease_id,
    ).SerializeToString()


def _encode_executor_request(message: ExecutorRequest) -> bytes:
    return pb.GatewayExecutorRequestData(
        request_id=message.request_id,
        account_id=message.account_id,
        env_id=message.env_id,
        app_id=message.app_id,
        app_name=message.app_name,
        function_id=message.function_id,
        function_slug=message.function_slug,
        step_id=message.step_id,
        request_payload=message.payload,
        system_trace_ctx=message.system_trace,
        user_trace_ctx=message.user_trace,
        run_id=message.run_id,
        lease_id=message.lease_id,
        job_id=message.job_id,
    ).SerializeToString()


def _encode_checkpoint(message: Checkpoint) -> bytes:
    return pb.WorkerCheckpointData(
        request_id=message.request_id,
        lease_id=message.lease_id,
        sequence=message.sequence,
        run_id=message.run_id,
        function_slug=message.function_slug,
        steps=message.steps,
        env_id=message.env_id,
    ).SerializeToString()


def encode_reply(reply: Reply) -> bytes:
    """The payload of a WORKER_REPLY, which is also the body of a flush."""
    return pb.SDKResponse(
        request_id=reply.request_id,
        account_id=reply.account_id,
        env_id=reply.env_id,
        app_id=reply.app_id,
        status=_PB_STATUS[reply.status],
        body=reply.body,
        no_retry=reply.no_retry,
        retry_after=reply.retry_after,
        sdk_version=reply.sdk_version,
        request_version=reply.request_version,
        system_trace_ctx=reply.system_trace,
        user_trace_ctx=reply.user_trace,
        run_id=reply.run_id,
    ).SerializeToString()


# --- the bodies of the HTTP API ---------------------------------------------------------------


def encode_start_request(request: StartRequest) -> bytes:
    """The body of POST /v0/connect/start; nothing excluded is zero bytes."""
    return pb.StartRequest(exclude_gateways=request.exclude_gateways).SerializeToString()


def encode_start_response(response: StartResponse) -> bytes:
    """The body of the answer to POST /v0/connect/start."""
    return pb.StartResponse(
        connection_id=response.connection_id,
        gateway_endpoint=response.gateway_endpoint,
        gateway_group=response.gateway_group,
        session_token=response.session_token,
        sync_token=response.sync_token,
    ).SerializeToString()


def encode_flush_response(request_id: str) -> bytes:
    """The body of the answer to POST /v0/connect/flush."""
    return pb.FlushResponse(request_id=request_id).SerializeToString()
