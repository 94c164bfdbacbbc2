"""What grew under load is gone at rest: objects are counted, not bytes."""

import asyncio
import gc
from collections import Counter
from pathlib import Path
from typing import Any

import stepwell
from stepwell.embedded import attach
from stepwell.server.node import Node
from stepwell.server.runtime.janitor import PRUNE_EVERY_S
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop, run_virtually

RUNS = 300
SPARE = 20
"""So many objects of a kind may come and go meanwhile."""


def objects() -> Counter[str]:
    """Objects of the package that are alive, and the containers they are made of."""
    gc.collect()
    kinds = (type(one) for one in gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    containers = ("builtins.dict", "builtins.list", "builtins.set", "builtins.tuple")
    return Counter(name for name in names if name.startswith("stepwell.") or name in containers)


def test_a_node_at_rest_holds_as_much_as_before(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db", durability="relaxed")
    client = stepwell.Inngest(app_id="shop", is_production=False)
    ended = 0

    @client.create_function(fn_id="two", trigger=stepwell.TriggerEvent(event="go"))
    async def two(ctx: stepwell.Context[Any]) -> None:
        nonlocal ended
        await ctx.step.run("one", lambda: "x" * 100)
        await ctx.step.run("two", lambda: "y" * 100)
        ended += 1

    async def load(count: int) -> None:
        nonlocal ended
        ended = 0
        await client.send([stepwell.Event(name="go", data={"n": n}) for n in range(count)])
        while ended < count:
            await asyncio.sleep(1)
        await asyncio.sleep(1)

    async def scene(loop: VirtualLoop) -> tuple[Counter[str], Counter[str], Counter[str]]:
        async with Node(store, clock=VirtualClock(loop)) as node:
            await attach(node, client, [two])
            await load(SPARE)
            await asyncio.sleep(3 * PRUNE_EVERY_S)
            before = objects()
            await load(RUNS)
            most = objects()
            await asyncio.sleep(3 * PRUNE_EVERY_S)
            return before, most, objects()

    try:
        before, most, after = run_virtually(scene)
    finally:
        store.close()
    held = "stepwell.server.store.sqlite.recent.RunEntry"
    assert most[held] - before[held] >= RUNS
    grown = {kind: count - before[kind] for kind, count in after.items()}
    assert {kind: more for kind, more in grown.items() if more > SPARE} == {}
