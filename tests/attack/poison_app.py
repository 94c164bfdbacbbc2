"""An engine with one function that ends the process, and one that does not. Started again and
again by the test; says what became of both."""

import asyncio
import os
import sys

import stepwell
from stepwell.embedded import Engine
from stepwell.server.store.port import RunFilter

client = stepwell.Inngest(app_id="shop", is_production=False)


@client.create_function(
    fn_id="poison", trigger=stepwell.TriggerEvent(event="shop/poison"), retries=0
)
async def poison(ctx: stepwell.Context) -> None:
    await ctx.step.run("first", lambda: 1)
    print("poison", flush=True)
    os._exit(9)


@client.create_function(fn_id="good", trigger=stepwell.TriggerEvent(event="shop/good"))
async def good(ctx: stepwell.Context) -> None:
    print("good", flush=True)


async def main(database: str, names: list[str]) -> None:
    async with Engine(client, [poison, good], database=database) as engine:
        await client.send([stepwell.Event(name=f"shop/{name}") for name in names])
        while any(not run.ended for run in engine.node.reader.runs(RunFilter())):
            await asyncio.sleep(0.02)
        for run in engine.node.reader.runs(RunFilter()):
            print(run.function, run.status.word, (run.output or b"").decode(), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2:]))
