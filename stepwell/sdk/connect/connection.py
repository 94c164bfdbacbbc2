"""One attempt to connect and the socket that comes of it: its phase, its handshake, its heartbeat.

It knows nothing of requests and answers; those outlive a socket and belong to the whole worker. It
never waits: `deadline` says when `tick` wants to be called. Times are monotonic seconds.
"""

from typing import Final

from stepwell.sdk.connect.output import Transmit
from stepwell.sdk.connect.phase import ATTEMPT_PHASES, SocketPhase, check_phase, check_send
from stepwell.wire.connect_encode import encode_frame, frame_of, kind_of
from stepwell.wire.connect_limit import (
    EXTEND_LEASE_FALLBACK_S,
    HEARTBEAT_S,
    INTERVAL_MAX_S,
    INTERVAL_MIN_S,
    WORKER_BEATS_UNANSWERED_MAX,
    WORKER_DIAL_TIMEOUT_S,
    WORKER_HELLO_TIMEOUT_S,
    WORKER_READY_TIMEOUT_S,
    WORKER_START_TIMEOUT_S,
)
from stepwell.wire.connect_word import (
    ConnectionReady,
    Kind,
    StartResponse,
    SyncFailed,
    WorkerMessage,
)
from stepwell.wire.duration import DurationError, parse_duration_ms

PHASE_TIMEOUT_S: Final[dict[SocketPhase, float]] = {
    SocketPhase.STARTING: WORKER_START_TIMEOUT_S,
    SocketPhase.DIALING: WORKER_DIAL_TIMEOUT_S,
    SocketPhase.GREETING: WORKER_HELLO_TIMEOUT_S,
    SocketPhase.INTRODUCED: WORKER_READY_TIMEOUT_S,
}


def interval_s(text: str, default_s: float) -> float:
    """An interval a gateway named, within what makes sense; unreadable or zero: the default."""
    try:
        milliseconds = parse_duration_ms(text)
    except DurationError:
        return default_s
    if milliseconds == 0:
        return default_s
    return min(max(milliseconds / 1000, INTERVAL_MIN_S), INTERVAL_MAX_S)


class Connection:
    """One attempt, from the start call to the end of its socket."""

    __slots__ = (
        "beat_at",
        "beat_missed",
        "began",
        "deadline_at",
        "extend_s",
        "extensions",
        "heartbeat_s",
        "id",
        "paused",
        "phase",
        "ready_at",
        "start",
        "status_at",
        "status_s",
        "sync_failed",
    )

    def __init__(self, id: int, now: float) -> None:
        self.id = id
        self.began = now
        self.phase = SocketPhase.STARTING
        self.start: StartResponse | None = None
        self.deadline_at: float | None = now + PHASE_TIMEOUT_S[SocketPhase.STARTING]
        self.sync_failed: SyncFailed | None = None
        self.paused = False
        self.ready_at = 0.0
        self.heartbeat_s = HEARTBEAT_S
        self.extend_s = EXTEND_LEASE_FALLBACK_S
        self.status_s = 0.0
        self.extensions: tuple[str, ...] = ()
        self.beat_at: float | None = None
        self.beat_missed = 0
        self.status_at: float | None = None

    @property
    def group(self) -> str:
        """The gateway group the start call named, or nothing yet."""
        return "" if self.start is None else self.start.gateway_group

    @property
    def connecting(self) -> bool:
        """The handshake is not complete yet."""
        return self.phase in ATTEMPT_PHASES

    def go(self, phase: SocketPhase, now: float) -> None:
        """Move forward; the new phase brings its own time limit."""
        check_phase(self.phase, phase)
        self.phase = phase
        limit = PHASE_TIMEOUT_S.get(phase)
        self.deadline_at = None if limit is None else now + limit

    def ready(self, message: ConnectionReady, now: float) -> None:
        """The handshake is complete: take the gateway's intervals and begin to beat at once."""
        self.go(SocketPhase.ACTIVE, now)
        self.ready_at = now
        self.heartbeat_s = interval_s(message.heartbeat_interval, HEARTBEAT_S)
        self.extend_s = interval_s(message.extend_lease_interval, EXTEND_LEASE_FALLBACK_S)
        self.status_s = interval_s(message.status_interval, 0.0)
        self.extensions = message.extensions
        self.beat_at = now
        self.status_at = now + self.status_s if self.status_s else None

    def retire(self, at: float) -> None:
        """A replacement is active: this socket ends at the latest at `at`."""
        self.deadline_at = at

    def beat_due(self, now: float) -> bool:
        """Is it time for a heartbeat?"""
        return self.beat_at is not None and self.beat_at <= now

    def beat(self, now: float) -> None:
        """A heartbeat is being sent; count it as unanswered until it is answered."""
        self.beat_missed += 1
        self.beat_at = now + self.heartbeat_s

    @property
    def dead(self) -> bool:
        """Too many heartbeats in a row were not answered."""
        return self.beat_missed >= WORKER_BEATS_UNANSWERED_MAX

    def answered(self) -> None:
        """The gateway answered a heartbeat."""
        self.beat_missed = 0

    def overdue(self, now: float) -> bool:
        """The time limit of the phase has passed."""
        return self.deadline_at is not None and self.deadline_at <= now

    def status_due(self, now: float) -> bool:
        """Is it time for a status message? Moves on to the next one if so."""
        if self.status_at is None or self.status_at > now:
            return False
        self.status_at = now + self.status_s
        return True

    def deadline(self) -> float | None:
        """When this socket next needs attention; None: only when something arrives."""
        times = [t for t in (self.deadline_at, self.beat_at, self.status_at) if t is not None]
        return min(times, default=None)

    def transmit(self, message: WorkerMessage) -> Transmit:
        """The frame of a message, if this phase may write it; else LocalProtocolError."""
        check_send(self.phase, kind_of(message))
        return Transmit(self.id, encode_frame(message))

    def transmit_reply(self, payload: bytes) -> Transmit:
        """The frame of an answer that is already encoded."""
        check_send(self.phase, Kind.WORKER_REPLY)
        return Transmit(self.id, frame_of(Kind.WORKER_REPLY, payload))
