"""Connections that are lent to whoever reads: the only place that keeps idle ones, and that says
how many there may be, and for how long."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from stepwell.server.store.port import Unavailable
from stepwell.server.store.postgres.connection import Connection, connect, name_of
from stepwell.server.store.postgres.failure import in_our_words

WAIT_S = 10.0
"""So long, in seconds, whoever reads waits for a connection of others."""


class PoolLimits(msgspec.Struct, frozen=True):
    """How many connections are kept idle and open at most, how long one may idle, and how long one
    is used, in seconds. 0 is no limit, but for `idle_max`, where it keeps none."""

    idle_max: int = 10
    open_max: int = 100
    idle_s: float = 300.0
    life_s: float = 1_800.0


LIMITS = PoolLimits()


class _Lent:
    """A connection, and since when it is there and idle."""

    __slots__ = ("connection", "idle_s", "made_s")

    def __init__(self, connection: Connection, now_s: float) -> None:
        self.connection = connection
        self.made_s = now_s
        self.idle_s = now_s


class Pool:
    """Connections to one database. Safe from any thread; each is lent to one at a time."""

    def __init__(
        self, url: str, limits: PoolLimits = LIMITS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds. Nothing is opened before it is asked for."""
        self.name = name_of(url)
        self._url = url
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        self._idle: list[_Lent] = []
        self._open = 0
        self._closed = False

    def __len__(self) -> int:
        """How many connections are open."""
        return self._open

    @contextmanager
    def lend(self) -> Generator[tuple[Connection, bool]]:
        """A connection for this thread alone, and whether it was made just now: one that was idle
        may have been lost meanwhile. The driver's errors are told in the port's words.

        Raises `Unavailable` where there is none.
        """
        lent, is_fresh = self._take()
        try:
            with in_our_words(self.name):
                yield lent.connection, is_fresh
        finally:
            self._give_back(lent)

    def _take(self) -> tuple[_Lent, bool]:
        with self._free:
            self._check()
            lent = self._youngest()
            if lent is None and self._is_full():
                self._free.wait_for(lambda: self._idle or not self._is_full(), WAIT_S)
                self._check()
                lent = self._youngest()
            if lent is not None:
                return lent, False
            if self._is_full():
                raise Unavailable(
                    f"all {self._open} connections to {self.name} are in use; allow more with"
                    " --postgres-max-open-conns"
                )
            self._open += 1
        try:
            return _Lent(connect(self._url), self._clock()), True
        except BaseException:
            self._forget()
            raise

    def _check(self) -> None:
        if self._closed:
            raise Unavailable(f"the readers of {self.name} are closed")

    def _is_full(self) -> bool:
        return bool(self._limits.open_max) and self._open >= self._limits.open_max

    def _youngest(self) -> _Lent | None:
        """The connection that was used last. Those that are too old go."""
        now_s = self._clock()
        kept = [lent for lent in self._idle if not self._is_old(lent, now_s)]
        for lent in self._idle:
            if lent not in kept:
                lent.connection.close()
                self._open -= 1
        self._idle = kept
        return kept.pop() if kept else None

    def _is_old(self, lent: _Lent, now_s: float) -> bool:
        limits = self._limits
        return lent.connection.closed or (
            (limits.life_s > 0 and now_s - lent.made_s >= limits.life_s)
            or (limits.idle_s > 0 and now_s - lent.idle_s >= limits.idle_s)
        )

    def _give_back(self, lent: _Lent) -> None:
        with self._free:
            lent.idle_s = self._clock()
            if (
                not self._closed
                and not self._is_old(lent, lent.idle_s)
                and len(self._idle) < self._limits.idle_max
            ):
                self._idle.append(lent)
                self._free.notify()
                return
        lent.connection.close()
        self._forget()

    def _forget(self) -> None:
        with self._free:
            self._open -= 1
            self._free.notify()

    def close(self) -> None:
        """Let go of the connections. What is being read on another thread ends first."""
        with self._free:
            self._closed = True
            idle, self._idle = self._idle, []
            self._open -= len(idle)
            self._free.notify_all()
        for lent in idle:
            lent.connection.close()
