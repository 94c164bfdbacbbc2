"""What one call of a function costs an app, by how many steps it remembers.

    scripts/bench call [--steps 0,10,50,100] [--rounds 8]

A function in FastAPI is called as a server would, without a socket: it passes over the steps that
are known and runs the next one. Ours takes no checkpoints here, so that it does what the official
SDK does. What counts is the time of the processor; of the rounds, the least.
"""

import argparse
import asyncio
import importlib
import logging
import time
from collections.abc import Sequence
from typing import Any

import fastapi
from rich.console import Console
from rich.table import Table

from stepwell.testing.contract.adapter_peer import call_body
from stepwell.wire.identifier import step_hash

SDKS = ("stepwell", "inngest")
BATCH = 100
STEPS_MAX = 1_000
OK = {"ok": True}


async def step() -> dict[str, bool]:
    """What every step does."""
    return OK


def main(words: Sequence[str] | None = None) -> None:
    """Measure, then print a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench call")
    parser.add_argument("--steps", default="0,10,50,100", help="steps that are known already")
    parser.add_argument("--rounds", type=int, default=8)
    wanted = parser.parse_args(words)
    logging.disable(logging.CRITICAL)
    apps = {name: app_of(name) for name in SDKS}
    table = Table("known steps", "ours µs", "official µs", "ratio")
    for known in map(int, wanted.steps.split(",")):
        ours, theirs = asyncio.run(both(apps, known, wanted.rounds))
        table.add_row(str(known), f"{ours:.0f}", f"{theirs:.0f}", f"{ours / theirs:.2f}")
    Console(width=80).print(table)


def app_of(name: str) -> Any:
    """An application with one function of many steps, of our SDK or the official one."""
    sdk: Any = importlib.import_module(name)
    own = {"checkpointing": False} if name == "stepwell" else {}
    client = sdk.Inngest(app_id="bench", is_production=False, **own)

    @client.create_function(fn_id="f", trigger=sdk.TriggerEvent(event="bench/event"))
    async def function(ctx: Any) -> None:
        for index in range(STEPS_MAX):
            await ctx.step.run(f"s{index}", step)

    app = fastapi.FastAPI()
    importlib.import_module(f"{name}.fast_api").serve(app, client, [function])
    return app


async def both(apps: dict[str, Any], known: int, rounds: int) -> list[float]:
    """Microseconds of a call in each app; they take turns."""
    body = call_body({}, {step_hash(f"s{n}"): {"data": OK} for n in range(known)}, use_api=False)
    least = dict.fromkeys(apps, float("inf"))
    for _ in range(rounds):
        for name, app in apps.items():
            began = time.process_time()
            for _ in range(BATCH):
                await ask(app, body)
            least[name] = min(least[name], (time.process_time() - began) / BATCH * 1e6)
    return list(least.values())


async def ask(app: Any, body: bytes) -> None:
    """One call. Raises if it was not answered with a step."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/inngest",
        "raw_path": b"/api/inngest",
        "query_string": b"fnId=bench-f&stepId=step",
        "headers": [(b"host", b"bench"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "root_path": "",
    }
    await app(scope, receive, send)
    if statuses[0] != 206:
        raise RuntimeError(f"the call was answered with {statuses[0]}")
