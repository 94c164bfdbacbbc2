"""The legal phases of one worker connection on the gateway's side, as tables.

Phases only move forward. What may be written in which phase is a table too; a message that may not
be written any more is dropped by the protocol object, never sent out of turn.
"""

from enum import Enum
from typing import Final

from stepwell.wire.connect_word import Kind


class GatewayPhase(Enum):
    """Where one connection is."""

    NEW = "new"
    GREETED = "greeted"
    """HELLO is sent; WORKER_CONNECT is awaited."""
    SYNCING = "syncing"
    """The worker introduced itself; its token is checked and its apps are registered."""
    CONNECTED = "connected"
    """The handshake is complete, but the worker is not ready: it will say so, or has just come."""
    READY = "ready"
    """Work may be forwarded."""
    DRAINING = "draining"
    """No new work: the worker paused, or this gateway is closing. All else is still served."""
    CLOSED = "closed"


PHASE_AFTER: Final[dict[GatewayPhase, frozenset[GatewayPhase]]] = {
    GatewayPhase.NEW: frozenset({GatewayPhase.GREETED, GatewayPhase.CLOSED}),
    GatewayPhase.GREETED: frozenset({GatewayPhase.SYNCING, GatewayPhase.CLOSED}),
    GatewayPhase.SYNCING: frozenset({GatewayPhase.CONNECTED, GatewayPhase.CLOSED}),
    GatewayPhase.CONNECTED: frozenset(
        {GatewayPhase.READY, GatewayPhase.DRAINING, GatewayPhase.CLOSED}
    ),
    GatewayPhase.READY: frozenset({GatewayPhase.DRAINING, GatewayPhase.CLOSED}),
    GatewayPhase.DRAINING: frozenset({GatewayPhase.CLOSED}),
    GatewayPhase.CLOSED: frozenset(),
}

_ANSWERS: Final = frozenset(
    {
        Kind.GATEWAY_HEARTBEAT,
        Kind.WORKER_REQUEST_EXTEND_LEASE_ACK,
        Kind.WORKER_REPLY_ACK,
        Kind.GATEWAY_CHECKPOINT_ACK,
        Kind.GATEWAY_CLOSING,
    }
)

MAY_SEND: Final[dict[GatewayPhase, frozenset[Kind]]] = {
    GatewayPhase.NEW: frozenset(),
    GatewayPhase.GREETED: frozenset({Kind.GATEWAY_HELLO}),
    GatewayPhase.SYNCING: frozenset({Kind.SYNC_FAILED}),
    GatewayPhase.CONNECTED: _ANSWERS | {Kind.GATEWAY_CONNECTION_READY},
    GatewayPhase.READY: _ANSWERS | {Kind.GATEWAY_EXECUTOR_REQUEST},
    GatewayPhase.DRAINING: _ANSWERS,
    GatewayPhase.CLOSED: frozenset(),
}

# In these phases the worker is known and everything it says about its work is heard.
SERVED: Final = frozenset({GatewayPhase.CONNECTED, GatewayPhase.READY, GatewayPhase.DRAINING})


class GatewayProtocolError(RuntimeError):
    """This side broke its own rules: a bug, never something a worker can cause."""


def check_phase(before: GatewayPhase, after: GatewayPhase) -> None:
    """Raises GatewayProtocolError if a connection may not go from one phase to the other."""
    if after not in PHASE_AFTER[before]:
        raise GatewayProtocolError(f"a connection may not go from {before.value} to {after.value}")
