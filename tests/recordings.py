"""Reads the recorded conversations of the worker connection and turns messages back into bytes."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from inngest.connect._internal import connect_pb2 as official

FOLDER = Path(__file__).parent / "transcripts" / "python-connect"

_PAYLOADS: dict[str, Any] = {
    "WORKER_CONNECT": official.WorkerConnectRequestData,
    "GATEWAY_CONNECTION_READY": official.GatewayConnectionReadyData,
    "GATEWAY_EXECUTOR_REQUEST": official.GatewayExecutorRequestData,
    "WORKER_REQUEST_ACK": official.WorkerRequestAckData,
    "WORKER_REPLY": official.SDKResponse,
    "WORKER_REPLY_ACK": official.WorkerReplyAckData,
    "WORKER_REQUEST_EXTEND_LEASE": official.WorkerRequestExtendLeaseData,
    "WORKER_REQUEST_EXTEND_LEASE_ACK": official.WorkerRequestExtendLeaseAckData,
    "SYNC_FAILED": official.SystemError,
}
_BODIES: dict[str, Any] = {
    "StartRequest": official.StartRequest,
    "StartResponse": official.StartResponse,
    "FlushResponse": official.FlushResponse,
    "SDKResponse": official.SDKResponse,
}
Entry = dict[str, Any]


def connect_recordings() -> list[Path]:
    """Every recorded conversation, sorted by name."""
    return sorted(FOLDER.glob("*.json"))


def recording(name: str) -> list[Entry]:
    """The entries of one conversation, in the order their requests began."""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return list(loaded["exchange"])


def messages_of(path: Path) -> Iterator[Entry]:
    """The WebSocket messages of one conversation."""
    for entry in recording(path.stem):
        if entry.get("ws") == "message":
            yield entry


def bytes_of(entry: Entry) -> bytes:
    """The frame of a recorded message, made by the official schema."""
    kind = official.GatewayMessageType.Value(entry["kind"])
    payload = entry["payload"]
    encoded = b"" if payload is None else _message(_PAYLOADS[entry["kind"]], payload)
    return bytes(official.ConnectMessage(kind=kind, payload=encoded).SerializeToString())


def body_of(body: Entry) -> bytes:
    """A recorded HTTP body of the connection's API, made by the official schema."""
    return _message(_BODIES[body["protobuf"]], body["fields"])


def _message(kind: Any, fields: Entry) -> bytes:
    message = kind()
    json_format.ParseDict(_with_bytes(fields), message, ignore_unknown_fields=False)
    return bytes(message.SerializeToString())


def _with_bytes(fields: Any) -> Any:
    """Bytes fields were recorded as `{"json": …}` or `{"text": …}`; JSON wants base64."""

    if isinstance(fields, list):
        return [_with_bytes(item) for item in fields]
    if not isinstance(fields, dict):
        return fields
    if set(fields) == {"json"}:
        text = json.dumps(fields["json"], separators=(",", ":"), ensure_ascii=False)
        return base64.b64encode(text.encode()).decode()
    if set(fields) == {"text"}:
        return base64.b64encode(str(fields["text"]).encode()).decode()
    return {name: _with_bytes(value) for name, value in fields.items()}
