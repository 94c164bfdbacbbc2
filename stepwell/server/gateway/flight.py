"""One request that a worker has, or is to have: its lease, its worker, who waits for its end.

The lease that travels is not the engine's. The engine's is the request id and stays the same; the
one here is a new ULID at every extension, whose time is its expiry, with one step of memory: asking
again with the lease before gives the present one, so that a lost grant harms nothing.
"""

import asyncio
from enum import Enum
from secrets import token_bytes

from stepwell.server.gateway.call import Place
from stepwell.server.gateway.sessions import Session
from stepwell.wire.connect_word import ExecutorRequest
from stepwell.wire.identifier import ENTROPY_BYTES, ulid_at


class Ending(Enum):
    """How the gateway is done with a request."""

    STORED = "stored"
    """Its answer reached the ledger."""
    LOST = "lost"
    """Whoever had it stopped responding."""
    NOT_TAKEN = "not taken"
    """Nobody claimed it."""


class Flight:
    """One request in the gateway's care."""

    def __init__(
        self, request_id: str, place: Place, *, now_ms: int, lease_ms: int, code: str = ""
    ) -> None:
        """`code` is the one that a worker must have; empty if any will do."""
        self.request_id = request_id
        self.code = code
        self.place = place
        self.lease_ms = lease_ms
        self.until_ms = now_ms + lease_ms
        self.lease_id = _lease(self.until_ms)
        self._before: str = ""
        self.session: Session | None = None
        self.holder = ""
        """The name of the worker that had it last."""
        self.claimed = False
        self.tried: frozenset[Session] = frozenset()
        self.request: ExecutorRequest | None = None
        """What is sent to whoever gets it; None for one adopted after a restart."""
        self.unplaced_ms = now_ms
        """Since when nobody has it."""
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def give_to(self, session: Session) -> None:
        """The session has it now."""
        self.leave()
        self.session, self.holder = session, session.instance_id
        session.requests.add(self.request_id)

    def leave(self) -> None:
        """No session has it any more."""
        if self.session is not None:
            self.session.requests.discard(self.request_id)
            self.session = None

    def extend(self, lease_id: str, now_ms: int) -> str | None:
        """The next lease for the holder of this one, or None: refused."""
        if lease_id == self._before:
            return self.lease_id
        if lease_id != self.lease_id or self.ended.done():
            return None
        self._before = self.lease_id
        self.until_ms = now_ms + self.lease_ms
        self.lease_id = _lease(self.until_ms)
        return self.lease_id

    def shorten(self, until_ms: int) -> None:
        """Its worker is gone: unless somebody extends it, it is lost sooner."""
        self.until_ms = min(self.until_ms, until_ms)

    def end(self, how: Ending) -> None:
        """The gateway is done with it."""
        self.leave()
        if not self.ended.done():
            self.ended.set_result(how)


def _lease(until_ms: int) -> str:
    return ulid_at(until_ms, token_bytes(ENTROPY_BYTES))
