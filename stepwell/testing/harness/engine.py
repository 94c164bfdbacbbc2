"""A whole node in memory, on the event loop that is there: the only place that moves its clock.

Law: the clock moves only when nothing is under way and nothing is due, and then to the next time
at which something is.
"""

import asyncio
import contextvars
import logging
from collections.abc import Sequence
from random import Random

import msgspec

from stepwell.embedded import CONCURRENCY, EngineError, register
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.execution.pool import Pool, handlers, steps
from stepwell.sdk.realtime.port import Publication
from stepwell.server.engine.message.input import Done, RerunAsked, Verdict
from stepwell.server.engine.row.run import EventRow, Run, RunStatus, Step
from stepwell.server.engine.rules import Rules
from stepwell.server.node import Node
from stepwell.server.store.disk import Disk
from stepwell.server.store.memory import MemoryStore
from stepwell.testing.harness.app import App
from stepwell.testing.harness.calls import HarnessDriver
from stepwell.testing.harness.clock import StandingClock
from stepwell.testing.harness.order import Order
from stepwell.testing.harness.points import Points
from stepwell.testing.harness.port import HarnessPort
from stepwell.testing.harness.stub import Stubs
from stepwell.wire.event import decode_event
from stepwell.wire.identifier import ENTROPY_BYTES, ulid_at
from stepwell.wire.recorded_run import RecordedRun

SLOW_S = 30.0
"""After so long the log tells what a test waits for."""

log = logging.getLogger("stepwell.testing")

FAR_MS = 100 * 366 * 86_400_000
"""How often the pump asks unasked: never, as far as a test is concerned. It hears every wake."""


class HarnessEngine:
    """The engine of one test. Everything runs on the loop on which it was started."""

    def __init__(
        self,
        apps: Sequence[App],
        clients: Sequence[Inngest],
        clock: StandingClock,
        stubs: Stubs,
        *,
        seed: int = 0,
        order: Order | None = None,
        points: Points | None = None,
    ) -> None:
        """`clients` are all that talk to it, whether it serves functions of theirs or not."""
        self.clock = clock
        self.stubs = stubs
        self.points = points
        self.turns = None if order is None else order.drawn()
        self._apps = tuple(apps)
        self._clients = tuple(clients)
        self._starting = asyncio.Lock()
        self._port: HarnessPort | None = None
        self._chance = Random(f"{seed}/ids")
        self.calling: dict[str, str] = {}
        self.published: list[Publication] = []
        """What was told to subscribers, in order."""
        self._context = contextvars.copy_context()
        self._death: asyncio.Task[None] | None = None
        self._disk = Disk()
        self._pools: list[Pool] = []
        """Threads for blocking code that are this test's: there were none before."""
        self.node = self._node()

    def _node(self) -> Node:
        store = MemoryStore(self._disk)
        return Node(
            store, clock=self.clock, rules=Rules(), retention_ms=0, grace_s=0, poll_ms=FAR_MS
        )

    async def start(self) -> None:
        """Take up all work, and have the clients talk to this engine. Once, however often it is
        asked for."""
        async with self._starting:
            if self._port is None:
                self._pools = [pool for pool in (handlers, steps) if not pool.is_running]
                await self._boot()

    @property
    def port(self) -> HarnessPort:
        """The way to the engine, which has started."""
        assert self._port is not None
        return self._port

    async def _boot(self) -> None:
        node, loop = self.node, asyncio.get_running_loop()
        await node.start()
        for app in self._apps:
            await register(node, app.client, app.functions)
            driver = HarnessDriver(app, self, self.clock)
            node.reach(app.client.app_id, driver, CONCURRENCY)
        self._port = HarnessPort(node, loop, self._chance.randbytes, self.published)
        for client in self._clients:
            client.attach(self._port)

    async def stop(self) -> None:
        """Abandon what is under way."""
        if self._death is not None:
            await self._death
        await self.node.stop()
        for pool in self._pools:
            # Blocking code of an abandoned call may run for a while; a test leaves no threads.
            await asyncio.to_thread(pool.close)

    def die(self) -> asyncio.Task[None]:
        """The process ends here, and another takes up the work."""
        # Not in the context of the handler that dies, of which it would be a part.
        loop = asyncio.get_running_loop()
        self._death = self._context.copy().run(loop.create_task, self._die())
        return self._death

    async def _die(self) -> None:
        """What is under way is lost, what is stored is there. The next process knows nothing else:
        not even that this one has ended in order, which closing its store would say."""
        node = self.node
        await node.take_nothing_new()
        await node.dispatcher.close(0)
        await node.ledger.close()
        node.reader.close()
        self.node = self._node()
        await self._boot()

    async def replay(self, run: RecordedRun, count: int) -> str:
        """Have a run of elsewhere go on from so many of its steps, as a rerun does; the id of the
        new run. Raises EngineError with the reason if it may not begin."""
        now_ms, disk = self.clock.now_ms(), self._disk
        rows = [_event_row(body, now_ms, self._chance) for body in run.events]
        disk.events.update({row.id: row for row in rows})
        disk.runs[run.id] = Run(
            id=run.id,
            function=run.function,
            app=run.app,
            event_ids=tuple(row.id for row in rows),
            queued_ms=run.queued_ms,
            status=RunStatus.CANCELLED,
            cron=run.cron,
        )
        steps = tuple(_step(run, place) for place in range(count))
        edited = tuple((step, bytes(given).decode()) for step, given in run.edited.items())
        answer = await self.node.ledger.submit(RerunAsked(run.id, steps, edited))
        # It was there to be begun from; a test has no other run than its own.
        del disk.runs[run.id]
        assert isinstance(answer, Done)
        if answer.verdict is not Verdict.APPLIED:
            raise EngineError(f"the run cannot be replayed: {answer.reason}")
        await self.settle()
        return answer.subject

    async def settle(self) -> None:
        """Wait until nothing is under way and nothing is due now."""
        while True:
            node = self.node
            if self._death is not None:
                await self._death
                self._death = None
            elif calls := node.dispatcher.under_way:
                await self._ended(calls)
            elif node.ledger.is_busy or node.pump.is_asking:
                await asyncio.sleep(0)
            elif self._due_ms() <= self.clock.now_ms():
                node.pump.ask_anew()
            else:
                return

    async def _ended(self, calls: Sequence[asyncio.Task[None]]) -> None:
        _, going = await asyncio.wait(calls, timeout=SLOW_S)
        if going:
            functions = ", ".join(sorted(set(self.calling.values())))
            log.warning(
                "still waiting for code of %s: a step takes as long as it takes, and what waits for"
                " the test's next line waits for ever",
                functions,
            )
            await asyncio.wait(going)

    def _due_ms(self) -> int:
        due_ms = self.node.pump.due_ms
        assert due_ms is not None, "a started pump that does not ask has a time to"
        return due_ms

    async def next_due(self, until_ms: int) -> bool:
        """Move the clock to the next time at which something is due, and have it done. False if
        there is nothing until then: the clock stays."""
        await self.settle()
        due_ms = self._due_ms()
        if due_ms > until_ms:
            return False
        await self.jump(due_ms)
        return True

    async def jump(self, to_ms: int) -> None:
        """Set the clock, and have done what is due by then."""
        self.clock.set(to_ms)
        self.node.pump.ask_anew()
        await self.settle()


def _step(run: RecordedRun, place: int) -> Step:
    step = run.steps[place]
    return Step(
        run_id=run.id,
        id=step.id,
        place=place,
        op=step.op,
        name=step.name,
        memo=bytes(step.memo),
        began_ms=step.began_ms,
        ended_ms=step.ended_ms,
        attempt=step.attempt,
        input=b"" if isinstance(step.input, msgspec.UnsetType) else bytes(step.input),
    )


def _event_row(body: msgspec.Raw, now_ms: int, chance: Random) -> EventRow:
    event = decode_event(body)
    id_ = ulid_at(now_ms, chance.randbytes(ENTROPY_BYTES))
    return EventRow(id=id_, name=event.name, ts=event.ts, received_ms=now_ms, body=bytes(body))
