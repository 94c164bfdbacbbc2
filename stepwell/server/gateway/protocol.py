"""The gateway's side of one worker connection: every rule of it, and no input or output.

The law: **this object never waits and never acts.** Its shell tells it what happened and when
(`open`, `receive`, `accept`, `forward`, `acknowledge`, `drain`, `closed`, `tick`), performs what
`outputs` asks for in that order, and calls `tick` when `deadline` has come. Times are monotonic
seconds.

What it guarantees, whatever the worker does:

* A request is forwarded only while the connection is READY, and every forwarded request is reported
  exactly once as taken or as not taken.
* Nothing is acknowledged here: the shell says so, after its commit.
* No bytes a worker can send raise; they close the connection with the code the protocol names.
* Messages are taken in the order they came, so what a worker said before it paused still counts.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from stepwell.server.gateway.output import (
    Became,
    CheckpointCame,
    Close,
    Drop,
    Ended,
    Introduced,
    LeaseAsked,
    NotTaken,
    Output,
    ReplyCame,
    StatusCame,
    Taken,
    Transmit,
)
from stepwell.server.gateway.phase import MAY_SEND, SERVED, GatewayPhase, check_phase
from stepwell.wire.connect_decode import FrameError, decode_frame
from stepwell.wire.connect_encode import encode_frame, kind_of
from stepwell.wire.connect_limit import (
    CLOSE_BAD_DATA,
    CLOSE_GOING_AWAY,
    CLOSE_INTERNAL,
    CLOSE_NORMAL,
    CLOSE_POLICY,
    CLOSE_REASON_BYTES_MAX,
    CLOSE_TOO_BIG,
    EXTEND_LEASE_S,
    GATEWAY_DRAIN_S,
    GATEWAY_HEARTBEATS_MISSED_MAX,
    GATEWAY_HELLO_TIMEOUT_S,
    GATEWAY_READ_BYTES_MAX,
    HEARTBEAT_S,
    REASON_BAD_ACK,
    REASON_BAD_EXTEND,
    REASON_BAD_FRAME,
    REASON_GATEWAY_CLOSING,
    REASON_HEARTBEATS_MISSED,
    REASON_HELLO_INVALID,
    REASON_HELLO_PAYLOAD,
    REASON_HELLO_TIMEOUT,
    REASON_INTERNAL,
    REASON_TOO_LARGE,
    REASON_UNEXPECTED,
)
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
    Message,
    Reply,
    ReplyAck,
    RequestAck,
    SyncFailed,
    WorkerConnect,
    WorkerHeartbeat,
    WorkerPause,
    WorkerReady,
    WorkerStatus,
)
from stepwell.wire.identifier import is_ulid

REASON_DRAINED: Final = "GATEWAY_DRAINING"
DRAIN_ACK_S: Final = 5.0
STALE_BEATS: Final = 2


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The intervals one gateway gives its workers, in seconds.

    The two that travel are whole seconds: one official worker reads nothing else.
    """

    heartbeat_s: int = int(HEARTBEAT_S)
    extend_lease_s: int = int(EXTEND_LEASE_S)
    status_s: int = 0
    hello_timeout_s: float = GATEWAY_HELLO_TIMEOUT_S
    drain_s: float = GATEWAY_DRAIN_S
    ack_timeout_s: float = 30.0
    """How long a healthy worker may take to claim a request before others are asked."""
    settle_s: float = 0.25
    """A worker that does not say when it is ready gets work when it has spoken, or so much later:
    some SDKs listen for requests only a moment after they heard that they are connected."""
    read_bytes_max: int = GATEWAY_READ_BYTES_MAX

    @property
    def stale_s(self) -> float:
        """How long after its last word a worker is still counted on."""
        return STALE_BEATS * self.heartbeat_s


class GatewayProtocol:
    """One connection of one worker."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._outputs: list[Output] = []
        self.phase = GatewayPhase.NEW
        self.worker: WorkerConnect | None = None
        self.heard_at = 0.0
        """When the worker was last heard, on the clock of the inputs."""
        self._hello_by: float | None = None
        self._drained_by: float | None = None
        self._ready_at: float | None = None
        self._draining = False
        self._unclaimed: OrderedDict[str, float] = OrderedDict()

    # --- what the shell asks ------------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """What is to be done, in this order; each is given once."""
        taken, self._outputs = self._outputs, []
        return taken

    def deadline(self) -> float | None:
        """When `tick` must be called at the latest; None: only something from outside matters."""
        if self.phase is GatewayPhase.CLOSED:
            return None
        times = [self._hello_by, self._drained_by, self._ready_at]
        times.append(next(iter(self._unclaimed.values()), None))
        if self.phase in SERVED:
            times.append(self.heard_at + self._silence_s)
        return min((t for t in times if t is not None), default=None)

    @property
    def _silence_s(self) -> float:
        return self._config.heartbeat_s * GATEWAY_HEARTBEATS_MISSED_MAX

    def routable(self, now: float) -> bool:
        """May work be forwarded: ready, and heard within two heartbeats."""
        fresh = now - self.heard_at <= self._config.stale_s
        return self.phase is GatewayPhase.READY and fresh

    @property
    def unclaimed(self) -> int:
        """How many forwarded requests the worker has not claimed yet."""
        return len(self._unclaimed)

    # --- the beginning ---------------------------------------------------------------------------

    def open(self, now: float, *, draining: bool = False) -> None:
        """The socket is open. A gateway that drains refuses before its hello."""
        self.heard_at = now
        if draining:
            self._close(CLOSE_GOING_AWAY, REASON_GATEWAY_CLOSING, REASON_DRAINED)
            return
        self._go(GatewayPhase.GREETED)
        self._hello_by = now + self._config.hello_timeout_s
        self._send(GatewayHello())

    def accept(self, now: float, *, extensions: tuple[str, ...] = ()) -> None:
        """The worker may stay: its token is good and its apps are registered."""
        if self.phase is not GatewayPhase.SYNCING or self.worker is None:
            return
        config = self._config
        self.heard_at = now
        self._go(GatewayPhase.CONNECTED)
        if not self.worker.manual_readiness:
            self._ready_at = now + config.settle_s
        self._send(
            ConnectionReady(
                f"{config.heartbeat_s}s",
                f"{config.extend_lease_s}s",
                f"{config.status_s}s",
                extensions,
            )
        )
        if self._draining:
            self._start_drain(now)

    def reject(self, code: int, reason: str, *, problem: SyncFailed | None = None) -> None:
        """The worker may not stay. `problem` is told first if its apps were refused."""
        if self.phase is not GatewayPhase.SYNCING:
            return
        if problem is not None:
            self._send(problem)
        self._close(code, reason, reason or REASON_UNEXPECTED)

    # --- what the server sends ----------------------------------------------------------------

    def forward(self, request: ExecutorRequest, now: float) -> bool:
        """Give the worker a request; False if it may not be given any.

        Its fate is told as `Taken` or `NotTaken`, exactly once.
        """
        if self.phase is not GatewayPhase.READY:
            return False
        self._unclaimed[request.request_id] = now + self._config.ack_timeout_s
        self._unclaimed.move_to_end(request.request_id)
        self._send(request)
        return True

    def acknowledge(self, request_id: str) -> bool:
        """An answer is stored: the worker may forget it. False if it cannot be told any more."""
        return self._send(ReplyAck(request_id))

    def answer_lease(self, asked: ExtendLease | ExecutorRequest, lease_id: str | None) -> bool:
        """The next lease of a request, or None: refused, even if the worker did not ask."""
        return self._send(
            ExtendLeaseAck(
                asked.request_id,
                asked.account_id,
                asked.env_id,
                asked.app_id,
                asked.function_slug,
                lease_id,
            )
        )

    def answer_checkpoint(
        self, asked: Checkpoint, outcome: CheckpointOutcome, message: str = ""
    ) -> bool:
        """What became of steps that were saved while their call goes on."""
        return self._send(CheckpointAck(asked.request_id, asked.sequence, outcome, message))

    # --- what the worker says -----------------------------------------------------------------

    def receive(self, frame: bytes | str, now: float) -> None:
        """One frame arrived."""
        if self.phase in {GatewayPhase.NEW, GatewayPhase.CLOSED}:
            return
        self.heard_at = now
        if isinstance(frame, str):
            self._close(CLOSE_BAD_DATA, REASON_BAD_FRAME, REASON_UNEXPECTED)
            return
        try:
            message = decode_frame(frame, bytes_max=self._config.read_bytes_max)
        except FrameError as error:
            self._unreadable(error)
            return
        if self.phase is GatewayPhase.GREETED:
            self._introduced(message)
        elif self.phase in SERVED:
            self._spoken(message)
        # While the apps are registered nothing a worker may say matters yet.

    def _unreadable(self, error: FrameError) -> None:
        if error.too_large:
            self._close(CLOSE_TOO_BIG, REASON_TOO_LARGE, REASON_TOO_LARGE)
            return
        match error.kind:
            case Kind.WORKER_STATUS:
                return
            case Kind.WORKER_REQUEST_ACK:
                code, reason = CLOSE_POLICY, REASON_BAD_ACK
            case Kind.WORKER_REQUEST_EXTEND_LEASE:
                code, reason = CLOSE_POLICY, REASON_BAD_EXTEND
            case Kind.WORKER_CONNECT:
                code, reason = CLOSE_POLICY, REASON_HELLO_PAYLOAD
            case None:
                code, reason = CLOSE_BAD_DATA, REASON_BAD_FRAME
            case _:
                code, reason = CLOSE_INTERNAL, REASON_INTERNAL
        self._close(code, reason, reason)

    def _introduced(self, message: Message) -> None:
        if not isinstance(message, WorkerConnect):
            self._close(CLOSE_POLICY, REASON_HELLO_INVALID, REASON_HELLO_INVALID)
            return
        if not is_ulid(message.connection_id) or not message.instance_id or not message.apps:
            self._close(CLOSE_POLICY, REASON_HELLO_PAYLOAD, REASON_HELLO_PAYLOAD)
            return
        self._hello_by = None
        self.worker = message
        self._go(GatewayPhase.SYNCING)
        self._outputs.append(Introduced(message))

    def _spoken(self, message: Message) -> None:
        if self._ready_at is not None and not isinstance(message, WorkerPause):
            self._worker_ready()
        match message:
            case WorkerHeartbeat():
                self._send(GatewayHeartbeat())
            case WorkerReady():
                self._worker_ready()
            case WorkerPause():
                self._worker_paused()
            case RequestAck():
                if self._unclaimed.pop(message.request_id, None) is not None:
                    self._outputs.append(Taken(message.request_id))
            case ExtendLease():
                if is_ulid(message.lease_id):
                    self._outputs.append(LeaseAsked(message))
                else:
                    self._close(CLOSE_POLICY, REASON_BAD_EXTEND, REASON_BAD_EXTEND)
            case Reply():
                self._outputs.append(ReplyCame(message))
            case Checkpoint():
                self._outputs.append(CheckpointCame(message))
            case WorkerStatus():
                self._outputs.append(StatusCame(message))
            case _:
                # A second introduction, a stray empty frame, a kind of a later protocol.
                return

    def _worker_ready(self) -> None:
        self._ready_at = None
        if self.phase is GatewayPhase.CONNECTED:
            self._go(GatewayPhase.READY)
            self._outputs.append(Became(routable=True))

    def _worker_paused(self) -> None:
        """Whatever the worker claimed it claimed before; the rest it will not claim."""
        self._stop_routing()
        self._release("the worker paused")

    # --- the end -------------------------------------------------------------------------------

    def drain(self, now: float) -> None:
        """This gateway is closing: ask the worker to connect elsewhere, serve it a while longer."""
        if self._draining:
            return
        self._draining = True
        if self.phase is GatewayPhase.GREETED:
            self._close(CLOSE_GOING_AWAY, REASON_GATEWAY_CLOSING, REASON_DRAINED)
        elif self.phase in SERVED:
            self._start_drain(now)

    def _start_drain(self, now: float) -> None:
        self._send(GatewayClosing())
        self._stop_routing()
        self._drained_by = now + self._config.drain_s
        # What it was given before it heard of the drain, it may still claim.
        limit = now + DRAIN_ACK_S
        self._unclaimed = OrderedDict((key, min(at, limit)) for key, at in self._unclaimed.items())

    def dismiss(self) -> None:
        """This gateway ends now, whatever the worker still wants to say."""
        if self.phase is not GatewayPhase.CLOSED:
            self._close(CLOSE_GOING_AWAY, REASON_GATEWAY_CLOSING, REASON_DRAINED)

    def closed(self, code: int, reason: str) -> None:
        """The socket ended, by the worker or by the network."""
        named = reason if code == CLOSE_NORMAL and reason else REASON_UNEXPECTED
        if code == CLOSE_TOO_BIG:
            named = REASON_TOO_LARGE
        self._end(REASON_DRAINED if self._draining and not reason else named)

    def tick(self, now: float) -> None:
        """Do whatever is due. Calling it too often is harmless."""
        if self.phase is GatewayPhase.CLOSED:
            return
        if self._ready_at is not None and self._ready_at <= now:
            self._worker_ready()
        if self._hello_by is not None and self._hello_by <= now:
            self._close(CLOSE_POLICY, REASON_HELLO_TIMEOUT, REASON_HELLO_TIMEOUT)
        elif self._drained_by is not None and self._drained_by <= now:
            self._close(CLOSE_GOING_AWAY, REASON_GATEWAY_CLOSING, REASON_DRAINED)
        elif self.phase in SERVED and self.heard_at + self._silence_s <= now:
            self._outputs.append(Drop(REASON_HEARTBEATS_MISSED))
            self._end(REASON_HEARTBEATS_MISSED)
        while self._unclaimed and next(iter(self._unclaimed.values())) <= now:
            request_id, _ = self._unclaimed.popitem(last=False)
            self._outputs.append(NotTaken(request_id, "not claimed in time"))

    def _close(self, code: int, reason: str, recorded: str) -> None:
        short = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode("utf-8", "ignore")
        self._outputs.append(Close(code, short))
        self._end(recorded)

    def _end(self, reason: str) -> None:
        if self.phase is GatewayPhase.CLOSED:
            return
        if self.phase is GatewayPhase.READY:
            self._outputs.append(Became(routable=False))
        self._go(GatewayPhase.CLOSED)
        self._hello_by = self._drained_by = self._ready_at = None
        self._release("the connection ended")
        self._outputs.append(Ended(reason))

    def _stop_routing(self) -> None:
        self._ready_at = None
        if self.phase is GatewayPhase.READY:
            self._outputs.append(Became(routable=False))
        if self.phase in {GatewayPhase.READY, GatewayPhase.CONNECTED}:
            self._go(GatewayPhase.DRAINING)

    def _release(self, why: str) -> None:
        unclaimed, self._unclaimed = self._unclaimed, OrderedDict()
        self._outputs.extend(NotTaken(request_id, why) for request_id in unclaimed)

    def _go(self, phase: GatewayPhase) -> None:
        check_phase(self.phase, phase)
        self.phase = phase

    def _send(self, message: GatewayMessage) -> bool:
        if kind_of(message) not in MAY_SEND[self.phase]:
            return False
        self._outputs.append(Transmit(encode_frame(message)))
        return True
