"""The model's functions as an app: a driver that answers calls from programs, over a pretended
network that loses, repeats and delays. The only place where a simulated call takes its time.
"""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Protocol

import msgspec

from stepwell.server.drivers.port import Save
from stepwell.server.engine.message.input import (
    Answer,
    EventsReceived,
    Input,
    Job,
    LeaseLost,
    Outcome,
    Progressed,
    ReplyReceived,
    Verdict,
)
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.testing.simulation.faults import Fault, Plan
from stepwell.testing.simulation.model import Call, Program, Reply, answer, broken, live
from stepwell.testing.simulation.workload import Fn
from stepwell.wire.event import Event
from stepwell.wire.identifier import derived_ulid
from stepwell.wire.operation import StepRun

LATE_S = (0.0, 0.5, 5.0, 70.0)
"""How much later a reply may come that nobody waits for any more."""


class Witness(Protocol):
    """Who is told of calls and of user code that ran."""

    def called(self, run_id: str, key: str, attempt: int) -> None:
        """A call begins."""
        ...

    def ran(self, run_id: str, step_id: str, nonce: str) -> None:
        """User code of a step ran to its end."""
        ...


class Surroundings(Protocol):
    """What a driver of the model needs of the world."""

    plan: Plan
    functions: list[Fn]

    @property
    def judge(self) -> Witness:
        """Who hears of calls."""
        ...

    async def submit(self, given: Input) -> Answer:
        """Have an input decided, however long it takes."""
        ...

    def now_ms(self) -> int:
        """The time."""
        ...


class ModelDriver:
    """Calls programs of the model. One app, whatever process the server is at the moment."""

    def __init__(self, world: Surroundings, chance: Random) -> None:
        self._world = world
        self._chance = chance
        self._calls = 0
        self._late: set[asyncio.Task[None]] = set()

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """One call, with whatever befalls it on its way."""
        world, draw = self._world, self._chance
        world.judge.called(job.run.id, job.item.key, job.item.attempt)
        await self._travel()
        if world.plan.strikes(Fault.LOST_CALL):
            return broken("connection refused")
        if world.plan.strikes(Fault.VANISHED_CALL):
            # Whoever made the call is gone and says nothing: only the lease tells, by ending.
            raise asyncio.CancelledError
        if world.plan.strikes(Fault.LOST_WORKER):
            self._after(draw.choice(LATE_S), lambda: self._lost(job))
        outcome = await self._answered(job, state, listing, save)
        await self._travel()
        reply = ReplyReceived(job.lease.id, job.run.id, job.item.key, outcome)
        if world.plan.strikes(Fault.REPEATED_REPLY):
            self._after(draw.choice(LATE_S), lambda: self._again(reply))
        if world.plan.strikes(Fault.LATE_REPLY):
            # The way back breaks, the attempt counts as failed; the answer arrives all the same.
            self._after(draw.choice(LATE_S), lambda: self._again(reply))
            return broken("connection reset")
        if world.plan.strikes(Fault.LOST_REPLY):
            return broken("connection reset")
        return outcome

    async def _travel(self) -> None:
        draw = self._chance
        await asyncio.sleep(draw.choice((0.0, 0.0, 0.001, 0.02, draw.random() * 3)))

    async def _answered(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        program = self._program(listing.slug)
        call = self._call(job, state, listing)
        if not program.live:
            reply = answer(program, call)
            await self._done(job, reply)
            return reply.outcome
        for reply, step in live(program, call):
            await self._done(job, reply)
            if step is None:
                return reply.outcome
            await self._travel()
            done = await save((step,))
            if done.verdict is not Verdict.APPLIED:
                return broken("the checkpoint was refused")
        raise AssertionError("a live call ends with a reply")

    def _program(self, slug: str) -> Program:
        return next(fn.program for fn in self._world.functions if fn.slug == slug)

    def _call(self, job: Job, state: CallState, listing: Listing) -> Call:
        self._calls += 1
        return Call(
            run_id=job.run.id,
            memo=dict(state.steps),
            target=job.item.target,
            attempt=job.item.attempt,
            attempts_max=listing.attempts_max,
            plan_only=job.run.force_plan,
            nonce=str(self._calls),
        )

    async def _done(self, job: Job, reply: Reply) -> None:
        """User code ran: the world remembers, and an event may have been sent."""
        if not reply.ran or not isinstance(reply.outcome, Progressed):
            return
        for operation in reply.outcome.operations:
            if isinstance(operation, StepRun):
                nonce = msgspec.json.decode(operation.data)["n"]
                self._world.judge.ran(job.run.id, operation.id, nonce)
        if reply.sent:
            await self._send(job.run.id, reply)

    async def _send(self, run_id: str, reply: Reply) -> None:
        """Sent again, the event has the same id: it is derived from run and step."""
        now_ms = self._world.now_ms()
        event_id = derived_ulid(0, run_id, reply.ran)
        data = msgspec.Raw(b'{"k":1,"n":%d}' % self._chance.randrange(8))
        event = event_row(event_id, Event(reply.sent, data, "", now_ms), now_ms)
        await self._world.submit(EventsReceived((event,), fresh=False))

    # -- what comes after -----------------------------------------------------------------------

    def _after(self, seconds: float, doing: Callable[[], Coroutine[None, None, None]]) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await doing()

        task = asyncio.get_running_loop().create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Nothing comes late any more."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _again(self, reply: ReplyReceived) -> None:
        await self._world.submit(reply)

    async def _lost(self, job: Job) -> None:
        """Somebody noticed that the worker is gone, though its answer may still come."""
        await self._world.submit(LeaseLost(job.lease.id, job.run.id, job.item.key))


class GatewayModel:
    """The server's own requests, pretended: most succeed."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """One request."""
        await asyncio.sleep(self._chance.random())
        if self._chance.random() < 0.2:
            return broken("no route to host")
        data = msgspec.Raw(b'{"status_code":200}')
        return Progressed((StepRun(id=job.item.key, name="fetch", data=data),))
