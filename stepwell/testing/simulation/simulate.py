"""Whole nodes on virtual time, with random users, random functions and random faults, and the laws
checked throughout. The only place that decides what befalls such a world.

    simulate(seed, options) -> Told

A seed decides everything: the functions, what users do and when, which faults strike. The laws:

- every accepted event's functions ran, or were dropped for the one reason there is (the sender's id
  had started a run before);
- a step's result is stored once and never changes, and user code ran at least once for it;
- an ended run never changes, and is not called any more;
- the rows keep their invariant after every commit (`invariant.py`);
- when faults stop, every run ends by itself; losing every action only delays.
"""

import asyncio
from collections.abc import Callable
from random import Random

import msgspec

from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.input import Accepted, Answer, EventsReceived, Input
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.run import EventRow
from stepwell.server.ledger import EngineFault, LedgerClosed
from stepwell.server.node import Node
from stepwell.server.store.port import RunFilter, StoreError
from stepwell.testing.simulation.controls import FlowJudge, controlled
from stepwell.testing.simulation.faults import Fault, Plan
from stepwell.testing.simulation.ground import Ground, MemoryGround
from stepwell.testing.simulation.judge import Broken, Judge, Told
from stepwell.testing.simulation.model_driver import GatewayModel, ModelDriver
from stepwell.testing.simulation.options import Options, options_of
from stepwell.testing.simulation.process import Process
from stepwell.testing.simulation.workload import (
    DAY_MS,
    NEWS,
    SIGNALS,
    STARTS,
    STOP,
    Author,
    Fn,
    Pace,
    app_row,
    rows,
)
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop, run_virtually
from stepwell.wire.event import Event
from stepwell.wire.identifier import derived_ulid

PATIENCE_MS: dict[Pace, int] = {
    "short": 2 * DAY_MS,
    "plain": 2 * DAY_MS,
    "long": 800 * DAY_MS,
}
RETRY_S = 0.5
ROOMY = 50


class World:
    """One simulated world: its node, its users and its judge."""

    def __init__(self, loop: VirtualLoop, seed: int, options: Options, ground: Ground) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.options = options
        self.ground = ground
        self.seed = seed
        self.chance = Random(f"{seed}/process")
        self.plan = Plan(Random(f"{seed}/faults"), options.odds)
        self.functions = Author(Random(f"{seed}/author"), options.pace).functions()
        if options.controlled:
            self.functions = controlled(self.functions, Random(f"{seed}/controls"))
        loop.executor_delay_s = lambda: self.chance.choice((0.0, 0.001, 0.05, 2.0))
        self.judge = Judge(
            self.clock.now_ms,
            calm=not options.odds and not ground.is_shared,
            roomy=options.capacity >= ROOMY,
            keeps=not options.retention_ms,
            plan=self.plan,
            flow=FlowJudge(self.functions) if options.controlled else None,
            alone=not ground.is_shared,
        )
        ground.begin(loop, self.plan, self.judge.freed)
        self.driver = ModelDriver(self, Random(f"{seed}/driver"))
        self.gateway = GatewayModel(Random(f"{seed}/gateway"))
        self.processes = [self._process(number) for number in range(options.servers)]
        self.version = 0
        self._numbers = 0

    def _process(self, number: int) -> Process:
        """The first has the world's own chance and clock."""
        if not number:
            return Process(self, self.chance, self.clock)
        chance, clock = Random(f"{self.seed}/process/{number}"), VirtualClock(self.loop)
        clock.skew_ms = chance.randint(-self.options.skew_ms, self.options.skew_ms)
        return Process(self, chance, clock)

    # -- the processes --------------------------------------------------------------------------

    def boot(self) -> None:
        """Start every process."""
        for process in self.processes:
            process.boot()

    def living(self) -> list[Process]:
        """The processes that run at the moment."""
        return [process for process in self.processes if process.node is not None]

    def any_of_them(self) -> Process:
        """Whoever a user happens to reach, alive or not."""
        return self.processes[0] if len(self.processes) == 1 else self.chance.choice(self.processes)

    @property
    def node(self) -> Node | None:
        """Some node, if there is one."""
        return next((process.node for process in self.living()), None)

    async def stop(self) -> None:
        """Judge what there is in the end, then stop the processes in good order."""
        while not self.living():
            await asyncio.sleep(RETRY_S)
        node = self.node
        assert node is not None
        self.judge.end(node, self.functions)
        for process in self.living():
            await process.stop()

    def now_ms(self) -> int:
        """The time."""
        return self.clock.now_ms()

    # -- what users do --------------------------------------------------------------------------

    async def submit(self, given: Input) -> Answer:
        """Have an input decided, by whichever process is there, as often as it takes."""
        while True:
            process = self.any_of_them()
            node, crash = process.node, process.crash
            if node is None:
                await asyncio.sleep(RETRY_S)
                continue
            answer = node.ledger.submit(given)
            try:
                await asyncio.wait((answer, crash), return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                answer.cancel()
                raise
            if answer.done():
                try:
                    return answer.result()
                except (StoreError, LedgerClosed):
                    await asyncio.sleep(RETRY_S)
            else:
                answer.cancel()

    async def send(self, name: str, number: int, key: str = "", at_ms: int = 0) -> None:
        """Send one event, again and again under one id, until it is accepted."""
        event = self.event(name, number, key, at_ms)
        answer = await self.submit(EventsReceived((event,), fresh=False))
        assert isinstance(answer, Accepted)
        assert answer.ids == (event.id,)
        self.judge.accepted(event, number, key)

    def event(self, name: str, number: int, key: str = "", at_ms: int = 0) -> EventRow:
        """A fresh event with `data.n` and `data.k`."""
        self._numbers += 1
        now_ms = self.clock.now_ms()
        data = msgspec.Raw(msgspec.json.encode({"k": number % 3, "n": number}))
        event_id = derived_ulid(now_ms, "user", str(self._numbers))
        return event_row(event_id, Event(name, data, key, at_ms or now_ms), now_ms)

    async def register(self, functions: list[Fn]) -> None:
        """Deploy the app anew."""
        self.version += 1
        now_ms = self.clock.now_ms()
        app = app_row(self.version, now_ms)
        await self.submit(given_.AppRegistered(app, rows(functions, now_ms)))

    async def run(self) -> None:
        """Let the users loose, then let everything come to its end."""
        self.boot()
        await self.register(self.functions)
        # Everybody has a mind of their own: what one does depends on nothing that befell another.
        doing = [self._sender(self._mind("sender", n)) for n in range(self.options.events)]
        doing += [self._meddler(self._mind("meddler", n)) for n in range(self.options.meddling)]
        watching = self.loop.create_task(self._watch(self._mind("watcher")))
        doing += [self._operator(self._mind("operator", n)) for n in range(self.options.restarts)]
        await asyncio.gather(*doing)
        await asyncio.sleep(self._mind("end").choice((0, 1, 60)))
        self.plan.over = True
        await self._settle()
        watching.cancel()
        await asyncio.gather(*(death for process in self.processes for death in process.deaths))
        await self.driver.close()
        await self.stop()

    async def _watch(self, draw: Random) -> None:
        """Look at the world now and then, as long as users are in it."""
        while self.options.controlled and not self.options.odds:
            await asyncio.sleep(draw.choice((0.2, 1.0, 5.0)))
            if self.node is not None:
                self.judge.look(self.node)

    async def _operator(self, draw: Random) -> None:
        """Somebody who restarts what servers share, or one of them."""
        await asyncio.sleep(draw.randrange(self.options.spread_ms) / 1000)
        if draw.random() < 0.5:
            await self.ground.restart()
        else:
            await draw.choice(self.processes).restart()

    def _mind(self, who: str, number: int = 0) -> Random:
        return Random(f"{self.seed}/{who}/{number}")

    async def _sender(self, draw: Random) -> None:
        await asyncio.sleep(draw.randrange(self.options.spread_ms) / 1000)
        name = draw.choice((*STARTS, *STARTS, *NEWS, STOP))
        number = draw.randrange(8)
        keyed = draw.random() < 0.2 and self.options.pace != "plain"
        key = f"key{draw.randrange(3)}" if keyed else ""
        later = draw.random() < 0.1
        await self.send(name, number, key, self.clock.now_ms() + 30_000 if later else 0)

    async def _meddler(self, draw: Random) -> None:
        """Somebody who cancels, signals, reruns, invokes or deploys."""
        await asyncio.sleep(draw.randrange(self.options.spread_ms) / 1000)
        if self.plan.strikes(Fault.CLOCK_SET):
            self.clock.skew_ms += draw.choice((-600_000, -2_000, 2_000, 600_000))
        what = draw.choice(("cancel", "signal", "signal", "rerun", "invoke", "deploy"))
        if what == "signal":
            data = b'{"n":%d}' % draw.randrange(9)
            await self.submit(given_.SignalSent(draw.choice(SIGNALS), data))
        elif what == "invoke":
            function = draw.choice(self.functions).slug
            event = self.event("inngest/function.invoked", draw.randrange(9))
            await self.submit(given_.InvokeAsked(event, function))
        elif what == "deploy":
            gone = draw.choice(self.functions) if draw.random() < 0.5 else None
            if gone is not None:
                self.judge.missing(gone)
                await self.register([fn for fn in self.functions if fn is not gone])
                await asyncio.sleep(draw.choice((0.1, 40)))
            await self.register(self.functions)
        else:
            await self._meddle_with_a_run(draw, what)

    async def _meddle_with_a_run(self, draw: Random, what: str) -> None:
        node = self.node
        runs = [] if node is None else node.reader.runs(RunFilter(limit=50))
        if runs:
            run = draw.choice(runs)
            asked = given_.CancelAsked(run.id) if what == "cancel" else given_.RerunAsked(run.id)
            await self.submit(asked)

    async def _settle(self) -> None:
        """Wait until every run has ended by itself."""
        patience_ms = PATIENCE_MS[self.options.pace]
        end_ms = self.clock.now_ms() + patience_ms
        pause_s = 30.0
        while self.judge.going or (node := self.node) is None or node.reader.holds():
            if self.judge.problems:
                raise Broken("some of which stopped it from coming to its end")
            if self.clock.now_ms() > end_ms:
                raise Broken(f"stuck: {sorted(self.judge.going)} did not end in {patience_ms} ms")
            await asyncio.sleep(pause_s)
            if self.options.pace == "long":
                pause_s = min(pause_s * 1.5, 86_400.0)


def simulate(
    seed: int, options: Options | None = None, ground: Callable[[], Ground] = MemoryGround
) -> Told:
    """Live through one seed. Raises `Broken` when a law is."""

    async def main(loop: VirtualLoop) -> Told:
        world = World(loop, seed, options or options_of(seed), ground())
        problems: list[str] = []

        def complain(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            problems.append(f"{context.get('message')}: {context.get('exception')!r}")

        loop.set_exception_handler(complain)
        try:
            await world.run()
        except EngineFault as fault:
            raise Broken(f"the engine could not decide: {fault.__cause__!r}") from fault
        except Broken as broken:
            raise Broken("\n".join([*world.judge.problems[:20], *problems, str(broken)])) from None
        world.judge.problems += problems
        return world.judge.told()

    return run_virtually(main, Random(f"{seed}/order"))
