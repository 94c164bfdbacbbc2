"""Every number that bounds what a peer of the main port may hold before anybody knows who it is.

Sizes in bytes, times in seconds. What may be sent once a request is let in (a body, say) is bounded
where it is read; `docs/security.md` lists all of them.
"""

import msgspec


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much a connection may hold, and for how long."""

    connections: int = 4_096
    """At once, sockets of workers on this port included; one more is answered 503."""
    head_bytes: int = 65_536
    """Request line and headers; trailers too. Beyond it 431."""
    headers: int = 100
    """How many headers. Beyond it 431."""
    url_bytes: int = 16_384
    """Beyond it 414."""
    head_s: float = 15.0
    """Until the head of a request is there: from its first byte, or from the connection's begin."""
    body_s: float = 30.0
    """Until the body is there, if it is short; a long one may take more."""
    body_bytes_per_s: int = 16_384
    """The pace of a long body."""
    stuck_s: float = 60.0
    """How long a peer may take nothing of an answer."""
    look_every_s: float = 1.0
    """How often all connections are judged by these times."""
    linger_s: float = 2.0
    """How long a refused peer is listened to, so that it reads the refusal before a reset."""
    crowded: float = 0.75
    """From this share of `connections` on, those that rest are closed early."""
    crowded_idle_s: float = 5.0
    pongs_bytes: int = 65_536
    """Answers to pings that the peer does not read; beyond it nothing more is read."""
