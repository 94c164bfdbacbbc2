"""Each message of the connection, met once by each kind of trouble: nothing is lost by it, nothing
is done twice, and in the end all is well. What is random, and much at once, is tested beside it."""

import msgspec
import pytest

from stepwell.sdk.connect.phase import ConnectionState
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.testing.simulation.link import Link, Socket
from stepwell.wire.connect_word import (
    Checkpoint,
    CheckpointAck,
    ConnectionReady,
    ExecutorRequest,
    ExtendLease,
    ExtendLeaseAck,
    GatewayClosing,
    GatewayHeartbeat,
    GatewayHello,
    Message,
    Reply,
    ReplyAck,
    RequestAck,
    WorkerConnect,
    WorkerHeartbeat,
    WorkerPause,
    WorkerReady,
    WorkerStatus,
)

KINDS: list[type[Message]] = [
    *(GatewayHello, WorkerConnect, ConnectionReady, WorkerReady),
    *(ExecutorRequest, RequestAck, Reply, ReplyAck, Checkpoint, CheckpointAck),
    *(ExtendLease, ExtendLeaseAck, WorkerHeartbeat, GatewayHeartbeat, WorkerStatus),
    *(GatewayClosing, WorkerPause),
]
TROUBLES = ["lost", "repeated", "late", "overtaken", "cut before", "cut after"]


class TroubledLink(Link):
    """A good wire, but for the first message of one kind."""

    kind: type[Message]
    trouble: str
    met = False

    def _carry(self, socket: Socket, message: Message, frame: bytes, *, from_worker: bool) -> None:
        if self.met or not isinstance(message, self.kind):
            super()._carry(socket, message, frame, from_worker=from_worker)
            return
        self.met = True
        self._trace(f"trouble: {self.trouble}")
        life = self._life

        def deliver() -> None:
            self._deliver(socket, frame, life, from_worker=from_worker)

        match self.trouble:
            case "lost":
                return
            case "repeated":
                deliver_twice = (0.003, 0.4)
                for delay_s in deliver_twice:
                    self.at(delay_s, deliver)
            case "late":
                socket.arrives[from_worker] = self.now + 3.0
                self.at(3.0, deliver)
            case "overtaken":
                self.at(0.5, deliver)
            case "cut before":
                self._cut(socket)
            case _:
                self.at(0.003, deliver)
                self.at(0.004, lambda: self._cut(socket))


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_one_message_in_trouble_loses_nothing(kind: type[Message], trouble: str) -> None:
    link = TroubledLink(3, gateways=2, gateway=GatewayConfig(status_s=7, ack_timeout_s=8.0))
    link.kind, link.trouble = kind, trouble

    def execute(request: ExecutorRequest, checkpointing: bool) -> None:
        if checkpointing:
            link.call_worker(lambda w, now: w.checkpoint(request.request_id, b"[1]", now))
        link._work(request, checkpointing)

    link.on_execute = execute
    link.start()
    calls = [link.want(0.5), link.want(50.0)]
    link.run(60)
    calls.append(link.want(20.0))
    link.run(1)
    for gateway in {socket.gateway for socket in link.sockets()}:
        link.drain(gateway)
        link.at(30, lambda gateway=gateway: link.revive(gateway))
    link.run_until(lambda: all(call.answer is not None for call in calls), within_s=250)
    link.run_until(lambda: link.worker.state is ConnectionState.ACTIVE, within_s=120)
    link.call_worker(lambda worker, now: worker.close(now))
    link.run_until(lambda: link.finished is not None, within_s=60)
    assert link.finished is not None
    assert (link.finished.error, link.finished.unsent, link.spool) == (None, (), {})
    assert link.met, f"there was no {kind.__name__}"
    assert len(set(link.executions)) == len(link.executions)
    # Nothing was given up: each call is the one that was begun first.
    assert [call.attempts for call in calls] == [1, 1, 1]
    told = [msgspec.structs.asdict(call.answer)["body"] for call in calls if call.answer]
    assert told == [b'"done"'] * 3
