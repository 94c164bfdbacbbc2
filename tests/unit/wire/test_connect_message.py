"""Frames of the worker connection, both ways, and the generated file they stand on."""

import contextlib
import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from inngest.connect._internal import connect_pb2 as official

from stepwell.wire import connect_word as word
from stepwell.wire.connect_decode import (
    FrameError,
    decode_flush_response,
    decode_frame,
    decode_reply,
    decode_start_request,
    decode_start_response,
)
from stepwell.wire.connect_encode import (
    encode_flush_response,
    encode_frame,
    encode_reply,
    encode_start_request,
    encode_start_response,
    frame_of,
)
from stepwell.wire.connect_limit import GATEWAY_READ_BYTES_MAX
from tests.recordings import bytes_of, connect_recordings, messages_of
from tools.connect_proto import ROOT, generate

BIG = GATEWAY_READ_BYTES_MAX


def test_the_generated_files_are_current() -> None:
    for name, text in generate().items():
        assert (ROOT / name).read_text("utf-8") == text, "run: python -m tools.connect_proto"


GOLDEN = [
    (word.GatewayHello(), ""),
    (word.WorkerReady(), "0804"),
    (word.WorkerPause(), "0808"),
    (word.WorkerHeartbeat(), "0809"),
    (word.GatewayHeartbeat(), "080a"),
    (word.GatewayClosing(), "080b"),
    (word.ConnectionReady("10s", "30s", "0s"), "0802120e0a03313073120333307 31a023073"),
    (word.ReplyAck("R1"), "080712040a025231"),
    (word.ExtendLeaseAck("R1", "", "", "", "", "L2"), "080d12080a02523132024c32"),
    (word.ExtendLeaseAck("R1", "", "", "", "", None), "080d12040a025231"),
]


@pytest.mark.parametrize(("message", "hexadecimal"), GOLDEN, ids=lambda v: type(v).__name__)
def test_w10_golden_bytes(message: word.GatewayMessage, hexadecimal: str) -> None:
    expected = bytes.fromhex(hexadecimal.replace(" ", ""))
    assert encode_frame(message) == expected
    assert decode_frame(expected, bytes_max=BIG) == message


def test_golden_bodies() -> None:
    excluded = word.StartRequest(("gw-dev",))
    assert encode_start_request(excluded) == bytes.fromhex("0a0667772d646576")
    assert decode_start_request(bytes.fromhex("0a0667772d646576")) == excluded
    assert decode_start_request(b"") == word.StartRequest()
    reply = word.Reply(
        "R1", "", "", "", word.ReplyStatus.DONE, b'"ok"', system_trace=b"", user_trace=b""
    )
    assert encode_reply(reply) == bytes.fromhex("0a025231280132 04226f6b22".replace(" ", ""))
    assert decode_reply(encode_reply(reply)) == reply
    response = word.StartResponse("C", "ws://h/v0/connect", "g", "s", "y")
    assert decode_start_response(encode_start_response(response)) == response
    assert decode_flush_response(encode_flush_response("R1")) == "R1"


TEXT = st.text(max_size=12)
MAYBE = st.none() | st.text(max_size=12)
BYTES = st.binary(max_size=24)
STATUS = st.sampled_from(word.ReplyStatus)
APP = st.builds(word.AppConfig, TEXT, BYTES, MAYBE)
SYSTEM = st.builds(
    word.SystemAttributes, st.integers(0, 512), st.integers(0, 2**50), st.text(min_size=1)
)
MESSAGES = st.one_of(
    st.builds(
        word.WorkerConnect,
        *(TEXT, TEXT, TEXT, TEXT, BYTES),
        st.lists(APP, max_size=3).map(tuple),
        st.booleans(),
        SYSTEM,
        *(MAYBE, TEXT, MAYBE, TEXT, TEXT),
        st.none() | st.integers(0, 2**41),
        st.none() | st.integers(1, 2**40),
    ),
    st.builds(word.ConnectionReady, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple)),
    st.builds(
        word.ExecutorRequest,
        *(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, MAYBE, BYTES, BYTES, BYTES, TEXT, TEXT, TEXT),
    ),
    st.builds(word.RequestAck, TEXT, TEXT, TEXT, TEXT, TEXT, MAYBE, BYTES, BYTES, TEXT),
    st.builds(word.ExtendLease, TEXT, TEXT, TEXT, TEXT, TEXT, MAYBE, BYTES, BYTES, TEXT, TEXT),
    st.builds(word.ExtendLeaseAck, TEXT, TEXT, TEXT, TEXT, TEXT, st.none() | st.text(min_size=1)),
    st.builds(
        word.Reply,
        *(TEXT, TEXT, TEXT, TEXT, STATUS, BYTES, st.booleans(), MAYBE, TEXT),
        st.integers(0, 2**32 - 1),
        *(BYTES, BYTES, TEXT),
    ),
    st.builds(word.SyncFailed, TEXT, TEXT, st.none() | BYTES),
    st.builds(word.WorkerStatus, st.lists(TEXT, max_size=3).map(tuple), st.booleans()),
    st.builds(word.Checkpoint, TEXT, TEXT, st.integers(0, 2**31), TEXT, TEXT, BYTES, TEXT),
    st.builds(
        word.CheckpointAck,
        TEXT,
        st.integers(0, 2**31),
        st.sampled_from(word.CheckpointOutcome),
        TEXT,
    ),
    st.builds(word.ReplyAck, TEXT),
)


@given(MESSAGES)
def test_what_is_encoded_decodes_to_itself(
    message: word.WorkerMessage | word.GatewayMessage,
) -> None:
    assert decode_frame(encode_frame(message), bytes_max=BIG) == message


PAYLOADS = {
    word.ExecutorRequest: official.GatewayExecutorRequestData,
    word.RequestAck: official.WorkerRequestAckData,
    word.ExtendLease: official.WorkerRequestExtendLeaseData,
    word.ExtendLeaseAck: official.WorkerRequestExtendLeaseAckData,
    word.Reply: official.SDKResponse,
    word.ReplyAck: official.WorkerReplyAckData,
    word.SyncFailed: official.SystemError,
    word.WorkerConnect: official.WorkerConnectRequestData,
}


@given(MESSAGES)
def test_the_official_schema_reads_the_same_bytes_and_writes_them_again(
    message: word.WorkerMessage | word.GatewayMessage,
) -> None:
    """What the official worker's own generated code reads and writes back is our message."""
    kind = PAYLOADS.get(type(message))
    if kind is None:
        return
    envelope = official.ConnectMessage.FromString(encode_frame(message))
    envelope.payload = kind.FromString(envelope.payload).SerializeToString()
    assert decode_frame(envelope.SerializeToString(), bytes_max=BIG) == message


@pytest.mark.parametrize("path", connect_recordings(), ids=lambda path: path.stem)
def test_every_recorded_message_is_read_and_written_back_exactly(path: Path) -> None:
    seen = 0
    for entry in messages_of(path):
        frame = bytes_of(entry)
        message = decode_frame(frame, bytes_max=BIG)
        assert not isinstance(message, word.Unknown)
        assert _kind(entry) == _kind_of(frame)
        again = encode_frame(message)
        assert _plain(again) == _plain(frame)
        seen += 1
    assert seen > 0


def _kind(entry: dict[str, object]) -> str:
    return str(entry["kind"])


def _kind_of(frame: bytes) -> str:
    return str(official.GatewayMessageType.Name(official.ConnectMessage.FromString(frame).kind))


def _plain(frame: bytes) -> tuple[str, object]:
    envelope = official.ConnectMessage.FromString(frame)
    payloads = {
        official.GatewayMessageType.WORKER_CONNECT: official.WorkerConnectRequestData,
        official.GatewayMessageType.GATEWAY_CONNECTION_READY: official.GatewayConnectionReadyData,
        official.GatewayMessageType.GATEWAY_EXECUTOR_REQUEST: official.GatewayExecutorRequestData,
        official.GatewayMessageType.WORKER_REQUEST_ACK: official.WorkerRequestAckData,
        official.GatewayMessageType.WORKER_REPLY: official.SDKResponse,
        official.GatewayMessageType.WORKER_REPLY_ACK: official.WorkerReplyAckData,
        official.GatewayMessageType.WORKER_REQUEST_EXTEND_LEASE: (
            official.WorkerRequestExtendLeaseData
        ),
        official.GatewayMessageType.WORKER_REQUEST_EXTEND_LEASE_ACK: (
            official.WorkerRequestExtendLeaseAckData
        ),
    }
    kind = payloads.get(envelope.kind)
    if kind is None:
        return str(envelope.kind), envelope.payload
    fields = json_format.MessageToDict(kind.FromString(envelope.payload))
    return str(envelope.kind), json.dumps(fields, sort_keys=True)


def test_w11_a_kind_of_a_later_protocol_is_unknown_and_harmless() -> None:
    assert decode_frame(b"\x08\x63\x12\x02ab", bytes_max=BIG) == word.Unknown(99)


def test_unknown_fields_are_ignored() -> None:
    frame = encode_frame(word.ReplyAck("R1"))
    longer = b"\x08\x07\x12\x08\x0a\x02R1\x92\x3f\x01x"
    assert decode_frame(longer, bytes_max=BIG) == decode_frame(frame, bytes_max=BIG)


def test_a_frame_above_the_limit_is_not_even_parsed() -> None:
    with pytest.raises(FrameError, match="11 bytes, at most 10") as caught:
        decode_frame(b"x" * 11, bytes_max=10)
    assert caught.value.too_large
    assert caught.value.kind is None


def test_a_bad_envelope_names_no_kind() -> None:
    with pytest.raises(FrameError) as caught:
        decode_frame(b"\xff\xff", bytes_max=BIG)
    assert caught.value.kind is None
    assert not caught.value.too_large


@pytest.mark.parametrize(
    "kind",
    [
        word.Kind.WORKER_CONNECT,
        word.Kind.WORKER_REQUEST_ACK,
        word.Kind.WORKER_REPLY,
        word.Kind.WORKER_REQUEST_EXTEND_LEASE,
        word.Kind.WORKER_STATUS,
        word.Kind.WORKER_CHECKPOINT,
    ],
)
def test_a_bad_payload_names_its_kind(kind: word.Kind) -> None:
    with pytest.raises(FrameError, match=kind.name) as caught:
        decode_frame(frame_of(kind, b"\x0a\x05\xff"), bytes_max=BIG)
    assert caught.value.kind is kind


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(frame: bytes) -> None:
    with contextlib.suppress(FrameError):
        decode_frame(frame, bytes_max=BIG)
    for decode in (
        decode_reply,
        decode_start_request,
        decode_start_response,
        decode_flush_response,
    ):
        with contextlib.suppress(FrameError):
            decode(frame)


def test_a_status_of_a_later_protocol_is_an_error() -> None:
    assert decode_reply(b"\x28\x09").status is word.ReplyStatus.ERROR


def test_an_outcome_of_a_later_protocol_never_reads_as_saved() -> None:
    frame = frame_of(word.Kind.GATEWAY_CHECKPOINT_ACK, b"\x18\x09")
    message = decode_frame(frame, bytes_max=BIG)
    assert isinstance(message, word.CheckpointAck)
    assert message.outcome is word.CheckpointOutcome.UNSPECIFIED


def test_a_limit_of_zero_or_less_is_no_limit() -> None:
    for limit in (-1, 0):
        payload = official.WorkerConnectRequestData(max_worker_concurrency=limit)
        frame = frame_of(word.Kind.WORKER_CONNECT, payload.SerializeToString())
        message = decode_frame(frame, bytes_max=BIG)
        assert isinstance(message, word.WorkerConnect)
        assert message.concurrency_max is None
