"""The only place where answers wait until the server has them. None is ever dropped to save room.

An answer is `sent` (written to a socket, its acknowledgement awaited), `waiting` (to be flushed
over HTTP, now or later) or `flushing`. It leaves by being settled: acknowledged, flushed, or
refused for good. The outbox has a size; beyond it the worker must take no more work, but what is
already running may still put its answer here.
"""

from collections import OrderedDict
from collections.abc import Iterator
from enum import Enum
from typing import Final

from stepwell.wire.connect_limit import REPLY_ACK_TIMEOUT_S

FLUSHES_MAX: Final = 8
FLUSH_DELAYS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)


class _Place(Enum):
    WAITING = "waiting"
    SENT = "sent"
    FLUSHING = "flushing"


class Kept:
    """One unacknowledged answer, encoded once."""

    __slots__ = ("deadline", "http_only", "payload", "place", "refused", "request_id", "socket")

    def __init__(self, request_id: str, payload: bytes) -> None:
        self.request_id = request_id
        self.payload = payload
        self.place = _Place.WAITING
        self.socket: int | None = None
        self.deadline = 0.0
        self.refused = False
        """The last flush of it failed: a socket may carry it instead, once."""
        self.http_only = False


class Outbox:
    """Unacknowledged answers by request id; the newest answer to a request replaces an older one.

    `bytes_max` and `count_max` bound what makes it full, not what it keeps.
    """

    def __init__(self, *, bytes_max: int, count_max: int) -> None:
        self._bytes_max = bytes_max
        self._count_max = count_max
        self._all: dict[str, Kept] = {}
        # Both in order of deadline, because every deadline is the same time after its start.
        self._sent: OrderedDict[str, Kept] = OrderedDict()
        self._waiting: OrderedDict[str, Kept] = OrderedDict()
        self._flushing = 0
        self._failures = 0
        self._hold_until = 0.0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._all

    def __iter__(self) -> Iterator[Kept]:
        return iter(list(self._all.values()))

    def payload(self, request_id: str) -> bytes | None:
        """The answer kept for a request, if any."""
        kept = self._all.get(request_id)
        return None if kept is None else kept.payload

    @property
    def full(self) -> bool:
        """So much is unacknowledged that no new work may be taken."""
        return self.bytes >= self._bytes_max or len(self._all) >= self._count_max

    @property
    def relieved(self) -> bool:
        """At most half full: work may be taken again after it was full."""
        return self.bytes * 2 <= self._bytes_max and len(self._all) * 2 <= self._count_max

    def add(self, request_id: str, payload: bytes) -> Kept:
        """Keep an answer; it waits for a flush until it is marked as sent."""
        kept = self._all.get(request_id)
        if kept is None:
            kept = Kept(request_id, payload)
            self._all[request_id] = kept
        else:
            self.bytes -= len(kept.payload)
            kept.payload = payload
            kept.http_only = False
        self.bytes += len(payload)
        self._move(kept, _Place.WAITING)
        return kept

    def sent(self, kept: Kept, socket: int, now: float) -> None:
        """It was written to a socket; from then on it has five seconds to be acknowledged."""
        kept.socket = socket
        kept.deadline = now + REPLY_ACK_TIMEOUT_S
        kept.refused = False
        self._move(kept, _Place.SENT)

    def settle(self, request_id: str) -> bool:
        """Forget an answer: the server has it, or will never take it. False if none was kept."""
        kept = self._all.pop(request_id, None)
        if kept is None:
            return False
        self._leave(kept)
        self.bytes -= len(kept.payload)
        return True

    def lost(self, socket: int, *, too_big_bytes: int | None = None) -> list[str]:
        """A socket ended: no acknowledgement can come from it. Its answers wait for a flush.

        With `too_big_bytes` the peer ended it over a message too big: answers of at least that size
        are never written to a socket again. Gives the ids of the answers that moved.
        """
        moved = [kept for kept in self._sent.values() if kept.socket == socket]
        for kept in moved:
            if too_big_bytes is not None and len(kept.payload) >= too_big_bytes:
                kept.http_only = True
            self._move(kept, _Place.WAITING)
        return [kept.request_id for kept in moved]

    def awaits(self, socket: int) -> bool:
        """Is an acknowledgement from this socket still awaited?"""
        return any(kept.socket == socket for kept in self._sent.values())

    def overdue(self, now: float) -> list[str]:
        """Move answers whose acknowledgement did not come in time to those to be flushed."""
        late: list[str] = []
        while self._sent:
            kept = next(iter(self._sent.values()))
            if kept.deadline > now:
                break
            self._move(kept, _Place.WAITING)
            late.append(kept.request_id)
        return late

    def take_due(self, now: float) -> list[Kept]:
        """The answers to flush now; each is marked as being flushed and is reported back."""
        taken: list[Kept] = []
        while self._waiting and self._may_flush and self._hold_until <= now:
            kept = next(iter(self._waiting.values()))
            self._move(kept, _Place.FLUSHING)
            taken.append(kept)
        return taken

    @property
    def _may_flush(self) -> bool:
        # While the server is away one flush at a time tries whether it is back.
        return self._flushing < (1 if self._failures else FLUSHES_MAX)

    def take_sendable(self) -> list[Kept]:
        """Answers whose flush failed and which a socket may carry instead."""
        if not self._failures:
            return []
        return [k for k in self._waiting.values() if k.refused and not k.http_only]

    def flush_failed(self, request_id: str, now: float) -> float:
        """Nobody took the answer; it waits again. Gives the seconds until the next try."""
        if self._hold_until <= now:
            # Several flushes fail together when the server goes away: that is one failure.
            wait = FLUSH_DELAYS_S[min(self._failures, len(FLUSH_DELAYS_S) - 1)]
            self._failures += 1
            self._hold_until = now + wait
        kept = self._all.get(request_id)
        if kept is not None and kept.place is _Place.FLUSHING:
            kept.refused = True
            self._move(kept, _Place.WAITING)
        return self._hold_until - now

    def flush_worked(self) -> None:
        """The server takes flushes again."""
        self._failures = 0
        self._hold_until = 0.0

    def hurry(self) -> None:
        """Try again at once: something changed (a connection is ready, the worker closes)."""
        self._hold_until = 0.0

    def deadline(self) -> float | None:
        """When `overdue` or `take_due` will next have something to give; None: nothing waits."""
        times: list[float] = []
        if self._sent:
            times.append(next(iter(self._sent.values())).deadline)
        if self._waiting and self._may_flush:
            times.append(self._hold_until)
        return min(times, default=None)

    def _move(self, kept: Kept, place: _Place) -> None:
        self._leave(kept)
        kept.place = place
        match place:
            case _Place.SENT:
                self._sent[kept.request_id] = kept
            case _Place.WAITING:
                self._waiting[kept.request_id] = kept
            case _Place.FLUSHING:
                self._flushing += 1

    def _leave(self, kept: Kept) -> None:
        match kept.place:
            case _Place.SENT:
                self._sent.pop(kept.request_id, None)
            case _Place.WAITING:
                self._waiting.pop(kept.request_id, None)
            case _Place.FLUSHING:
                self._flushing -= 1
