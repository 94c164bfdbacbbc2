"""Whole nodes on virtual time, with random users, random functions and random faults, and the laws
checked throughout. The only place that says what must be true of the engine as a whole.

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
import hashlib
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Protocol

import msgspec

from stepwell.server.engine import input as given_
from stepwell.server.engine.action import Announce, Topic
from stepwell.server.engine.changes import Changes
from stepwell.server.engine.event_row import event_row
from stepwell.server.engine.input import Accepted, Answer, EventsReceived, Input
from stepwell.server.engine.row import EventRow, Item, ItemKind, Run
from stepwell.server.ledger import EngineFault, LedgerClosed
from stepwell.server.node import Node
from stepwell.server.store.disk import Disk
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import RunFilter, Store, StoreError
from stepwell.testing.faults import Fault, FaultyPerformer, FaultyStore, Plan
from stepwell.testing.invariant import broken_by, broken_everywhere
from stepwell.testing.model_driver import GatewayModel, ModelDriver
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop, run_virtually
from stepwell.testing.workload import (
    APP,
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
from stepwell.wire.event import Event
from stepwell.wire.identifier import derived_ulid, ulid_time_ms

RUNS_MAX = 100_000
PATIENCE_MS: dict[Pace, int] = {
    "short": 2 * DAY_MS,
    "plain": 2 * DAY_MS,
    "long": 800 * DAY_MS,
}
RETRY_S = 0.5
ROOMY = 50
LATE_MS = 50
_TIMED = frozenset({ItemKind.SLEEP, ItemKind.TIMEOUT, ItemKind.FANOUT})


class Broken(AssertionError):
    """A law was broken; the text says which and where."""


class Options(msgspec.Struct, frozen=True):
    """How wild a world is. `odds` are per opportunity; `events` is how many users send."""

    odds: dict[Fault, float] = msgspec.field(default_factory=dict[Fault, float])
    events: int = 12
    meddling: int = 6
    spread_ms: int = 120_000
    pace: Pace = "short"
    poll_ms: int = 5_000
    capacity: int = 20
    retention_ms: int = 0


class Told(msgspec.Struct, frozen=True):
    """What a simulation did: a digest of all that was committed when, one of what came out in the
    end, and how much of what."""

    trace: str
    outcome: str
    runs: dict[str, int]
    struck: dict[Fault, int]
    commits: int
    virtual_ms: int


class Ground(Protocol):
    """What outlives a process: opens a store over the same rows again and again."""

    def open(self) -> Store:
        """A fresh process's store."""
        ...


class MemoryGround:
    """Rows in memory."""

    def __init__(self) -> None:
        self.disk = Disk()

    def open(self) -> Store:
        """A fresh process's store."""
        return MemoryStore(self.disk)


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
        loop.executor_delay_s = lambda: self.chance.choice((0.0, 0.001, 0.05, 2.0))
        self.judge = Judge(self)
        self.driver = ModelDriver(self, Random(f"{seed}/driver"))
        self.gateway = GatewayModel(Random(f"{seed}/gateway"))
        self.node: Node | None = None
        self.deaths: list[asyncio.Task[None]] = []
        self.crash: asyncio.Future[None] = loop.create_future()
        self.version = 0
        self._numbers = 0

    # -- the process ----------------------------------------------------------------------------

    def boot(self) -> None:
        """Start a process over whatever rows there are."""
        store = FaultyStore(
            self.ground.open(),
            self.plan,
            crashed=lambda: self._crashed(node, store),
            committed=self.judge.committed,
            kept=lambda changes: self.judge.kept(node, changes),
        )
        node = Node(
            store,
            clock=self.clock,
            retention_ms=self.options.retention_ms,
            poll_ms=self.options.poll_ms,
            performer=FaultyPerformer(self.plan, store.die),
        )
        node.reach(APP, self.driver, self.options.capacity)
        node.reach_gateway(self.gateway, self.options.capacity)
        self.node, self.crash = node, self.loop.create_future()
        self.judge.listen(node)
        node.pump.start()
        if self.options.retention_ms:
            node.janitor.start()

    def _crashed(self, node: Node, store: FaultyStore) -> None:
        """The process died in the middle of something; another one starts after a while."""
        if self.node is not node:
            return
        self.node = None
        self.crash.set_result(None)
        self.deaths.append(self.loop.create_task(self._bury(node, store)))

    async def _bury(self, node: Node, store: FaultyStore) -> None:
        node.pump.stop()
        await node.janitor.stop()
        await node.dispatcher.close(0)
        await asyncio.sleep(self.chance.choice((0.01, 3.0, 90.0)))
        node.reader.close()
        store.inner.close()
        self.boot()

    async def stop(self) -> None:
        """Stop the process in good order."""
        while self.node is None:
            await asyncio.sleep(RETRY_S)
        node, self.node = self.node, None
        await node.stop()

    def now_ms(self) -> int:
        """The time."""
        return self.clock.now_ms()

    # -- what users do --------------------------------------------------------------------------

    async def submit(self, given: Input) -> Answer:
        """Have an input decided, by whichever process is there, as often as it takes."""
        while True:
            node, crash = self.node, self.crash
            if node is None:
                await asyncio.sleep(RETRY_S)
                continue
            answer = node.ledger.submit(given)
            await asyncio.wait((answer, crash), return_when=asyncio.FIRST_COMPLETED)
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
        await asyncio.gather(*doing)
        await asyncio.sleep(self._mind("end").choice((0, 1, 60)))
        self.plan.over = True
        await self._settle()
        await asyncio.gather(*self.deaths)
        await self.driver.close()
        self.judge.end(self.functions)
        await self.stop()

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
        while self.judge.going or self.node is None:
            if self.judge.problems:
                raise Broken("some of which stopped it from coming to its end")
            if self.clock.now_ms() > end_ms:
                raise Broken(f"stuck: {sorted(self.judge.going)} did not end in {patience_ms} ms")
            await asyncio.sleep(pause_s)
            if self.options.pace == "long":
                pause_s = min(pause_s * 1.5, 86_400.0)


class Judge:
    """Hears of every commit, call and step, and raises `Broken` at the end if a law was broken."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._trace = hashlib.sha256()
        self._steps: dict[tuple[str, str], bytes] = {}
        self._ended: dict[str, Run] = {}
        self._ran: dict[tuple[str, str], set[str]] = {}
        self._accepted: list[tuple[EventRow, int, str]] = []
        self._gone: set[str] = set()
        self._tried: set[tuple[str, str, int]] = set()
        self._items: dict[tuple[str, str], Item | None] = {}
        self._calm = not world.options.odds
        self.going: set[str] = set()
        self.problems: list[str] = []
        self.commits = 0

    def listen(self, node: Node) -> None:
        """Hear what is announced, too."""
        for topic in Topic:
            node.performer.subscribe(topic, self._announced)

    def _announced(self, announced: Announce) -> None:
        if announced.topic is Topic.RUN_ENDED and announced.subject not in self._ended:
            self._break(f"run {announced.subject} was announced as ended before it was")

    def _break(self, problem: str) -> None:
        self.problems.append(f"at {self._world.clock.now_ms()}: {problem}")

    # -- what is heard --------------------------------------------------------------------------

    def kept(self, node: Node, changes: Changes) -> None:
        """The store has caught up with a commit: its rows can be judged."""
        touched = set(changes.runs) | set(changes.started)
        touched |= {slot[0] for slot in (*changes.items, *changes.waits, *changes.leases)}
        if not changes.durable:
            self._judge_punctuality(changes)
        for run_id in sorted(touched):
            self.problems += broken_by(node.reader, run_id)

    def committed(self, changes: Changes) -> None:
        """A commit was made."""
        self.commits += 1
        for run in (*changes.started.values(), *changes.runs.values()):
            self._run_changed(run)
        self._judge_punctuality(changes)
        for slot, item in changes.items.items():
            if item is not None and item.kind is ItemKind.CALL:
                self._item_changed(item)
            self._items[slot] = item
        for step in changes.steps:
            slot = (step.run_id, step.id)
            self._note(f"step {step.run_id} {step.id} {step.op}")
            if slot in self._steps:
                self._break(f"step {step.id} of run {step.run_id} was saved twice")
            self._steps[slot] = step.memo
            if step.run_id in self._ended and step.run_id not in changes.ended:
                self._break(f"step {step.id} was saved after run {step.run_id} ended")

    def _judge_punctuality(self, changes: Changes) -> None:
        """Where nothing goes wrong and there is room, everything is done when it is due."""
        if not self._calm or self._world.options.capacity < ROOMY or self._gone:
            return
        now_ms = self._world.clock.now_ms()
        held = {slot for slot, le in changes.leases.items() if le and le.granted_ms == now_ms}
        over = {slot for slot, item in changes.items.items() if item is None}
        for slot in sorted(held | over):
            item = self._items.get(slot)
            if item is None or (slot not in held and item.kind not in _TIMED):
                continue
            if now_ms - item.due_ms > LATE_MS:
                late_ms = now_ms - item.due_ms
                self._break(f"{item.kind.name} {slot} was taken up {late_ms} ms late")

    def _item_changed(self, item: Item) -> None:
        run_id, key, attempt = item.run_id, item.key, item.attempt
        if attempt and (run_id, key, attempt - 1) not in self._tried:
            self._break(f"item {key!r} of run {run_id} is at attempt {attempt}, untried before")
        late_ms = item.due_ms - self._world.clock.now_ms()
        started = any(slot[0] == run_id for slot in self._tried)
        if self._calm and not self._gone and started and not attempt and late_ms > 0:
            self._break(f"item {key!r} of run {run_id} waits {late_ms} ms for no reason")

    def _run_changed(self, run: Run) -> None:
        self._note(f"run {run.id} {run.function} {run.status.name} {run.pending} {run.again}")
        if run.id in self._ended:
            self._break(f"run {run.id} changed after its end")
        if run.ended:
            self._ended[run.id] = run
            self.going.discard(run.id)
        else:
            self.going.add(run.id)

    def _note(self, line: str) -> None:
        self._trace.update(f"{self._world.clock.now_ms()} {line}\n".encode())

    def called(self, run_id: str, key: str, attempt: int) -> None:
        """A call begins."""
        self._note(f"call {run_id} {key} {attempt}")
        self._tried.add((run_id, key, attempt))
        if run_id in self._ended:
            self._break(f"run {run_id} was called after its end")

    def ran(self, run_id: str, step_id: str, nonce: str) -> None:
        """User code of a step ran to its end."""
        self._ran.setdefault((run_id, step_id), set()).add(nonce)

    def accepted(self, event: EventRow, number: int, key: str) -> None:
        """A user was told that an event is accepted."""
        self._accepted.append((event, number, key))

    def missing(self, gone: Fn) -> None:
        """A function was not registered for a while; events of that time may have passed it by."""
        self._gone.add(gone.slug)

    # -- the end --------------------------------------------------------------------------------

    def end(self, functions: list[Fn]) -> None:
        """Judge what can be judged only now."""
        node = self._world.node
        assert node is not None
        self.problems += broken_everywhere(node.reader)
        runs = {run.id: run for run in node.reader.runs(RunFilter(limit=RUNS_MAX))}
        for run in runs.values():
            self._judge_run(node, run)
        forgotten = self._ended.keys() - runs.keys()
        if forgotten and not self._world.options.retention_ms:
            self._break(f"runs {sorted(forgotten)} are gone")
        self._judge_events(functions)

    def _judge_run(self, node: Node, run: Run) -> None:
        if run != self._ended.get(run.id):
            self._break(f"run {run.id} reads {run}, but ended as {self._ended.get(run.id)}")
        if run.status.word == "Failed" and not run.output:
            self._break(f"run {run.id} failed for no recorded reason")
        for step in node.reader.steps(run.id):
            if step.memo != self._steps.get((run.id, step.id)):
                self._break(f"step {step.id} of run {run.id} has changed")
            if step.op == "StepRun" and step.memo.startswith(b'{"data":{"n":'):
                nonce = msgspec.json.decode(step.memo)["data"]["n"]
                if nonce not in self._ran.get((run.id, step.id), ()):
                    self._break(f"step {step.id} of run {run.id} has a result nobody made")

    def _judge_events(self, functions: list[Fn]) -> None:
        by_event: dict[tuple[str, str], int] = {}
        keys: dict[tuple[str, str], list[int]] = {}
        for run in self._ended.values():
            if not run.original and not run.parent:
                for event_id in run.event_ids:
                    slot = (run.function, event_id)
                    by_event[slot] = by_event.get(slot, 0) + 1
            keys.setdefault((run.function, run.dedup), []).append(ulid_time_ms(run.id))
        for event, number, key in self._accepted:
            for fn in functions:
                count = by_event.get((fn.slug, event.id), 0)
                wanted = fn.wants(event.name, number)
                if count > wanted:
                    self._break(f"event {event.id} ({event.name}) has {count} runs of {fn.slug}")
                dropped = key and (fn.slug, key) in keys
                if wanted and not count and not dropped and fn.slug not in self._gone:
                    self._break(f"event {event.id} ({event.name}) has no run of {fn.slug}")

        if not self._world.options.retention_ms:
            self._judge_keys(keys)

    def _judge_keys(self, keys: dict[tuple[str, str], list[int]]) -> None:
        """A sender's id starts a function once a day."""
        for (function, key), times in keys.items():
            apart = [after - before for before, after in pairwise(sorted(times))]
            if key and any(ms < DAY_MS for ms in apart):
                self._break(f"the event id {key!r} started {function} more than once")

    def _outcome(self) -> str:
        """What every run came to, whenever it did."""
        came: dict[str, list[str]] = {}
        for (run_id, step_id), memo in self._steps.items():
            failed = memo.startswith(b'{"error"')
            came.setdefault(run_id, []).append(f"{step_id} {'failed' if failed else 'done'}")
        lines = [
            f"{run.function} {run.status.word} {sorted(came.get(run.id, []))}"
            for run in self._ended.values()
        ]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def told(self) -> Told:
        """The report. Raises `Broken` if there is anything to complain of."""
        if self.problems:
            raise Broken("\n".join(self.problems[:20]))
        counts: dict[str, int] = {}
        for run in self._ended.values():
            counts[run.status.word] = counts.get(run.status.word, 0) + 1
        return Told(
            self._trace.hexdigest(),
            self._outcome(),
            counts,
            dict(self._world.plan.struck),
            self.commits,
            self._world.clock.now_ms(),
        )


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


def options_of(seed: int) -> Options:
    """A world for a seed: some calm, most with a few faults, some without any action.

    Each fault is drawn by itself: another one in the list leaves the worlds without it as they are.
    """
    draw = Random(f"{seed}/options")
    odds: dict[Fault, float] = {}
    mood = draw.random()
    if mood > 0.15:
        drawn = {fault: Random(f"{seed}/{fault.value}") for fault in Fault}
        odds = {
            fault: chance.choice((0.01, 0.05, 0.2))
            for fault, chance in drawn.items()
            if chance.random() < 0.25
        }
    if mood > 0.9:
        odds[Fault.LOST_ACTIONS] = 1.0
    return Options(
        odds=odds,
        events=draw.randint(3, 14),
        meddling=draw.randint(0, 8),
        spread_ms=draw.choice((1_000, 60_000, 300_000)),
        capacity=draw.choice((1, 3, 50)),
        poll_ms=draw.choice((5_000, 60_000)),
        retention_ms=draw.choice((0, 0, 0, 90_000)),
    )
