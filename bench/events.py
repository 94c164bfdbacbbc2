"""What sending events costs a program: ours beside the official SDK, against the same server.

    scripts/bench events [--events 20000] [--rounds 3] [--only one,batch]

What counts is the time of the processor the sending process spent, of the rounds the least: a busy
machine changes nothing about it. Each measurement is a process of its own. Where ours validates by
a schema, the official SDK's program validates the same data with the same model by hand.
"""

import argparse
import asyncio
import importlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydantic
from rich.console import Console
from rich.table import Table

from bench.processes import Server, free_port

BATCH = 1_000
START_S = 30.0
WARM_UP = 200
# What is measured, and the official SDK's nearest to it: how events are sent, middlewares, schema.
WORKS: dict[str, tuple[str, int, bool]] = {
    "batch": ("batch", 0, False),
    "batch_sync": ("batch_sync", 0, False),
    "one": ("one", 0, False),
    "one_sync": ("one_sync", 0, False),
    "one_middleware": ("one", 1, False),
    "five_middlewares": ("one", 5, False),
    "batch_five_middlewares": ("batch", 5, False),
    "batch_validated": ("batch", 0, True),
    "one_validated": ("one", 0, True),
}
SIDES = {"ours": "stepwell", "official": "inngest"}


def main(words: Sequence[str] | None = None) -> None:
    """Measure, then print a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench events")
    parser.add_argument("--only", default=",".join(WORKS), help="measurements, comma-separated")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3, help="the least of how many rounds")
    wanted = parser.parse_args(words)
    names = wanted.only.split(",")
    if unknown := [name for name in names if name not in WORKS]:
        sys.exit(f"nothing is called {', '.join(unknown)}; there are {', '.join(WORKS)}")
    table = Table("events", "ours µs", "official µs", "official/ours")
    for name in names:
        spent: dict[str, float] = {}
        for side in SIDES:
            rounds = [measured(name, side, wanted.events) for _ in range(wanted.rounds)]
            spent[side] = min(rounds)
        ratio = spent["official"] / spent["ours"]
        table.add_row(name, f"{spent['ours']:.1f}", f"{spent['official']:.1f}", f"{ratio:.1f}")
    Console(width=100).print(table)


def measured(name: str, side: str, events: int) -> float:
    """Microseconds of the processor for one event. The server is new each time, and equally so."""
    with serving() as origin:
        command = [sys.executable, "-W", "ignore", "-m", "bench.events", name, side, str(events)]
        done = subprocess.run([*command, origin], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr[-2_000:])
    return float(done.stdout)


@contextmanager
def serving() -> Generator[str]:
    """A server, and its URL."""
    port = free_port()
    command = [sys.executable, "-m", "stepwell", "dev", "--no-discovery", "--no-poll"]
    with tempfile.TemporaryDirectory() as folder:
        environ = {"INNGEST_CONNECT_GATEWAY_PORT": "0", "INNGEST_SQLITE_DIR": folder}
        server = Server([*command, "--port", str(port)], Path(folder) / "log", environ)
        try:
            await_answer(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop()


def await_answer(url: str) -> None:
    """Wait until somebody answers."""
    give_up = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > give_up:
                sys.exit(f"{url} does not answer")
            time.sleep(0.05)


# The sending process


def send_all(name: str, side: str, count: int, origin: str) -> float:
    """Send so many events; microseconds of the processor for each."""
    way, middlewares, validated = WORKS[name]
    sdk: Any = importlib.import_module(SIDES[side])

    class Watching(sdk.Middleware):  # type: ignore[misc,name-defined]
        async def before_send_events(self, events: list[Any]) -> None:
            for event in events:
                event.data["seen"] = True

        async def after_send_events(self, result: Any) -> None:
            pass

    options: dict[str, Any] = {"middleware": [Watching] * middlewares}
    made = event
    if validated and side == "ours":
        options["schemas"] = sdk.EventSchemas().from_record({"bench/order": Order})
    elif validated:
        made = validated_event
    client = sdk.Inngest(
        app_id="bench",
        is_production=False,
        event_api_base_url=origin,
        api_base_url=origin,
        **options,
    )
    if way.endswith("_sync"):
        return sent_sync(sdk, client, made, way.removesuffix("_sync"), count)
    return asyncio.run(sent(sdk, client, made, way, count))


class Order(pydantic.BaseModel):
    """What the events look like, where they are judged."""

    id: int
    customer: str
    lines: list[str]


def validated_event(sdk: Any, number: int) -> Any:
    """One event, its data judged by hand."""
    data = {"id": number, "customer": "ada@example.com", "lines": ["tea", "milk"]}
    return sdk.Event(name="bench/order", data=Order.model_validate(data).model_dump())


def event(sdk: Any, number: int) -> Any:
    """One event, made anew: making it is part of sending it."""
    data = {"id": number, "customer": "ada@example.com", "lines": ["tea", "milk"]}
    return sdk.Event(name="bench/order", data=data)


async def sent(sdk: Any, client: Any, event: Any, way: str, count: int) -> float:
    """The time, with `await client.send(...)`."""
    for number in range(WARM_UP):
        await client.send(event(sdk, number))
    began = time.process_time_ns()
    if way == "one":
        for number in range(count):
            await client.send(event(sdk, number))
    else:
        for start in range(0, count, BATCH):
            await client.send([event(sdk, number) for number in range(start, start + BATCH)])
    return (time.process_time_ns() - began) / count / 1e3


def sent_sync(sdk: Any, client: Any, event: Any, way: str, count: int) -> float:
    """The time, with `client.send_sync(...)`."""
    for number in range(WARM_UP):
        client.send_sync(event(sdk, number))
    began = time.process_time_ns()
    if way == "one":
        for number in range(count):
            client.send_sync(event(sdk, number))
    else:
        for start in range(0, count, BATCH):
            client.send_sync([event(sdk, number) for number in range(start, start + BATCH)])
    return (time.process_time_ns() - began) / count / 1e3


if __name__ == "__main__":
    print(send_all(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
