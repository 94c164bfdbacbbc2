"""What a test costs that has the engine inside: `scripts/bench testing [--tests 200]`.

Each test makes a harness, sends an event to a function of three steps, a retry and a sleep of three
days, looks at the result, and leaves nothing behind. Once as a coroutine and once as a plain test,
which has a thread; then with a crash at each of its points. The first of each kind pays for imports
and is told apart.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

from rich.console import Console
from rich.table import Table

import stepwell
from stepwell.testing import Harness, HarnessSync
from stepwell.testing.harness.passes import passes

client = stepwell.Inngest(app_id="bench", is_production=False)
EVENT = stepwell.Event(name="bench/asked", data={"n": 1})
GOAL_MS = 50.0


@client.create_function(fn_id="order", trigger=stepwell.TriggerEvent(event="bench/asked"))
async def order(ctx: stepwell.Context) -> int:
    """Three steps and a sleep."""
    first = await ctx.step.run("first", lambda: 1)
    await ctx.step.sleep("calm", timedelta(days=3))
    second = await ctx.step.run("second", lambda: 2)
    return first + second + await ctx.step.run("third", lambda: 3)


async def one() -> None:
    """One test that is a coroutine."""
    async with Harness() as harness:
        harness.serve(client, [order])
        harness.stub("second", raises=[TimeoutError], returns=2)
        run = (await harness.send(EVENT)).run
        await harness.advance(until=run)
        assert run.result == 6


def one_sync() -> None:
    """One test that is none."""
    with HarnessSync() as harness:
        harness.serve(client, [order])
        harness.stub("second", raises=[TimeoutError], returns=2)
        run = harness.send(EVENT).run
        harness.advance(until=run)
        assert run.result == 6


async def crashed() -> None:
    """The same, gone through with a crash at each of its points."""
    harness = Harness()
    harness.serve(client, [order])
    for each in passes(harness, crash_everywhere=True):
        with each:
            run = (await harness.send(EVENT)).run
            await harness.advance(until=run)
            assert run.result == 6
        await harness.stop()
    await harness.close()


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench testing")
    parser.add_argument("--tests", type=int, default=200, help="how many of each kind")
    wanted = parser.parse_args(arguments)
    client.logger.setLevel("CRITICAL")  # failed attempts are meant here
    table = Table("one test", "first ms", "median ms", "95th ms", "cpu ms", title=f"{wanted.tests}")
    kinds: dict[str, Callable[[], object]] = {
        "coroutine": lambda: asyncio.run(one()),
        "plain": one_sync,
        "crashes": lambda: asyncio.run(crashed()),
    }
    for name, test in kinds.items():
        table.add_row(name, *measured(test, wanted.tests if name != "crashes" else 10))
    Console(width=100).print(table)
    print(f"goal: {GOAL_MS:.0f} ms for each after the first, but for crashes (one pass for each)")


def measured(test: Callable[[], object], tests: int) -> list[str]:
    """The first; of the others the median, the 95th percentile and the processor time."""
    took: list[float] = []
    cpu = 0.0
    for number in range(tests + 1):
        began, cpu_began = time.perf_counter(), time.process_time()
        test()
        took.append((time.perf_counter() - began) * 1000)
        cpu += (time.process_time() - cpu_began) * 1000 if number else 0.0
    rest = sorted(took[1:])
    high = rest[min(len(rest) - 1, int(len(rest) * 0.95))]
    figures = (took[0], statistics.median(rest), high, cpu / tests)
    return [f"{value:.1f}" for value in figures]
