"""What runs, sleeps, waits, is held, throttled, limited or to be tried again goes on after its
store was copied to one of another kind.

Law: no step that was done is done again, everything ends, and what flow control had counted counts.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import stepwell as sw
from stepwell.cli.verbs.copy_store import Place
from stepwell.embedded import attach
from stepwell.server.clock import SystemClock
from stepwell.server.engine.message.input import ChangeAsked, KeyCreated, RunAnnotated
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind, AnnotationUpdate
from stepwell.server.engine.row.key import ApiKey, AuditEntry, Role
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.node import Node
from stepwell.server.store.port import RunFilter, Store
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.server.store.transfer.copying import copy_all

HOUR = "1h"
LATER_MS = 2 * 3_600_000
KEY = ApiKey("01KEY", "ops", Role.ADMIN, "hash", 5, "me")
ENTRY = AuditEntry("01ENTRY", 5, "me", "", "PauseFunction", "app", "{}")
BEFORE = (
    "naps-a",
    "waits-a",
    "throttled-0",
    "fails-0",
    "asks-0",
    "child-a",
    "single-0",
    "limited-0",
)


class LaterClock(SystemClock):
    """The machine's clock, so much ahead. It does not jump."""

    def __init__(self, ahead_ms: int) -> None:
        super().__init__()
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return super().now_ms() + self._ahead_ms


class World:
    """An app, and what its functions did, whichever node they ran on."""

    def __init__(self) -> None:
        self.client = sw.Inngest(app_id="shop", is_production=False)
        self.did: Counter[str] = Counter()
        self.functions = list(self._functions())

    async def step(self, name: str) -> str:
        self.did[name] += 1
        return name

    def made(self, fn_id: str, **options: Any) -> Callable[[Any], sw.Function[Any]]:
        """A function for the event of its id."""
        decorate: Callable[[Any], sw.Function[Any]] = self.client.create_function(
            fn_id=fn_id, trigger=sw.TriggerEvent(event=fn_id), **options
        )
        return decorate

    def _functions(self) -> list[sw.Function[Any]]:
        step = self.step
        return [*self._waiting(step), *self._held(step)]

    def _waiting(self, step: Callable[[str], Any]) -> list[sw.Function[Any]]:
        @self.made("naps")
        async def naps(ctx: sw.Context) -> None:
            await ctx.step.run("a", step, "naps-a")
            await ctx.step.sleep("nap", HOUR)
            await ctx.step.run("b", step, "naps-b")

        @self.made("waits")
        async def waits(ctx: sw.Context) -> bool:
            await ctx.step.run("a", step, "waits-a")
            met = await ctx.step.wait_for_event(
                "w", event="poke", timeout="9h", if_exp="async.data.n == event.data.n"
            )
            return met is not None

        @self.made("parent")
        async def parent(ctx: sw.Context) -> object:
            return await ctx.step.invoke("child", function=child)

        @self.made("child")
        async def child(ctx: sw.Context) -> str:
            await ctx.step.run("a", step, "child-a")
            await ctx.step.sleep("nap", HOUR)
            return "from the child"

        @self.made("fails")
        async def fails(ctx: sw.Context) -> int:
            await step(f"fails-{ctx.attempt}")
            if not ctx.attempt:
                raise sw.RetryAfterError("not now", HOUR)
            return ctx.attempt

        return [naps, waits, parent, child, fails]

    def _held(self, step: Callable[[str], Any]) -> list[sw.Function[Any]]:
        tokens = sw.limit("tokens", rate=1, period=HOUR)

        @self.made("debounced", debounce=sw.Debounce(period=HOUR))
        async def debounced(ctx: sw.Context) -> int:
            return int(str(ctx.event.data["n"]))

        @self.made("batched", batch_events=sw.Batch(max_size=3, timeout="9h"))
        async def batched(ctx: sw.Context) -> list[str]:
            return sorted(event.id for event in ctx.events)

        @self.made("throttled", throttle=sw.Throttle(limit=1, period=HOUR))
        async def throttled(ctx: sw.Context) -> None:
            await step(f"throttled-{ctx.event.data['n']}")

        @self.made("asks")
        async def asks(ctx: sw.Context) -> None:
            await ctx.step.run("ask", step, f"asks-{ctx.event.data['n']}", limits=[tokens.take(1)])

        @self.made("single", singleton=sw.Singleton(mode="skip"))
        async def single(ctx: sw.Context) -> None:
            await ctx.step.run("a", step, f"single-{ctx.event.data['n']}")
            await ctx.step.sleep("nap", "3h")

        @self.made("limited", rate_limit=sw.RateLimit(limit=1, period="9h"))
        async def limited(ctx: sw.Context) -> None:
            await step(f"limited-{ctx.event.data['n']}")

        return [debounced, batched, throttled, asks, single, limited]

    async def send(self, *names: str, n: int = 0) -> None:
        await self.client.send(
            [sw.Event(name=name, id=f"{name}-{n}", data={"n": n}) for name in names]
        )

    @asynccontextmanager
    async def node(self, store: Store, ahead_ms: int = 0) -> AsyncGenerator[Node]:
        async with Node(store, clock=LaterClock(ahead_ms)) as node:
            await attach(node, self.client, self.functions)
            yield node


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.02)


async def begin(world: World, node: Node) -> None:
    """Everything is on its way, and nothing has ended that is not meant to."""
    names = (
        "naps",
        "waits",
        "parent",
        "fails",
        "debounced",
        "batched",
        "throttled",
        "asks",
        "single",
    )
    await world.send(*names, "limited")
    await until(lambda: all(world.did[name] for name in BEFORE))
    await world.send("debounced", "batched", "throttled", "asks", "limited", n=1)
    reader = node.reader
    # All runs are there, and the debounce and the batch have both their events.
    await until(lambda: len(reader.runs(RunFilter(limit=100))) == 11)
    await until(lambda: sorted(hold.count for hold in reader.holds()) == [2, 2])
    (naps,) = reader.runs(RunFilter(functions=("shop-naps",)))
    said = Annotation(naps.id, AnnotationKind.METADATA, "", "run", "order", 5, b'{"id":7}')
    await node.ledger.submit(RunAnnotated(naps.id, (AnnotationUpdate(said),)))
    await node.ledger.submit(KeyCreated(KEY))
    await node.ledger.submit(ChangeAsked(ENTRY))
    await world.client.set_limit("tokens", rate=1, period="50m")


async def go_on(world: World, node: Node) -> dict[str, list[object]]:
    """Two hours later everything but `single` ends; what each function returned."""
    reader = node.reader
    (naps,) = reader.runs(RunFilter(functions=("shop-naps",)))
    assert [one.body for one in reader.annotations(naps.id)] == [b'{"id":7}']
    assert reader.api_keys("", 9) == [KEY]
    assert ENTRY in reader.audit("", 9)
    (tokens,) = await world.client.limits()
    assert tokens.is_changed
    await world.send("poke", "single", "limited", "batched", n=0)
    await world.send("batched", "single", "limited", n=2)

    def over() -> bool:
        runs = reader.runs(RunFilter(limit=100))
        return not reader.holds() and sum(not run.ended for run in runs) == 1

    await until(over)
    returned: dict[str, list[object]] = {}
    for run in reader.runs(RunFilter(limit=100)):
        if run.ended:
            assert run.status is RunStatus.COMPLETED, run
            answer = None if run.output is None else msgspec.json.decode(run.output)
            returned.setdefault(run.function.removeprefix("shop-"), []).append(answer)
    return returned


@pytest.mark.logs('RetryAfterError in function "shop-fails"')
@pytest.mark.parametrize("to_postgres", [True, False])
async def test_a_world_goes_on_in_the_other_store(
    tmp_path: Path, engine_database: str, to_postgres: bool
) -> None:
    path = tmp_path / "engine.db"
    file, database = Place(str(path), is_file=True), Place(engine_database, is_file=False)
    source, target = (file, database) if to_postgres else (database, file)

    def opened(place: Place) -> Store:
        if place.is_file:
            return SqliteStore(path, durability="relaxed")
        return PostgresStore(engine_database)

    world = World()
    async with world.node(opened(source)) as node:
        await begin(world, node)
    with source.reading() as read, target.filling() as filled:
        copy_all(read, filled)
    async with world.node(opened(target), LATER_MS) as node:
        returned = await go_on(world, node)
    assert returned == {
        "naps": [None],
        "waits": [True],
        "parent": ["from the child"],
        "child": ["from the child"],
        "fails": [1],
        "debounced": [1],
        "batched": [["batched-0", "batched-1", "batched-2"]],
        "throttled": [None, None],
        "asks": [None, None],
        "limited": [None],
    }
    after = ("naps-b", "throttled-1", "fails-1", "asks-1")
    assert world.did == Counter([*BEFORE, *after])
