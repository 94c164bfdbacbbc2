"""The app of the crash tests: every kind of run, served by FastAPI in a process that stays alive;
or, told `connect` in place of a port, by a worker that connects. `CRASH_APP` is its name.

Each step appends a line to a file, so that the test can tell what ran and how often.
"""

import asyncio
import json
import os
import sys

import fastapi
import uvicorn

import stepwell
import stepwell.fast_api
from stepwell.connect import connect

LOG = os.open(os.environ["CRASH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
NAME = os.environ.get("CRASH_APP", "crash")
client = stepwell.Inngest(app_id=NAME)


def _ran(run_id: str, step: str, result: int) -> int:
    os.write(LOG, (json.dumps([run_id, step, result]) + "\n").encode())
    return result


@client.create_function(fn_id="row", trigger=stepwell.TriggerEvent(event=f"{NAME}/row"))
async def row(ctx: stepwell.Context) -> int:
    n = int(str(ctx.event.data["n"]))
    total = 0
    for index in range(4):
        total += await ctx.step.run(f"s{index}", _add, ctx.run_id, f"s{index}", n + index)
    return total


async def _add(run_id: str, step: str, result: int) -> int:
    return _ran(run_id, step, result)


@client.create_function(fn_id="nap", trigger=stepwell.TriggerEvent(event=f"{NAME}/nap"))
async def nap(ctx: stepwell.Context) -> int:
    n = int(str(ctx.event.data["n"]))
    before = await ctx.step.run("before", _add, ctx.run_id, "before", n)
    await ctx.step.sleep("nap", 1000)
    after = await ctx.step.run("after", _add, ctx.run_id, "after", n)
    return before + after


@client.create_function(fn_id="fork", trigger=stepwell.TriggerEvent(event=f"{NAME}/fork"))
async def fork(ctx: stepwell.Context) -> int:
    n = int(str(ctx.event.data["n"]))
    parts = await asyncio.gather(
        *(ctx.step.run(f"p{i}", _add, ctx.run_id, f"p{i}", n + i) for i in range(3))
    )
    return sum(parts)


@client.create_function(fn_id="child", trigger=stepwell.TriggerEvent(event=f"{NAME}/never"))
async def child(ctx: stepwell.Context) -> int:
    return await ctx.step.run("child", _add, ctx.run_id, "child", int(str(ctx.event.data["n"])))


@client.create_function(fn_id="parent", trigger=stepwell.TriggerEvent(event=f"{NAME}/parent"))
async def parent(ctx: stepwell.Context) -> int:
    got = await ctx.step.invoke("call", function=child, data={"n": ctx.event.data["n"]})
    return got + await ctx.step.run("own", _add, ctx.run_id, "own", 1)


@client.create_function(fn_id="patient", trigger=stepwell.TriggerEvent(event=f"{NAME}/patient"))
async def patient(ctx: stepwell.Context) -> int:
    await ctx.step.wait_for_event("wait", event=f"{NAME}/never-sent", timeout=1000)
    return await ctx.step.run("own", _add, ctx.run_id, "own", int(str(ctx.event.data["n"])))


@client.create_function(
    fn_id="stumble", trigger=stepwell.TriggerEvent(event=f"{NAME}/stumble"), retries=10
)
async def stumble(ctx: stepwell.Context) -> int:
    if ctx.attempt == 0:
        raise RuntimeError("the first attempt fails")
    return await ctx.step.run("own", _add, ctx.run_id, "own", int(str(ctx.event.data["n"])))


under_way: set[str] = set()


@client.create_function(
    fn_id="narrow",
    trigger=stepwell.TriggerEvent(event=f"{NAME}/narrow"),
    concurrency=[stepwell.Concurrency(limit=2, key="event.name")],
)
async def narrow(ctx: stepwell.Context) -> int:
    under_way.add(ctx.run_id)
    try:
        _ran(ctx.run_id, "under way", len(under_way))
        await asyncio.sleep(0.01)
    finally:
        under_way.discard(ctx.run_id)
    return await ctx.step.run("own", _add, ctx.run_id, "own", int(str(ctx.event.data["n"])))


functions = [row, nap, fork, child, parent, patient, stumble, narrow]
app = fastapi.FastAPI()
stepwell.fast_api.serve(app, client, functions)

if __name__ == "__main__" and sys.argv[1] == "connect":
    asyncio.run(connect([(client, functions)]).start())
elif __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
