"""The legal states of a worker and of each of its sockets, as tables.

Two machines: the public state a user observes, and the phase of one socket. Whatever is not in a
table is a bug of ours and raises `LocalProtocolError`; what a peer does never leads there. The
tables can be read against the protocol, drawn, and walked by a test.
"""

from enum import Enum
from typing import Final

from stepwell.wire.connect_word import Kind


class ConnectionState(Enum):
    """What a user sees of a worker. Names and values are those of the official SDK."""

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    CLOSING = "CLOSING"
    CONNECTING = "CONNECTING"
    PAUSED = "PAUSED"
    RECONNECTING = "RECONNECTING"


# PAUSED is a worker that takes no work but still speaks: its user paused it, too many answers are
# unacknowledged, or its gateway drains and no other one was found yet. A reconnect is seen as
# RECONNECTING while waiting and CONNECTING while trying, as in the official SDK. A worker that
# fails for good passes CLOSING too, so that there is one way to CLOSED.
STATE_AFTER: Final[dict[ConnectionState, frozenset[ConnectionState]]] = {
    ConnectionState.CONNECTING: frozenset(
        {ConnectionState.ACTIVE, ConnectionState.RECONNECTING, ConnectionState.CLOSING}
    ),
    ConnectionState.ACTIVE: frozenset(
        {ConnectionState.PAUSED, ConnectionState.RECONNECTING, ConnectionState.CLOSING}
    ),
    ConnectionState.PAUSED: frozenset(
        {ConnectionState.ACTIVE, ConnectionState.RECONNECTING, ConnectionState.CLOSING}
    ),
    ConnectionState.RECONNECTING: frozenset(
        {
            ConnectionState.CONNECTING,
            ConnectionState.ACTIVE,
            ConnectionState.CLOSING,
        }
    ),
    ConnectionState.CLOSING: frozenset({ConnectionState.CLOSED}),
    ConnectionState.CLOSED: frozenset(),
}


class SocketPhase(Enum):
    """One attempt from the start call to the end of its socket. Phases only move forward."""

    STARTING = "starting"
    """The start call is under way."""
    DIALING = "dialing"
    """The socket is being opened."""
    GREETING = "greeting"
    """Open; the gateway's hello is awaited."""
    INTRODUCED = "introduced"
    """WORKER_CONNECT is sent; the gateway registers the apps."""
    ACTIVE = "active"
    """The handshake is complete."""
    DRAINING = "draining"
    """Still read and written, but a replacement is being sought or was found."""
    CLOSED = "closed"


PHASE_AFTER: Final[dict[SocketPhase, frozenset[SocketPhase]]] = {
    SocketPhase.STARTING: frozenset({SocketPhase.DIALING, SocketPhase.CLOSED}),
    SocketPhase.DIALING: frozenset({SocketPhase.GREETING, SocketPhase.CLOSED}),
    SocketPhase.GREETING: frozenset({SocketPhase.INTRODUCED, SocketPhase.CLOSED}),
    SocketPhase.INTRODUCED: frozenset({SocketPhase.ACTIVE, SocketPhase.CLOSED}),
    SocketPhase.ACTIVE: frozenset({SocketPhase.DRAINING, SocketPhase.CLOSED}),
    SocketPhase.DRAINING: frozenset({SocketPhase.CLOSED}),
    SocketPhase.CLOSED: frozenset(),
}

# An acknowledgement claims a request; on a draining socket nothing new may be claimed.
MAY_SEND: Final[dict[SocketPhase, frozenset[Kind]]] = {
    SocketPhase.STARTING: frozenset(),
    SocketPhase.DIALING: frozenset(),
    SocketPhase.GREETING: frozenset({Kind.WORKER_CONNECT}),
    SocketPhase.INTRODUCED: frozenset(),
    SocketPhase.ACTIVE: frozenset(
        {
            Kind.WORKER_READY,
            Kind.WORKER_REQUEST_ACK,
            Kind.WORKER_REPLY,
            Kind.WORKER_PAUSE,
            Kind.WORKER_HEARTBEAT,
            Kind.WORKER_REQUEST_EXTEND_LEASE,
            Kind.WORKER_STATUS,
            Kind.WORKER_CHECKPOINT,
        }
    ),
    SocketPhase.DRAINING: frozenset(
        {
            Kind.WORKER_REPLY,
            Kind.WORKER_PAUSE,
            Kind.WORKER_HEARTBEAT,
            Kind.WORKER_REQUEST_EXTEND_LEASE,
            Kind.WORKER_STATUS,
            Kind.WORKER_CHECKPOINT,
        }
    ),
    SocketPhase.CLOSED: frozenset(),
}

OPEN_PHASES: Final = frozenset({SocketPhase.ACTIVE, SocketPhase.DRAINING})
ATTEMPT_PHASES: Final = frozenset(
    {SocketPhase.STARTING, SocketPhase.DIALING, SocketPhase.GREETING, SocketPhase.INTRODUCED}
)


class LocalProtocolError(RuntimeError):
    """This side broke its own rules: a bug, never something a peer can cause."""


def check_state(before: ConnectionState, after: ConnectionState) -> None:
    """Raises LocalProtocolError if a worker may not go from one state to the other."""
    if after not in STATE_AFTER[before]:
        raise LocalProtocolError(f"a worker may not go from {before.value} to {after.value}")


def check_phase(before: SocketPhase, after: SocketPhase) -> None:
    """Raises LocalProtocolError if a socket may not go from one phase to the other."""
    if after not in PHASE_AFTER[before]:
        raise LocalProtocolError(f"a socket may not go from {before.value} to {after.value}")


def check_send(phase: SocketPhase, kind: Kind) -> None:
    """Raises LocalProtocolError if a message of this kind may not be written in this phase."""
    if kind not in MAY_SEND[phase]:
        raise LocalProtocolError(f"{kind.name} may not be sent while {phase.value}")
