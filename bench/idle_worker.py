"""A worker with nothing to do, as a user would write it; `BENCH_SDK` names the SDK's package."""

import asyncio
import importlib
import os
from typing import Any

sdk = importlib.import_module(os.environ["BENCH_SDK"])
connect = importlib.import_module(f"{os.environ['BENCH_SDK']}.connect").connect
client = sdk.Inngest(app_id="idle")


@client.create_function(fn_id="one", trigger=sdk.TriggerEvent(event="bench/one"))
async def one(ctx: Any) -> int:
    """Nobody calls it."""
    return 1


if __name__ == "__main__":
    asyncio.run(connect([(client, [one])]).start())
