"""A function for each control of flow in Python, served with FastAPI by whichever SDK `SDK` names,
or by a worker connection of that SDK if `TRANSPORT` is `connect`.

Every handler notes when it begins and ends under the token of its events; `GET /log` tells it.
Run by the tests with: SDK, PORT, APP_ID and INNGEST_DEV (the server's origin).
"""

import asyncio
import datetime as dt
import importlib
import os
import socket
import time
from collections import defaultdict
from typing import Any

import fastapi
import uvicorn

sdk = importlib.import_module(os.environ["SDK"])
door = importlib.import_module(f"{os.environ['SDK']}.fast_api")
client = sdk.Inngest(app_id=os.environ["APP_ID"], is_production=False)
notes: dict[str, list[dict[str, Any]]] = defaultdict(list)
functions: list[Any] = []

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)


def control(name: str, seconds: float = 0.0, **options: Any) -> None:
    """A function that works for a while under a control, and returns the numbers of its events."""
    trigger = sdk.TriggerEvent(event=f"{os.environ['APP_ID']}/{name}")

    @client.create_function(fn_id=name, trigger=trigger, retries=0, **options)  # type: ignore[untyped-decorator]
    async def function(ctx: Any) -> Any:
        numbers = [event.data["n"] for event in ctx.events]

        async def work() -> None:
            told = {"n": numbers, "key": ctx.event.data.get("key"), "began": time.time()}
            await asyncio.sleep(seconds)
            notes[ctx.event.data["token"]].append({**told, "ended": time.time()})

        await ctx.step.run("work", work)
        if name == "timeouts-finish":
            await ctx.step.sleep("long", MINUTE)
        return numbers

    functions.append(function)


KEY = "event.data.key"
ONE = [sdk.Concurrency(limit=1)]

control("rate-limit", rate_limit=sdk.RateLimit(limit=1, period=MINUTE, key=KEY))
control("idempotency", idempotency=KEY)
control("debounce", debounce=sdk.Debounce(period=SECOND, key=KEY))
control("batch", batch_events=sdk.Batch(max_size=3, timeout=30 * SECOND))
control("batch-timeout", batch_events=sdk.Batch(max_size=10, timeout=SECOND, key=KEY))
control("singleton-skip", 1.0, singleton=sdk.Singleton(mode="skip", key=KEY))
control("singleton-cancel", 1.0, singleton=sdk.Singleton(mode="cancel", key=KEY))
control("concurrency", 0.3, concurrency=ONE)
control("concurrency-key", 0.3, concurrency=[sdk.Concurrency(limit=1, key=KEY)])
control("throttle", throttle=sdk.Throttle(limit=1, period=2 * SECOND, burst=0))
control("priority", 0.3, concurrency=ONE, priority=sdk.Priority(run=f"{KEY} == 'vip' ? 600 : 0"))
control("timeouts-start", 2.0, concurrency=ONE, timeouts=sdk.Timeouts(start=SECOND))
control("timeouts-finish", timeouts=sdk.Timeouts(finish=SECOND))

app = fastapi.FastAPI()
CONNECTED = os.environ.get("TRANSPORT") == "connect"
if not CONNECTED:
    door.serve(app, client, functions)


@app.get("/log")
async def log(token: str) -> list[dict[str, Any]]:
    return notes[token]


async def connected(http: uvicorn.Server, listening: socket.socket) -> None:
    """The worker lives as long as the HTTP server, which keeps nothing but the log."""
    connect = importlib.import_module(f"{os.environ['SDK']}.connect").connect
    worker = connect([(client, functions)], instance_id=os.environ["APP_ID"], shutdown_signals=[])
    working = asyncio.create_task(worker.start())
    await http.serve(sockets=[listening])
    await worker.close(wait=True)
    await working


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    http = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    if CONNECTED:
        asyncio.run(connected(http, listening))
    else:
        http.run(sockets=[listening])
