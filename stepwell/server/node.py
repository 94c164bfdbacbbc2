"""Builds one node: the only place that knows all the parts of the engine.

A node without an API is complete: it takes inputs through its ledger and calls functions through
the drivers it was given. The HTTP API and the worker gateway are added from outside.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Self

from stepwell.server.clock import Clock, SystemClock
from stepwell.server.drivers.port import Driver
from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.engine.op.gateway_call import GATEWAY_QUEUE
from stepwell.server.engine.row.run import Run
from stepwell.server.engine.rules import DEFAULT, Rules
from stepwell.server.ledger import Ledger
from stepwell.server.realtime.hub import Hub
from stepwell.server.runtime.asked import asked
from stepwell.server.runtime.bulks import Bulks
from stepwell.server.runtime.canceller import Canceller
from stepwell.server.runtime.clock_watch import ClockWatch
from stepwell.server.runtime.cluster import Companions, alone
from stepwell.server.runtime.dispatcher import Dispatcher
from stepwell.server.runtime.janitor import Janitor
from stepwell.server.runtime.perform import Performer
from stepwell.server.runtime.pump import POLL_MS, Pump
from stepwell.server.store.port import Store

GRACE_S = 10.0
LOOK_S = 1.0
"""So often, in seconds, it is looked for what another process did and perhaps did not tell."""
SHARED_POLL_MS = 1_000
"""The pump asks so often at least where other nodes may leave something to do."""
RETENTION_MS = 30 * 86_400_000


class Node:
    """One engine over one store. Use as an async context manager, or `start` and `stop`."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        rules: Rules = DEFAULT,
        retention_ms: int = RETENTION_MS,
        unserved_ms: int = 0,
        grace_s: float = GRACE_S,
        poll_ms: int = POLL_MS,
        performer: Performer | None = None,
    ) -> None:
        """Takes the store as its own: `stop` closes it, and so does this if it cannot be used.

        `retention_ms` is how long ended runs and their events are kept (0: for ever);
        `unserved_ms`, how long runs wait for a function nobody serves (0: for ever); `grace_s`, how
        long `stop` waits for calls under way, in seconds; `poll_ms`, how often the pump asks
        unasked, in case a wake was lost. `performer` may be given to hear, or lose, every action.
        """
        try:
            store.migrate()
        except BaseException:
            store.close()
            raise
        self.store = store
        self.clock = clock or SystemClock()
        self.reader = store.reader()
        self.performer = performer or Performer()
        self.ledger = Ledger(store, self.clock, rules, self.performer.perform)
        self.dispatcher = Dispatcher(self.ledger, self.reader, self.clock)
        suspect_before_ms = 0 if store.ended_in_order else self.clock.now_ms()
        cluster = store.cluster
        leads = alone if cluster is None else lambda: cluster.leads
        if cluster is not None:
            poll_ms = min(poll_ms, SHARED_POLL_MS)
        self.pump = Pump(self.ledger, self.dispatcher, self.clock, poll_ms, suspect_before_ms)
        self.janitor = Janitor(
            self.ledger,
            self.clock,
            retention_ms,
            store,
            reader=self.reader,
            unserved_ms=unserved_ms,
            leads=leads,
        )
        self.canceller = Canceller(self.ledger, self.reader, self.performer, leads)
        self.bulks = Bulks(self.ledger, self.reader, self.performer, self.clock, leads)
        self.hub = Hub(self.clock.now_ms, f"{self.clock.now_ms():x}")
        self._companions: Companions | None = None
        if cluster is not None:
            parts = self.ledger, self.pump, self.dispatcher, self.performer
            self._companions = Companions(cluster, *parts, self.hub)
        self._watch = self._watched(self.clock)
        self.clock_moved: list[Callable[[int], None]] = []
        """Told by how many milliseconds the clock moves, before it does."""
        self._grace_s = grace_s
        self.performer.wake = self.pump.wake
        self.performer.subscribe(Topic.RUN_CANCELLED, self.dispatcher.cancel_run)

    def _watched(self, clock: Clock) -> ClockWatch | None:
        """Whoever watches the clock, unless it is one that cannot jump."""
        if not isinstance(clock, SystemClock):
            return None
        return ClockWatch(clock, self.ledger, partial(self._clock_moves, clock), self.pump.ask)

    def _clock_moves(self, clock: SystemClock, by_ms: int) -> None:
        self.store.clock_moved(by_ms, clock.now_ms())
        for told in self.clock_moved:
            told(by_ms)

    def reach(self, queue: str, driver: Driver, limit: int) -> None:
        """Functions of this app are reached through this driver, at most so many calls at once."""
        self.dispatcher.set_lane(queue, driver, limit)

    def reach_gateway(self, driver: Driver, limit: int) -> None:
        """The server's own outgoing requests go through this driver."""
        self.dispatcher.set_lane(GATEWAY_QUEUE, driver, limit)

    async def start(self) -> None:
        """Begin to do what is due."""
        if self._companions is not None:
            self._companions.start()
        self.pump.start()
        if self._watch is not None:
            self._watch.start()
        self.janitor.start()
        self.canceller.start()
        self.bulks.start()

    async def stop(self) -> None:
        """Take nothing new, let calls under way end, then close the store."""
        await self.take_nothing_new()
        await self.dispatcher.close(self._grace_s)
        self.hub.close()
        await self.ledger.close()
        self.reader.close()
        # The log is copied back a last time.
        await asyncio.to_thread(self.store.close)

    async def take_nothing_new(self) -> None:
        """Begin no call, and nothing of its own."""
        self.pump.stop()
        if self._companions is not None:
            await self._companions.stop()
        if self._watch is not None:
            await self._watch.stop()
        await self.janitor.stop()
        await self.canceller.stop()
        await self.bulks.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def run_ended(self, run_id: str, timeout_s: float | None = None) -> Run:
        """The run, once it has ended. Raises `TimeoutError` when it takes longer."""
        loop = asyncio.get_running_loop()
        until_s = float("inf") if timeout_s is None else loop.time() + timeout_s
        ended = asyncio.Event()

        def hear(announced: Announce) -> None:
            if announced.subject == run_id:
                ended.set()

        with contextlib.ExitStack() as stack:
            stack.callback(self.performer.subscribe(Topic.RUN_ENDED, hear))
            while True:
                run = await asked(self.reader, partial(self.reader.run, run_id))
                if run is not None and run.ended:
                    return run
                left_s = until_s - loop.time()
                if left_s <= 0:
                    raise TimeoutError
                # Where another process may end it, what that one tells may be lost.
                look_s = min(left_s, LOOK_S) if self.store.is_shared else left_s
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), None if look_s == float("inf") else look_s)
                ended.clear()
