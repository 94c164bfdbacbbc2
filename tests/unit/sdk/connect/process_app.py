"""An app another process can import, for the tests of functions in processes and of signals."""

import asyncio
import os
import sys
import time
from typing import Any

from stepwell.connect import connect
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.trigger import TriggerEvent

client = Inngest(
    app_id="app",
    is_production=False,
    api_base_url=os.environ.get("TEST_API", "http://127.0.0.1:1"),
)
TRIGGER = TriggerEvent(event="test/event")


@client.create_function(fn_id="where", trigger=TRIGGER)
def where(ctx: Any) -> int:
    return os.getpid()


@client.create_function(fn_id="steps", trigger=TRIGGER)
async def steps(ctx: Any) -> int:
    return int(await ctx.step.run("one", os.getpid))


@client.create_function(fn_id="crash", trigger=TRIGGER)
def crash(ctx: Any) -> None:
    os._exit(3)


@client.create_function(fn_id="spin", trigger=TRIGGER)
def spin(ctx: Any) -> None:
    while True:
        pass


@client.create_function(fn_id="sleep", trigger=TRIGGER)
async def sleep(ctx: Any) -> str:
    await asyncio.sleep(0.5)
    return "slept"


@client.create_function(fn_id="block", trigger=TRIGGER)
async def block(ctx: Any) -> str:
    time.sleep(1.5)  # noqa: ASYNC251 - it keeps the main thread busy on purpose
    return "blocked"


FUNCTIONS = [where, steps, crash, spin, sleep, block]

if __name__ == "__main__":
    outbox = os.environ.get("TEST_OUTBOX")
    asyncio.run(connect([(client, FUNCTIONS)], outbox_directory=outbox).start())
    sys.exit(0)
