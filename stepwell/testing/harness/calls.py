"""How the functions of a test are called: by the embedded engine's own way, with stubs in front,
in the order that is explored, and through the points at which a process may die."""

import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from stepwell.embedded import local_call
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.middleware.layer import BaseMiddleware, Next
from stepwell.sdk.middleware.result import StepInfo
from stepwell.server.clock import Clock
from stepwell.server.drivers.local_driver import LocalDriver
from stepwell.server.drivers.port import Save
from stepwell.server.engine.message.input import Done, Job, Outcome, Progressed, Verdict
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.testing.harness import points as at
from stepwell.testing.harness.app import App
from stepwell.testing.harness.order import wait_turns
from stepwell.testing.harness.points import Points
from stepwell.testing.harness.stub import StubbedSteps, Stubs, answered
from stepwell.wire.operation import Operation


class Ground(Protocol):
    """What befalls the calls of a test. `points` and `turns` are None where nothing does; `calling`
    has the function of each call under way, by its lease."""

    stubs: Stubs
    points: Points | None
    turns: Iterator[int] | None
    calling: dict[str, str]

    def die(self) -> asyncio.Future[None]:
        """The process ends here, and another takes up the work: done when it has."""
        ...


class HarnessDriver:
    """Calls the functions of one app. A step takes no time: the clock stands still meanwhile."""

    def __init__(self, app: App, ground: Ground, clock: Clock) -> None:
        self._ground = ground
        self._local = LocalDriver(local_call(_seen_by(app.client, ground), app.functions), clock)

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """Call the function; see `Driver.call`."""
        self._ground.calling[job.lease.id] = job.run.function
        try:
            return await self._called(job, state, listing, save)
        finally:
            del self._ground.calling[job.lease.id]

    async def _called(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        async def keep(operations: tuple[Operation, ...]) -> Done:
            await self._in_turn()
            if await self._dies(at.unsaved(job, operations)):
                return _DEAD
            done = await save(self._as_stored(operations))
            if await self._dies(at.saved(job, operations)):
                return _DEAD
            return done

        await self._in_turn()
        await self._dies(at.begins(job))
        outcome = await self._local.call(job, state, listing, keep)
        await self._dies(at.unanswered(job, outcome))
        if self._strikes(at.twice(job)):
            await self._local.call(job, state, listing, _refused)
        if not isinstance(outcome, Progressed):
            return outcome
        operations = self._as_stored(outcome.operations)
        return msgspec.structs.replace(outcome, operations=operations)

    async def _in_turn(self) -> None:
        if self._ground.turns is not None:
            await wait_turns(self._ground.turns)

    def _strikes(self, point: str) -> bool:
        points = self._ground.points
        return points is not None and points.strikes(point)

    async def _dies(self, point: str) -> bool:
        """True if the process has died here: only blocking code ever hears of it."""
        if not self._strikes(point):
            return False
        await asyncio.shield(self._ground.die())
        return True

    def _as_stored(self, operations: Sequence[Operation]) -> tuple[Operation, ...]:
        return tuple(_as_tested(answered(one, self._ground.stubs)) for one in operations)


def _as_tested(operation: Operation) -> Operation:
    """Without the machine's measure of time: a step begins and ends by the clock of the test. And
    called by its id, whatever people are shown."""
    name = operation.userland.id or operation.display_name
    return msgspec.structs.replace(operation, timing=None, display_name=name)


_DEAD = Done(Verdict.FENCED, reason="the process has died")


async def _refused(operations: tuple[Operation, ...]) -> Done:
    """What a call is told that is made a second time: its steps are stored already."""
    return Done(Verdict.FENCED, reason="another call has stored it")


class _TurnedSteps(BaseMiddleware):
    """Around the handlers of steps: each waits for its turn."""

    def __init__(self, client: Any, raw_request: object, turns: Iterator[int]) -> None:
        super().__init__(client, raw_request)
        self._turns = turns

    # Not a coroutine: blocking handlers are left alone.
    def wrap_step_handler(self, next: Next, step: StepInfo, ctx: Any) -> Any:
        """The step, after a while."""
        return self._later(next) if inspect.iscoroutinefunction(next) else next()

    async def _later(self, work: Callable[[], Awaitable[Any]]) -> Any:
        await wait_turns(self._turns)
        return await work()


def _seen_by(client: Inngest, ground: Ground) -> Callable[[], Inngest]:
    """The client as a call has it: with what the test puts around steps innermost of its
    middleware. The application's own stays as it is."""

    def stubbed(of: Inngest, raw_request: object) -> StubbedSteps:
        return StubbedSteps(of, raw_request, ground.stubs)

    def turned(of: Inngest, raw_request: object) -> _TurnedSteps:
        assert ground.turns is not None
        return _TurnedSteps(of, raw_request, ground.turns)

    def seen() -> Inngest:
        if not ground.stubs and ground.turns is None:
            return client
        found = copy.copy(client)
        found.middleware = [
            *client.middleware,
            *([] if ground.turns is None else [turned]),
            *([stubbed] if ground.stubs else []),
        ]
        return found

    return seen
