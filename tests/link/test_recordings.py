"""The recorded conversations, replayed against both protocol objects.

The worker's object is given what the reference gateway said and must say what the official worker
said; the gateway's object is given what the official worker said and must answer as the reference
gateway did. Where ours means to differ (it names the run, says when it is ready, sends its answers
again sooner), the difference is written down here.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stepwell.sdk.connect import output as worker_output
from stepwell.sdk.connect.introduction import WorkerConfig
from stepwell.sdk.connect.phase import ConnectionState
from stepwell.sdk.connect.protocol import WorkerProtocol
from stepwell.server.gateway import output as gateway_output
from stepwell.server.gateway.protocol import GatewayConfig, GatewayProtocol
from stepwell.wire.connect_decode import decode_frame, decode_reply, decode_start_response
from stepwell.wire.connect_encode import encode_frame
from stepwell.wire.connect_word import (
    ConnectionReady,
    ExecutorRequest,
    ExtendLease,
    ExtendLeaseAck,
    GatewayClosing,
    Message,
    Reply,
    ReplyAck,
    RequestAck,
    WorkerConnect,
    WorkerHeartbeat,
    WorkerReady,
    WorkerStatus,
)
from tests.recordings import Entry, body_of, bytes_of, connect_recordings, recording

READ_ALL = 1 << 30
# Positions of these depend on timers, not on the conversation.
TIMED = (WorkerHeartbeat, ExtendLease, WorkerStatus)


def decoded(entry: Entry) -> Message:
    return decode_frame(bytes_of(entry), bytes_max=READ_ALL)


def socket_entries(name: str) -> Iterator[Entry]:
    for entry in recording(name):
        if "ws" in entry or str(entry.get("path_and_query", "")).startswith("/v0/connect"):
            yield entry


def replies_in(name: str) -> dict[str, Reply]:
    """What the recorded functions answered, by request, over the socket or by flush."""
    found: dict[str, Reply] = {}
    for entry in recording(name):
        if entry.get("kind") == "WORKER_REPLY":
            reply = decoded(entry)
            assert isinstance(reply, Reply)
            found[reply.request_id] = reply
        elif entry.get("path_and_query") == "/v0/connect/flush":
            reply = decode_reply(body_of(entry["request_body"]))
            found.setdefault(reply.request_id, reply)
    return found


class WorkerReplay:
    """Our worker in the place of the recorded one, told what the gateway said at the same times."""

    def __init__(self, name: str, connection: int) -> None:
        self.entries = [
            e for e in socket_entries(name) if e.get("connection", connection) == connection
        ]
        self.replies = replies_in(name)
        introduction = next(decoded(e) for e in self.entries if e.get("kind") == "WORKER_CONNECT")
        assert isinstance(introduction, WorkerConnect)
        self.introduction = introduction
        self.worker = WorkerProtocol(config_of(introduction), lambda: 0.5)
        self.said: list[Message] = []
        self.flushed: list[str] = []
        self.now = 0.0
        self.socket = 0

    def perform(self) -> None:
        for output in self.worker.outputs():
            match output:
                case worker_output.Dial():
                    self.socket = output.attempt
                case worker_output.Transmit():
                    self.said.append(decode_frame(output.frame, bytes_max=READ_ALL))
                case worker_output.Flush():
                    self.flushed.append(output.request_id)
                    self.worker.flushed(output.request_id, self.now)
                case _:
                    pass

    def pass_time(self, until: float) -> None:
        while (due := self.worker.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.worker.tick(self.now)
            self.perform()
        self.now = until

    def run(self) -> None:
        self.worker.begin(0.0)
        self.perform()
        for entry in self.entries:
            self.pass_time(entry["at_ms"] / 1000)
            self.hear(entry)
            self.perform()
        self.pass_time(self.now + 6)

    def hear(self, entry: Entry) -> None:
        worker, now = self.worker, self.now
        if entry.get("path_and_query") == "/v0/connect/start" and self.socket == 0:
            worker.start_answered(1, decode_start_response(body_of(entry["response_body"])), now)
        elif entry.get("ws") == "open":
            worker.opened(self.socket, now)
        elif entry.get("ws") == "message" and entry["from"] == "gateway":
            if not entry.get("withheld"):
                worker.receive(self.socket, bytes_of(entry), now)
        elif entry.get("kind") == "WORKER_REPLY":
            reply = decoded(entry)
            assert isinstance(reply, Reply)
            worker.reply(reply, now)
        elif entry.get("kind") == "WORKER_PAUSE":
            worker.close(now)


def config_of(introduction: WorkerConnect) -> WorkerConfig:
    return WorkerConfig(
        instance_id=introduction.instance_id,
        apps=introduction.apps,
        capabilities=introduction.capabilities,
        sdk_version=introduction.sdk_version,
        sdk_language=introduction.sdk_language,
        framework=introduction.framework,
        system=introduction.system,
        concurrency_max=introduction.concurrency_max,
    )


def spoken(entries: list[Entry]) -> list[Message]:
    said = [decoded(e) for e in entries if e.get("ws") == "message" and e["from"] == "sdk"]
    return [m for m in said if not isinstance(m, TIMED)]


# Conversations in which one socket tells the whole story of its worker.
SIMPLE = [
    *("sync", "no-steps", "two-steps", "step-null", "unicode", "step-retry-ok", "non-retriable"),
    *("lease-extension", "reply-ack-lost", "ready-race"),
]


@pytest.mark.parametrize("name", SIMPLE)
def test_our_worker_says_what_the_official_worker_said(name: str) -> None:
    replay = WorkerReplay(name, connection=1)
    replay.run()
    ours = [m for m in replay.said if not isinstance(m, (*TIMED, WorkerReady))]
    theirs = spoken(replay.entries)
    assert [without_run(m) for m in ours] == [without_run(m) for m in theirs]
    heard = sum(1 for e in replay.entries if e.get("kind") == "GATEWAY_EXECUTOR_REQUEST")
    acks = [m for m in replay.said if isinstance(m, RequestAck)]
    assert len(acks) == heard
    assert all(ack.run_id for ack in acks)


def without_run(message: Message) -> Message:
    """Ours names the run and asks for manual readiness; the recorded worker did neither."""
    if isinstance(message, RequestAck):
        return msgspec.structs.replace(message, run_id="")
    if isinstance(message, WorkerConnect):
        return msgspec.structs.replace(message, manual_readiness=False)
    return message


def test_our_worker_extends_its_lease_once_and_with_the_newest_lease() -> None:
    """Its timer runs from the claim, the recorded one from the connection: three seconds apart."""
    replay = WorkerReplay("lease-extension", connection=1)
    replay.run()
    ours = [m for m in replay.said if isinstance(m, ExtendLease)]
    theirs = [m for e in replay.entries if isinstance(m := _message(e), ExtendLease)]
    granted = [m for e in replay.entries if isinstance(m := _message(e), ExtendLeaseAck)]
    assert len(theirs) == len(ours) == 1
    assert ours[0].request_id == theirs[0].request_id
    assert ours[0].lease_id == granted[0].lease_id


def test_our_worker_flushes_what_was_not_acknowledged_as_recorded_only_sooner() -> None:
    replay = WorkerReplay("reply-ack-lost", connection=1)
    replay.run()
    theirs = [
        decode_reply(body_of(e["request_body"])).request_id
        for e in recording("reply-ack-lost")
        if e.get("path_and_query") == "/v0/connect/flush"
    ]
    assert len(theirs) == 3
    assert replay.flushed == theirs
    assert replay.worker.unacknowledged == 0


def test_our_worker_shuts_down_as_recorded() -> None:
    replay = WorkerReplay("graceful-shutdown", connection=paused_connection("graceful-shutdown"))
    replay.run()
    ours = [m for m in replay.said if not isinstance(m, (*TIMED, WorkerReady))]
    theirs = spoken(replay.entries)
    assert [type(m) for m in ours] == [type(m) for m in theirs]
    assert replay.worker.state is ConnectionState.CLOSED


def paused_connection(name: str) -> int:
    for entry in recording(name):
        if entry.get("kind") == "WORKER_PAUSE":
            return int(entry["connection"])
    raise AssertionError(f"nobody pauses in {name}")


# --- the gateway's side -----------------------------------------------------------------------


class GatewayReplay:
    """Our gateway in the place of the recorded one, told what one worker's socket said."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.protocol = GatewayProtocol(GatewayConfig())
        self.said: list[Message] = []
        self.closed: list[tuple[int, str]] = []
        self.grants = {
            m.request_id: m.lease_id
            for e in entries
            if isinstance(m := _message(e), ExtendLeaseAck)
        }

    def perform(self, now: float) -> None:
        while outputs := self.protocol.outputs():
            for output in outputs:
                self.handle(output, now)

    def handle(self, output: gateway_output.Output, now: float) -> None:
        match output:
            case gateway_output.Transmit():
                self.said.append(decode_frame(output.frame, bytes_max=READ_ALL))
            case gateway_output.Introduced():
                self.protocol.accept(now)
            case gateway_output.LeaseAsked():
                asked = output.message
                self.protocol.answer_lease(asked, self.grants[asked.request_id])
            case gateway_output.ReplyCame():
                self.protocol.acknowledge(output.reply.request_id)
            case gateway_output.Close():
                self.closed.append((output.code, output.reason))
            case _:
                pass

    def run(self) -> None:
        now = 0.0
        for entry in self.entries:
            now = entry["at_ms"] / 1000
            self.protocol.tick(now)
            self.perform(now)
            if entry["ws"] == "open":
                refuses = any(e["ws"] == "close" and e.get("code") == 1001 for e in self.entries)
                greeted = any(e["ws"] == "message" for e in self.entries)
                self.protocol.open(now, draining=refuses and not greeted)
            elif entry["ws"] == "message" and entry["from"] == "sdk":
                self.protocol.receive(bytes_of(entry), now)
            elif entry["ws"] == "message":
                self.prompt(decoded(entry), now)
            elif entry["ws"] in {"close", "tcp-eof"} and entry["from"] == "sdk":
                self.protocol.closed(entry.get("code", 1006), entry.get("reason", ""))
            self.perform(now)

    def prompt(self, message: Message, now: float) -> None:
        """What the recorded gateway said of its own accord."""
        if isinstance(message, ExecutorRequest):
            self.protocol.forward(message, now)
        elif isinstance(message, GatewayClosing):
            self.protocol.drain(now)


def _message(entry: Entry) -> Message | None:
    return decoded(entry) if entry.get("ws") == "message" else None


def by_connection(path: Path) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    for entry in recording(path.stem):
        if "ws" in entry and entry["ws"] not in {"ping", "pong"}:
            found.setdefault(entry["connection"], []).append(entry)
    return found


CONVERSATIONS = [
    pytest.param(entries, id=f"{path.stem}-{number}")
    for path in connect_recordings()
    for number, entries in by_connection(path).items()
]


def order_kept(messages: list[Message]) -> list[Message]:
    """The reference answers on several threads: only the order within a kind is fixed."""
    return sorted(messages, key=lambda m: type(m).__name__)


def by_gateway(entry: Entry) -> bool:
    return bool(entry["from"] == "gateway")


def as_seen(message: Message) -> Message:
    """The recorder's schema did not know the status interval; the size of the frame tells it."""
    if isinstance(message, ConnectionReady):
        return msgspec.structs.replace(message, status_interval="")
    return message


@pytest.mark.parametrize("entries", CONVERSATIONS)
def test_our_gateway_answers_as_the_reference_gateway_did(entries: list[Entry]) -> None:
    replay = GatewayReplay(entries)
    replay.run()
    theirs = [decoded(e) for e in entries if e["ws"] == "message" and e["from"] == "gateway"]
    assert order_kept([as_seen(m) for m in replay.said]) == order_kept(theirs)
    sizes = [e["bytes"] for e in entries if e.get("kind") == "GATEWAY_CONNECTION_READY"]
    assert sizes == [len(encode_frame(m)) for m in replay.said if isinstance(m, ConnectionReady)]
    ended = [(e["code"], e["reason"]) for e in entries if e["ws"] == "close" and by_gateway(e)]
    assert [close for close in ended if close[0] != 1000] == replay.closed
    told = [m for m in replay.said if isinstance(m, ReplyAck)]
    assert len(told) == sum(1 for e in entries if e.get("kind") == "WORKER_REPLY")
