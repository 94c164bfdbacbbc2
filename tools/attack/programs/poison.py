"""An engine with functions of which one ends the process, each time it is called, in the way it is
told: `python -m tools.attack.programs.poison DATABASE WAY`. Says what became of every run."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping

import stepwell
from stepwell.embedded import Engine
from stepwell.server.store.port import RunFilter

CLIENT = stepwell.Inngest(app_id="poison", is_production=False)
DONE = "all ended"


def _exit_in_a_thread() -> None:
    raise SystemExit(3)


WAYS: Mapping[str, Callable[[], None]] = {
    "exit": lambda: os._exit(9),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "abort": os.abort,
    "system-exit": _exit_in_a_thread,
}


@CLIENT.create_function(fn_id="poison", trigger=stepwell.TriggerEvent(event="poison"), retries=0)
def poison(ctx: stepwell.ContextSync) -> None:
    WAYS[str(ctx.event.data["way"])]()


@CLIENT.create_function(fn_id="good", trigger=stepwell.TriggerEvent(event="good"))
async def good(ctx: stepwell.Context) -> int:
    return await ctx.step.run("one", lambda: 1)


async def main(database: str, way: str) -> None:
    """Send once, then only go on with what is there."""
    async with Engine(CLIENT, [poison, good], database=database) as engine:
        reader = engine.node.reader
        if not reader.runs(RunFilter(limit=1)):
            await CLIENT.send(
                [stepwell.Event(name="good"), stepwell.Event(name="poison", data={"way": way})]
            )
        while any(not run.ended for run in reader.runs(RunFilter())):
            await asyncio.sleep(0.02)
        for run in reader.runs(RunFilter()):
            print(run.function, run.status.word, flush=True)
        print(DONE, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
