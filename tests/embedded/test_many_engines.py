"""Several engines on one PostgreSQL database do every run once, and keep the limits they share.

Law: a step runs once where nobody dies; no key has more calls under way, in all engines together,
than its limit; an event ends the wait of a run, whichever engine each of them came to.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
from psycopg import errors

import stepwell as sw
from stepwell.embedded import Engine
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.realtime.hub import Hub
from stepwell.server.store.port import RunFilter
from stepwell.server.store.postgres.piece import Piece
from stepwell.wire.realtime import DATA, Message, TopicPlace

ENGINES = 3
ROUNDS = 40
FEW = 12
FAILING = 0.1
LIMIT = 2
KINDS = ("plain", "limited", "limited", "waits", "parent", "single", "single", "batched")
FIRST = sw.TriggerEvent


@dataclass
class Seen:
    """What the functions of all engines did."""

    steps: Counter[str] = field(default_factory=Counter[str])
    under_way: Counter[str] = field(default_factory=Counter[str])
    most: Counter[str] = field(default_factory=Counter[str])
    woken: Counter[str] = field(default_factory=Counter[str])
    batched: Counter[str] = field(default_factory=Counter[str])


def functions(client: sw.Inngest, seen: Seen) -> list[sw.Function]:
    """The same functions for every engine."""

    async def did(name: str) -> str:
        seen.steps[name] += 1
        return name

    async def run_alone(key: str, name: str) -> None:
        seen.under_way[key] += 1
        seen.most[key] = max(seen.most[key], seen.under_way[key])
        try:
            await did(name)
            await asyncio.sleep(0.005)
        finally:
            seen.under_way[key] -= 1

    @client.create_function(fn_id="plain", trigger=FIRST(event="plain"))
    async def plain(ctx: sw.Context) -> int:
        number = ctx.event.data["n"]
        for step in range(3):
            await ctx.step.run(f"s{step}", did, f"plain-{number}-{step}")
        await ctx.step.sleep("nap", 20)
        await ctx.step.run("last", did, f"plain-{number}-last")
        return int(str(number))

    @client.create_function(
        fn_id="limited",
        trigger=FIRST(event="limited"),
        concurrency=[sw.Concurrency(limit=LIMIT, key="event.data.k")],
    )
    async def limited(ctx: sw.Context) -> None:
        await run_alone(str(ctx.event.data["k"]), f"limited-{ctx.event.data['n']}")

    @client.create_function(fn_id="waits", trigger=FIRST(event="waits"))
    async def waits(ctx: sw.Context) -> bool:
        number = ctx.event.data["n"]
        met = await ctx.step.wait_for_event(
            "w", event="poke", timeout="1h", if_exp=f"async.data.n == {number}"
        )
        seen.woken[str(number)] += met is not None
        return met is not None

    @client.create_function(fn_id="parent", trigger=FIRST(event="parent"))
    async def parent(ctx: sw.Context) -> object:
        return await ctx.step.invoke("child", function=child, data={"n": ctx.event.data["n"]})

    @client.create_function(fn_id="child", trigger=FIRST(event="never"))
    async def child(ctx: sw.Context) -> object:
        return await ctx.step.run("c", did, f"child-{ctx.event.data['n']}")

    @client.create_function(
        fn_id="single",
        trigger=FIRST(event="single"),
        singleton=sw.Singleton(mode="skip", key="event.data.k"),
    )
    async def single(ctx: sw.Context) -> None:
        await run_alone(f"single-{ctx.event.data['k']}", f"single-{ctx.event.data['n']}")

    @client.create_function(
        fn_id="batched",
        trigger=FIRST(event="batched"),
        batch_events=sw.Batch(max_size=3, timeout=1_000),
    )
    async def batched(ctx: sw.Context) -> None:
        seen.batched.update(event.id for event in ctx.events)

    return [plain, limited, waits, parent, child, single, batched]


@pytest.mark.parametrize("seed", os.environ.get("STEPWELL_SEEDS", "1").split(","))
async def test_engines_share_the_work_and_the_limits(engine_database: str, seed: str) -> None:
    async with _shared(engine_database, random.Random(seed), ROUNDS) as (engines, _):
        await _publish_here_hear_there(*(engine.node.hub for engine in engines[:2]))


async def test_engines_behind_a_pooler_do_the_same_and_hear_nothing_of_each_other(
    pooled_database: str,
) -> None:
    async with _shared(pooled_database, random.Random("pooled"), FEW) as (engines, client):
        # Whoever did not do it itself finds out that it is done.
        ids = await client.send(sw.Event(name="plain", data={"n": FEW}))
        told = (engine.result_of(ids[0], timeout_seconds=60) for engine in engines)
        assert await asyncio.gather(*told) == [FEW] * ENGINES


async def test_a_database_that_cannot_put_transactions_in_order_is_asked_again(
    engine_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, send, failed = random.Random("order"), Piece.send, 0

    def fail_at_times(piece: Piece) -> None:
        nonlocal failed
        gives_up = any(statement == b"ROLLBACK" for statement, _, _ in piece._waiting)
        if not gives_up and dice.random() < FAILING:
            failed += 1
            piece.forget()
            raise errors.SerializationFailure("could not serialize access")
        send(piece)

    monkeypatch.setattr(Piece, "send", fail_at_times)
    async with _shared(engine_database, random.Random("order"), FEW):
        pass
    assert failed > FEW


@asynccontextmanager
async def _shared(
    database: str, dice: random.Random, rounds: int
) -> AsyncIterator[tuple[list[Engine], sw.Inngest]]:
    """Engines that have done so many things together, and a client of the first."""
    seen = Seen()
    clients = [sw.Inngest(app_id="shared", is_production=False) for _ in range(ENGINES)]
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(
                Engine(client, functions(client, seen), database=database, concurrency=8)
            )
            for client in clients
        ]
        reader = engines[0].node.reader
        kinds: Counter[str] = Counter()
        for number in range(rounds):
            name = dice.choice(KINDS)
            kinds[name] += 1
            data = {"n": number, "k": f"k{dice.randrange(3)}"}
            await dice.choice(clients).send(sw.Event(name=name, data=data, id=f"e{number}"))
            # The same event once more, elsewhere: it starts nothing.
            await dice.choice(clients).send(sw.Event(name=name, data=data, id=f"e{number}"))
        async with asyncio.timeout(120):
            await _poke_all(clients, reader, dice)
            while await asyncio.to_thread(lambda: reader.holds() or sum(reader.live().values())):
                await asyncio.sleep(0.05)
        runs = await asyncio.to_thread(lambda: reader.runs(RunFilter(limit=1_000)))
        yield engines, clients[0]
    assert {run.status for run in runs} == {RunStatus.COMPLETED}
    starts = Counter(run.event_ids[0] for run in runs)
    assert max(starts.values()) == 1
    assert max(seen.steps.values()) == 1
    for key, count in seen.most.items():
        assert count <= (1 if key.startswith("single") else LIMIT), seen.most
    sent = {
        run_event for run in runs if run.function == "shared-batched" for run_event in run.event_ids
    }
    assert set(seen.batched.values()) <= {1}
    assert len(seen.batched) == len(sent) == kinds["batched"]
    assert sum(seen.woken.values()) == sum(run.function == "shared-waits" for run in runs)


async def _publish_here_hear_there(here: Hub, there: Hub) -> None:
    subscriber = there.subscribe([TopicPlace("order:1", "status")])
    for size in (10, 10, 20_000):
        data = msgspec.Raw(msgspec.json.encode("x" * size))
        here.publish(Message(DATA, data, "order:1", "status"))
    told = [await subscriber.next(20) for _ in range(3)]
    assert [one.is_loss for one in told if one is not None] == [False, False, True]


async def _poke_all(clients, reader, dice) -> None:
    """An event for every run that waits, once it does."""
    poked: set[str] = set()
    wanted = RunFilter(functions=("shared-waits",), limit=1_000)
    while True:
        runs = await asyncio.to_thread(lambda: reader.runs(wanted))
        if len(poked) == len(runs):
            return
        for run in runs:
            waiting = run.id not in poked and await asyncio.to_thread(reader.waits, run.id)
            if waiting:
                poked.add(run.id)
                number = waiting[0].condition.rpartition("== ")[2]
                await dice.choice(clients).send(sw.Event(name="poke", data={"n": int(number)}))
        await asyncio.sleep(0.01)
