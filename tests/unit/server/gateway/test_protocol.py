"""The gateway's protocol object alone: close codes, phases, who is told what."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.server.gateway import output as out
from stepwell.server.gateway.phase import (
    MAY_SEND,
    PHASE_AFTER,
    SERVED,
    GatewayPhase,
    GatewayProtocolError,
    check_phase,
)
from stepwell.server.gateway.protocol import GatewayConfig, GatewayProtocol
from stepwell.wire.connect_decode import decode_frame
from stepwell.wire.connect_encode import encode_frame, frame_of
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
    SyncFailed,
    WorkerConnect,
    WorkerHeartbeat,
    WorkerMessage,
    WorkerPause,
    WorkerReady,
    WorkerStatus,
)

ID = "01M82GQD21KW6NBR2HCQQ7JA9S"
CONFIG = GatewayConfig()


def introduction(**changes: object) -> WorkerConnect:
    values: dict[str, object] = {
        "connection_id": ID,
        "instance_id": "instance",
        "session_token": "s",
        "sync_token": "y",
        "capabilities": b"{}",
        "apps": (AppConfig("app", b"[]"),),
    }
    return WorkerConnect(**(values | changes))  # type: ignore[arg-type]


def request(id: str = "R1") -> ExecutorRequest:
    return ExecutorRequest(
        *(id, "acct", "env", "app-id", "app", "fn", "slug", "step", b"{}", b"{}", b"{}"),
        run_id="run",
        lease_id=ID,
    )


def extend(lease_id: str = ID) -> ExtendLease:
    return ExtendLease("R1", "acct", "env", "app-id", "slug", "step", b"{}", b"{}", "run", lease_id)


def claim(id: str = "R1") -> RequestAck:
    return RequestAck(id, "acct", "env", "app-id", "slug", "step", b"{}", b"{}", "run")


class Conversation:
    """One connection, and what it wanted."""

    def __init__(self, config: GatewayConfig = CONFIG) -> None:
        self.protocol = GatewayProtocol(config)
        self.now = 100.0

    def say(self, message: WorkerMessage) -> list[out.Output]:
        self.protocol.receive(encode_frame(message), self.now)
        return self.protocol.outputs()

    def ready(self, *, manual: bool = False) -> "Conversation":
        self.protocol.open(self.now)
        self.say(introduction(manual_readiness=manual))
        self.protocol.accept(self.now)
        if not manual:
            self.say(WorkerHeartbeat())
        self.protocol.outputs()
        return self

    def tick(self, seconds: float) -> list[out.Output]:
        self.now += seconds
        self.protocol.tick(self.now)
        return self.protocol.outputs()


def frames(outputs: list[out.Output]) -> list[Message]:
    return [
        decode_frame(o.frame, bytes_max=1 << 30) for o in outputs if isinstance(o, out.Transmit)
    ]


def closes(outputs: list[out.Output]) -> list[tuple[int, str]]:
    return [(o.code, o.reason) for o in outputs if isinstance(o, out.Close)]


def others(outputs: list[out.Output]) -> list[out.Output]:
    return [o for o in outputs if not isinstance(o, out.Transmit)]


def test_the_gateway_speaks_first_with_an_empty_frame() -> None:
    talk = Conversation()
    talk.protocol.open(0.0)
    assert talk.protocol.outputs() == [out.Transmit(b"")]


def test_a_draining_gateway_refuses_before_its_hello() -> None:
    talk = Conversation()
    talk.protocol.open(0.0, draining=True)
    outputs = talk.protocol.outputs()
    assert frames(outputs) == []
    assert closes(outputs) == [(1001, "connect_gateway_closing")]


def test_a_worker_that_says_nothing_is_closed_after_five_seconds() -> None:
    talk = Conversation()
    talk.protocol.open(talk.now)
    assert talk.protocol.deadline() == talk.now + 5
    talk.protocol.outputs()
    assert talk.tick(4.9) == []
    assert closes(talk.tick(0.2)) == [(1008, "connect_worker_hello_timeout")]


@pytest.mark.parametrize("speaks", [True, False])
def test_automatic_readiness_comes_with_the_first_word_or_a_moment_later(speaks: bool) -> None:
    talk = Conversation()
    talk.protocol.open(talk.now)
    talk.protocol.outputs()
    assert talk.say(introduction()) == [out.Introduced(introduction())]
    assert not talk.protocol.routable(talk.now)
    talk.protocol.accept(talk.now, extensions=("checkpoint",))
    outputs = talk.protocol.outputs()
    assert frames(outputs) == [ConnectionReady("10s", "30s", "0s", ("checkpoint",))]
    assert others(outputs) == []
    assert not talk.protocol.forward(request(), talk.now)
    assert talk.protocol.deadline() == talk.now + 0.25
    assert talk.tick(0.2) == []
    outputs = talk.say(WorkerHeartbeat()) if speaks else talk.tick(0.05)
    assert others(outputs) == [out.Became(routable=True)]
    assert talk.protocol.routable(talk.now)


def test_a_worker_that_pauses_before_it_was_ready_is_never_asked() -> None:
    talk = Conversation()
    talk.protocol.open(talk.now)
    talk.say(introduction())
    talk.protocol.accept(talk.now)
    talk.protocol.outputs()
    assert talk.say(WorkerPause()) == []
    assert talk.tick(1) == []
    assert talk.protocol.phase is GatewayPhase.DRAINING


def test_manual_readiness() -> None:
    talk = Conversation().ready(manual=True)
    assert talk.protocol.phase is GatewayPhase.CONNECTED
    assert not talk.protocol.routable(talk.now)
    assert not talk.protocol.forward(request(), talk.now)
    assert frames(talk.say(WorkerHeartbeat())) == [GatewayHeartbeat()]
    assert talk.say(WorkerReady()) == [out.Became(routable=True)]
    assert talk.say(WorkerReady()) == []
    assert talk.protocol.forward(request(), talk.now)


INTRODUCED_WRONGLY = [
    (encode_frame(WorkerHeartbeat()), 1008, "connect_worker_hello_invalid_msg"),
    (b"", 1008, "connect_worker_hello_invalid_msg"),
    (b"\xff\xff\xff", 1007, "failed to unmarshal Protobuf"),
    ("text", 1007, "failed to unmarshal Protobuf"),
    (frame_of(Kind.WORKER_CONNECT, b"\x0a\xff"), 1008, "connect_worker_hello_invalid_payload"),
    (encode_frame(introduction(connection_id="x")), 1008, "connect_worker_hello_invalid_payload"),
    (encode_frame(introduction(instance_id="")), 1008, "connect_worker_hello_invalid_payload"),
    (encode_frame(introduction(apps=())), 1008, "connect_worker_hello_invalid_payload"),
]


@pytest.mark.parametrize(("frame", "code", "reason"), INTRODUCED_WRONGLY)
def test_wrong_introductions(frame: bytes | str, code: int, reason: str) -> None:
    talk = Conversation()
    talk.protocol.open(talk.now)
    talk.protocol.outputs()
    talk.protocol.receive(frame, talk.now)
    assert closes(talk.protocol.outputs()) == [(code, reason)]
    assert talk.protocol.phase is GatewayPhase.CLOSED


SAID_WRONGLY: list[tuple[bytes | str, list[tuple[int, str]]]] = [
    (b"\xff\xff\xff", [(1007, "failed to unmarshal Protobuf")]),
    ("text", [(1007, "failed to unmarshal Protobuf")]),
    (
        frame_of(Kind.WORKER_REQUEST_ACK, b"\x0a\xff"),
        [(1008, "connect_worker_request_ack_invalid_payload")],
    ),
    (
        frame_of(Kind.WORKER_REQUEST_EXTEND_LEASE, b"\x0a\xff"),
        [(1008, "connect_worker_request_extend_lease_invalid_payload")],
    ),
    (
        encode_frame(extend("no ulid")),
        [(1008, "connect_worker_request_extend_lease_invalid_payload")],
    ),
    (frame_of(Kind.WORKER_REPLY, b"\x0a\xff"), [(1011, "connect_internal_error")]),
    (frame_of(Kind.WORKER_STATUS, b"\x0a\xff"), []),
    (b"\x08\x63", []),
    (b"", []),
    (encode_frame(introduction()), []),
    (b"\x00" * (8_388_608 + 1), [(1009, "MESSAGE_TOO_LARGE")]),
]


@pytest.mark.parametrize(("frame", "expected"), SAID_WRONGLY)
def test_wrong_messages(frame: bytes | str, expected: list[tuple[int, str]]) -> None:
    talk = Conversation().ready()
    talk.protocol.receive(frame, talk.now)
    outputs = talk.protocol.outputs()
    assert closes(outputs) == expected
    assert (talk.protocol.phase is GatewayPhase.CLOSED) == bool(expected)


def test_exactly_eight_mebibytes_are_read() -> None:
    talk = Conversation().ready()
    reply = Reply("R1", "", "", "", ReplyStatus.DONE, b"")
    room = 8_388_608 - len(encode_frame(reply))
    body = b"x" * (room - 8)
    largest = Reply("R1", "", "", "", ReplyStatus.DONE, body)
    assert 8_388_600 <= len(encode_frame(largest)) <= 8_388_608
    assert talk.say(largest) == [out.ReplyCame(largest)]


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_raise(noise: list[bytes]) -> None:
    fresh = Conversation()
    fresh.protocol.open(0.0)
    for talk in (fresh, Conversation().ready()):
        for frame in noise:
            talk.protocol.receive(frame, 1.0)
        talk.protocol.outputs()


def test_a_refused_worker_hears_why() -> None:
    talk = Conversation()
    talk.protocol.open(talk.now)
    talk.say(introduction())
    problem = SyncFailed("bad", "At least one function is invalid")
    talk.protocol.reject(1008, "bad", problem=problem)
    outputs = talk.protocol.outputs()
    assert frames(outputs) == [problem]
    assert closes(outputs) == [(1008, "bad")]
    talk.protocol.accept(talk.now)
    assert talk.protocol.outputs() == []


def test_a_reason_fits_the_close_frame() -> None:
    talk = Conversation()
    talk.protocol.open(talk.now)
    talk.say(introduction())
    talk.protocol.reject(1008, "é" * 100)
    ((_, reason),) = closes(talk.protocol.outputs())
    assert len(reason.encode()) <= 123
    assert set(reason) == {"é"}


def test_a_claim_is_told_once() -> None:
    talk = Conversation().ready()
    assert talk.protocol.forward(request(), talk.now)
    assert frames(talk.protocol.outputs()) == [request()]
    assert talk.say(claim()) == [out.Taken("R1")]
    assert talk.say(claim()) == []
    assert talk.say(claim("unknown")) == []


def test_a_claim_that_does_not_come_is_told_too() -> None:
    talk = Conversation(GatewayConfig(ack_timeout_s=30.0, heartbeat_s=60)).ready()
    talk.protocol.forward(request("R1"), talk.now)
    talk.now += 10
    talk.protocol.forward(request("R2"), talk.now)
    talk.protocol.outputs()
    assert talk.protocol.deadline() == 130.0
    assert talk.tick(20) == [out.NotTaken("R1", "not claimed in time")]
    assert talk.protocol.deadline() == 140.0
    assert talk.say(claim("R1")) == []
    assert talk.say(claim("R2")) == [out.Taken("R2")]


def test_a_pause_releases_at_once_what_was_not_claimed() -> None:
    talk = Conversation().ready()
    talk.protocol.forward(request(), talk.now)
    talk.protocol.outputs()
    assert talk.say(WorkerPause()) == [
        out.Became(routable=False),
        out.NotTaken("R1", "the worker paused"),
    ]
    assert not talk.protocol.forward(request(), talk.now)
    assert talk.say(WorkerReady()) == []
    assert talk.protocol.phase is GatewayPhase.DRAINING


def test_a_pause_before_ready_is_final() -> None:
    talk = Conversation().ready(manual=True)
    assert talk.say(WorkerPause()) == []
    assert talk.say(WorkerReady()) == []
    assert talk.protocol.phase is GatewayPhase.DRAINING


def test_a_paused_worker_is_still_served() -> None:
    talk = Conversation().ready()
    talk.say(WorkerPause())
    assert frames(talk.say(WorkerHeartbeat())) == [GatewayHeartbeat()]
    reply = Reply("R1", "", "", "", ReplyStatus.DONE, b"1")
    assert talk.say(reply) == [out.ReplyCame(reply)]
    assert talk.protocol.acknowledge("R1")
    assert frames(talk.protocol.outputs()) == [ReplyAck("R1")]
    assert talk.say(extend()) == [out.LeaseAsked(extend())]


def test_leases() -> None:
    talk = Conversation().ready()
    talk.protocol.answer_lease(extend(), "next")
    talk.protocol.answer_lease(extend(), None)
    answers = [("next"), None]
    assert frames(talk.protocol.outputs()) == [
        ExtendLeaseAck("R1", "acct", "env", "app-id", "slug", lease) for lease in answers
    ]


def test_nothing_is_acknowledged_before_the_shell_says_so() -> None:
    talk = Conversation().ready()
    reply = Reply("R1", "", "", "", ReplyStatus.DONE, b"1")
    assert frames(talk.say(reply)) == []


def test_a_drain_serves_on_and_ends_after_25_seconds() -> None:
    talk = Conversation(GatewayConfig(heartbeat_s=60)).ready()
    talk.protocol.forward(request("R1"), talk.now)
    talk.protocol.forward(request("R2"), talk.now)
    talk.protocol.outputs()
    talk.protocol.drain(talk.now)
    talk.protocol.drain(talk.now)
    outputs = talk.protocol.outputs()
    assert frames(outputs) == [GatewayClosing()]
    assert others(outputs) == [out.Became(routable=False)]
    assert not talk.protocol.forward(request("R3"), talk.now)
    assert talk.say(claim("R1")) == [out.Taken("R1")]
    assert talk.tick(5) == [out.NotTaken("R2", "not claimed in time")]
    assert frames(talk.say(WorkerHeartbeat())) == [GatewayHeartbeat()]
    assert talk.tick(19) == []
    assert closes(talk.tick(1)) == [(1001, "connect_gateway_closing")]


def test_a_drain_during_the_handshake() -> None:
    talk = Conversation()
    talk.protocol.open(talk.now)
    talk.protocol.drain(talk.now)
    assert closes(talk.protocol.outputs()) == [(1001, "connect_gateway_closing")]
    talk = Conversation()
    talk.protocol.open(talk.now)
    talk.say(introduction())
    talk.protocol.drain(talk.now)
    assert talk.protocol.outputs() == []
    talk.protocol.accept(talk.now)
    outputs = talk.protocol.outputs()
    assert isinstance(frames(outputs)[0], ConnectionReady)
    assert frames(outputs)[1] == GatewayClosing()


def test_silence_stops_routing_after_two_heartbeats_and_ends_after_five() -> None:
    talk = Conversation().ready()
    assert talk.tick(20) == []
    assert talk.protocol.routable(talk.now)
    assert talk.tick(0.1) == []
    assert not talk.protocol.routable(talk.now)
    talk.say(WorkerHeartbeat())
    assert talk.protocol.routable(talk.now)
    assert talk.protocol.deadline() == talk.now + 50
    assert others(talk.tick(50)) == [
        out.Drop("CONSECUTIVE_HEARTBEATS_MISSED"),
        out.Became(routable=False),
        out.Ended("CONSECUTIVE_HEARTBEATS_MISSED"),
    ]
    assert talk.protocol.deadline() is None


@pytest.mark.parametrize(
    ("code", "reason", "recorded"),
    [
        (1000, "WORKER_SHUTDOWN", "WORKER_SHUTDOWN"),
        (1000, "my own words", "my own words"),
        (1000, "", "UNEXPECTED"),
        (1006, "", "UNEXPECTED"),
        (1009, "", "MESSAGE_TOO_LARGE"),
    ],
)
def test_why_a_connection_ended(code: int, reason: str, recorded: str) -> None:
    talk = Conversation().ready()
    talk.protocol.forward(request(), talk.now)
    talk.protocol.outputs()
    talk.protocol.closed(code, reason)
    assert talk.protocol.outputs() == [
        out.Became(routable=False),
        out.NotTaken("R1", "the connection ended"),
        out.Ended(recorded),
    ]
    talk.protocol.closed(code, reason)
    assert talk.protocol.outputs() == []


def test_a_worker_that_leaves_a_draining_gateway_left_because_of_it() -> None:
    talk = Conversation().ready()
    talk.protocol.drain(talk.now)
    talk.protocol.outputs()
    talk.protocol.closed(1000, "")
    assert talk.protocol.outputs() == [out.Ended("GATEWAY_DRAINING")]


def test_nothing_is_said_after_the_end() -> None:
    talk = Conversation().ready()
    talk.protocol.closed(1006, "")
    talk.protocol.outputs()
    assert not talk.protocol.acknowledge("R1")
    assert not talk.protocol.answer_lease(extend(), ID)
    assert talk.say(WorkerHeartbeat()) == []
    assert talk.tick(1000) == []


def test_status_is_for_those_who_watch() -> None:
    talk = Conversation().ready()
    status = WorkerStatus(("R1",), shutdown_requested=True)
    assert talk.say(status) == [out.StatusCame(status)]


def test_checkpoints() -> None:
    talk = Conversation().ready()
    steps = Checkpoint("R1", ID, 3, "run", "slug", b"[]")
    assert talk.say(steps) == [out.CheckpointCame(steps)]
    talk.protocol.answer_checkpoint(steps, CheckpointOutcome.SAVED)
    assert frames(talk.protocol.outputs()) == [CheckpointAck("R1", 3, CheckpointOutcome.SAVED)]


def test_the_tables() -> None:
    assert set(PHASE_AFTER) == set(MAY_SEND) == set(GatewayPhase)
    order = list(GatewayPhase)
    for before, after in itertools.product(GatewayPhase, GatewayPhase):
        if after in PHASE_AFTER[before]:
            check_phase(before, after)
            assert order.index(after) > order.index(before)
        else:
            with pytest.raises(GatewayProtocolError):
                check_phase(before, after)
    forwarding = [p for p in GatewayPhase if Kind.GATEWAY_EXECUTOR_REQUEST in MAY_SEND[p]]
    assert forwarding == [GatewayPhase.READY]
    for phase in SERVED:
        assert Kind.WORKER_REPLY_ACK in MAY_SEND[phase]


def test_the_hello_is_the_only_message_of_its_phase() -> None:
    assert MAY_SEND[GatewayPhase.GREETED] == {Kind.GATEWAY_HELLO}
    assert encode_frame(GatewayHello()) == b""


@given(st.floats(0, 1e7))
def test_a_deadline_that_has_come_is_dealt_with_whatever_rounding_does(now: float) -> None:
    talk = Conversation()
    talk.now = now
    talk.ready()
    due = talk.protocol.deadline()
    assert due is not None
    talk.protocol.tick(due)
    assert talk.protocol.phase is GatewayPhase.CLOSED
