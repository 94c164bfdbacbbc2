"""A node with one app on virtual time, and a driver whose calls are a test's own."""

import asyncio
from collections.abc import Awaitable, Callable

from stepwell.server.drivers.port import Lost, Save, Settled
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.input import Job, Outcome
from stepwell.server.engine.row.run import Run
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.node import Node
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import CallState
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop, run_virtually
from stepwell.wire.operation import Sleep
from tests.bench import APP, Bench, app_row, function, progressed, returned

Handler = Callable[[Job, CallState, Save], Awaitable[Outcome | Settled | Lost]]


class Driver:
    """Calls a handler of the test's."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.calls: list[tuple[float, Job]] = []

    async def call(
        self, job: Job, state: CallState, listing: Listing, save: Save
    ) -> Outcome | Settled | Lost:
        self.calls.append((asyncio.get_running_loop().time(), job))
        return await self.handler(job, state, save)


class Stage:
    """A node with one app, and users' hands on it."""

    def __init__(self, loop: VirtualLoop, handler: Handler, *, limit: int = 10) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.store = MemoryStore()
        self.node = Node(self.store, clock=self.clock, grace_s=1.0)
        self.driver = Driver(handler)
        self.node.reach(APP, self.driver, limit)
        self.bench = Bench(now_ms=self.clock.now_ms())

    async def open(self, *, retries: int = 4) -> None:
        functions = (function(event="go", retries=retries),)
        await self.node.ledger.submit(given_.AppRegistered(app_row(), functions))
        await self.node.start()

    async def send(self) -> str:
        """Send `go`; the id of the run it starts."""
        self.bench.now_ms = self.clock.now_ms()
        event = self.bench.event("go")
        await self.node.ledger.submit(given_.EventsReceived((event,)))
        return self.node.reader.runs_of_event(event.id)[0].id

    async def ended(self, run_id: str) -> Run:
        return await self.node.run_ended(run_id, 1_000_000)


def play(scene: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    async def main(loop: VirtualLoop) -> None:
        await scene(loop)

    run_virtually(main)


async def done(job: Job, state: CallState, save: Save) -> Outcome:
    return returned(len(state.steps))


async def sleeps(job: Job, state: CallState, save: Save) -> Outcome:
    return progressed(Sleep(id="z", until="1d"))


async def naps(job: Job, state: CallState, save: Save) -> Outcome:
    return progressed(Sleep(id="z", until="1m"))
