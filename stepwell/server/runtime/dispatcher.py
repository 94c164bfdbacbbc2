"""Leased items go to drivers, and their outcomes back to the ledger.

A call that is under way keeps its lease; a run that is cancelled has its calls abandoned, so that
running code hears of it, unless that is not to be cut off.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from stepwell.server.clock import Clock, SystemClock
from stepwell.server.drivers.port import Driver, LaneSeen, LetsFinish, Lost, Settled
from stepwell.server.engine.message.action import Announce
from stepwell.server.engine.message.input import (
    Answer,
    Broke,
    Done,
    Job,
    LeaseExtended,
    LeaseLost,
    Outcome,
    ReplyReceived,
    StepsCheckpointed,
)
from stepwell.server.engine.name.lane import place_of
from stepwell.server.engine.row.run import Run
from stepwell.server.ledger import EngineFault, Ledger, LedgerClosed
from stepwell.server.runtime.states import States
from stepwell.server.store.port import CallState, Reader, StoreError, Unavailable, Unstorable
from stepwell.wire.failure import FUNCTION_NOT_FOUND, Failure, encode_failure
from stepwell.wire.operation import Operation

EXTEND_EVERY_S = 20.0
EXTEND_BY_MS = 60_000
REPLY_RETRY_S = 0.5

log = logging.getLogger("stepwell.dispatcher")


@dataclass(slots=True)
class Lane:
    """How many calls of one queue may be under way, and how many are."""

    driver: Driver
    limit: int
    busy: int = 0


class Dispatcher:
    """Runs calls. One per node."""

    def __init__(self, ledger: Ledger, reader: Reader, clock: Clock | None = None) -> None:
        self._ledger = ledger
        self._reader = reader
        self._states = States(reader)
        self._clock = clock or SystemClock()
        self._began_ms = self._clock.now_ms()
        self._closed_ms: dict[str, int] = {}
        # A call begins in the context of the node, not in that of whoever caused it.
        self._context = contextvars.copy_context()
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._jobs: dict[str, Job] = {}
        self._drivers: dict[str, Driver] = {}
        self._by_run: dict[str, set[str]] = {}
        self._extender: asyncio.Task[None] | None = None
        self._waiting_for_room = False
        self.when_free: Callable[[], None] = _nobody

    def set_lane(self, queue: str, driver: Driver, limit: int) -> None:
        """From now on this queue can be reached."""
        known = self._lanes.get(queue)
        busy = 0 if known is None else known.busy
        self._lanes[queue] = Lane(driver, limit, busy)
        self._closed_ms.pop(queue, None)
        self.when_free()

    def drop_lane(self, queue: str, driver: Driver | None = None) -> None:
        """This queue cannot be reached any more, at least not by this driver; its items wait until
        it can."""
        lane = self._lanes.get(queue)
        if lane is not None and driver in (None, lane.driver):
            del self._lanes[queue]
            self._closed_ms[queue] = self._clock.now_ms()

    def lane(self, queue: str) -> LaneSeen:
        """How a queue stands. One that nobody ever opened is closed since the beginning."""
        lane = self._lanes.get(queue)
        if lane is None:
            return LaneSeen(0, 0, self._closed_ms.get(queue, self._began_ms))
        return LaneSeen(lane.busy, lane.limit, 0)

    def runs_called(self) -> list[Run]:
        """The runs of all calls under way, as they were when each began."""
        return [job.run for job in self._jobs.values()]

    def capacity(self) -> tuple[tuple[str, int], ...]:
        """Queues with room, and how much."""
        room = tuple(
            (queue, lane.limit - lane.busy)
            for queue, lane in self._lanes.items()
            if lane.busy < lane.limit
        )
        self._waiting_for_room = len(room) < len(self._lanes)
        return room

    @property
    def under_way(self) -> tuple["asyncio.Task[None]", ...]:
        """The calls that were begun and have not ended."""
        return tuple(self._tasks.values())

    def begin(self, job: Job) -> None:
        """Start a call. Its outcome reaches the ledger whatever happens here."""
        lane = self._lanes.get(place_of(job.item.queue))
        if lane is None:
            given = LeaseLost(job.lease.id, job.lease.run_id, job.lease.key, begun=False)
            self._ledger.submit(given).add_done_callback(_look_away)
            return
        lane.busy += 1
        lease_id = job.lease.id
        self._jobs[lease_id], self._drivers[lease_id] = job, lane.driver
        self._by_run.setdefault(job.run.id, set()).add(lease_id)
        loop, clean = asyncio.get_running_loop(), self._context.copy()
        if self._extender is None:
            self._extender = clean.run(loop.create_task, self._extend_leases())
        state = self._ledger.state_of(lease_id)
        task = clean.run(loop.create_task, self._run(lane.driver, job, state))
        self._tasks[lease_id] = task
        task.add_done_callback(lambda _: self._ended(job, lane))

    def cancel_run(self, announced: Announce) -> None:
        """A run was cancelled: abandon its calls, but for code that is not to be cut off. Its
        answer changes nothing any more, and its place is taken until then."""
        for lease_id in tuple(self._by_run.get(announced.subject, ())):
            driver = self._drivers[lease_id]
            if not (isinstance(driver, LetsFinish) and driver.lets_finish(lease_id)):
                self._tasks[lease_id].cancel()

    async def close(self, grace_s: float) -> None:
        """Let calls under way end, for a while; then abandon them. Their items are free again."""
        tasks = tuple(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()))
        if self._extender is not None:
            self._extender.cancel()
        self._states.close()

    async def _run(self, driver: Driver, job: Job, state: CallState | None) -> None:
        outcome = await self._call(driver, job, state)
        if isinstance(outcome, Settled):
            return
        lease = job.lease
        reply: ReplyReceived | LeaseLost
        if isinstance(outcome, Lost):
            if outcome.elsewhere:
                # Whoever brings it there opens the queue anew.
                self.drop_lane(place_of(job.item.queue), driver)
            reply = LeaseLost(lease.id, lease.run_id, lease.key, begun=outcome.begun)
        else:
            reply = ReplyReceived(lease.id, lease.run_id, lease.key, outcome)
        while True:
            try:
                await self._ledger.submit(reply)
                return
            except LedgerClosed:
                return
            except (EngineFault, Unstorable) as fault:
                # The outcome cannot be decided; that the call failed can.
                if isinstance(reply, LeaseLost) or isinstance(reply.outcome, Broke):
                    return
                name = type(fault).__name__
                failed = _broke(name, f"the server could not take the reply: {fault}")
                reply = ReplyReceived(lease.id, lease.run_id, lease.key, failed)
            except StoreError:
                # The lease is ours still; the outcome must not be lost with a full disk.
                await asyncio.sleep(REPLY_RETRY_S)

    async def _call(
        self, driver: Driver, job: Job, state: CallState | None
    ) -> Outcome | Settled | Lost:
        listing = self._ledger.catalog.listing(job.run.function)
        if listing is None:
            return _broke(FUNCTION_NOT_FOUND, f'function "{job.run.function}" is not registered')
        lease = job.lease

        async def save(operations: tuple[Operation, ...]) -> Done:
            given = StepsCheckpointed(lease.id, lease.run_id, lease.key, operations)
            answer = await self._ledger.submit(given)
            assert isinstance(answer, Done)
            return answer

        try:
            state = state or await self._states.of(job.run)
            if state is None:
                # It ended between the claim and now; nobody waits for this call.
                return Settled()
            if job.run.code != listing.config.code.version:
                state = await self._named(job.run, state)
            return await driver.call(job, state, listing, save)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the driver of %s failed", job.run.app)
            return _broke("DriverFault", f"the server could not make the call: {error}")

    async def _named(self, run: Run, state: CallState) -> CallState:
        """The same with what its steps are called: for code that is not the one they ended in."""
        try:
            if self._reader.blocks:
                steps = await asyncio.to_thread(self._reader.steps, run.id)
            else:
                steps = self._reader.steps(run.id)
        except Unavailable:
            # It is only said in a warning.
            return state
        return msgspec.structs.replace(state, names=tuple((one.id, one.name) for one in steps))

    def _ended(self, job: Job, lane: Lane) -> None:
        lease_id = job.lease.id
        lane.busy -= 1
        current = self._lanes.get(place_of(job.item.queue))
        if current is not None and current is not lane:
            current.busy = max(current.busy - 1, 0)
        del self._tasks[lease_id], self._jobs[lease_id], self._drivers[lease_id]
        mine = self._by_run[job.run.id]
        mine.discard(lease_id)
        if not mine:
            del self._by_run[job.run.id]
        if self._waiting_for_room:
            self.when_free()

    async def _extend_leases(self) -> None:
        """As long as calls are under way; the next call begins it anew."""
        while self._jobs:
            await asyncio.sleep(EXTEND_EVERY_S)
            for job in tuple(self._jobs.values()):
                lease = job.lease
                given = LeaseExtended(lease.id, lease.run_id, lease.key, EXTEND_BY_MS)
                self._ledger.submit(given).add_done_callback(_look_away)
        self._extender = None


def _broke(name: str, message: str) -> Broke:
    failure = Failure(name=name, message=message)
    return Broke(failure, encode_failure(failure))


def _look_away(answer: "asyncio.Future[Answer]") -> None:
    """The answer changes nothing; an exception must not be reported as never retrieved."""
    if not answer.cancelled():
        answer.exception()


def _nobody() -> None:
    """Before a pump exists, nobody asks."""
