"""One node of the benchmark `nodes`: an engine in a process of its own, told by its standard input
what to do: `send KIND NAME COUNT`, or `work`, which it answers with what its ledger did so far."""

import asyncio
import json
import sys
import threading

import stepwell
from bench.collector import look_seldom
from bench.marks import FileMarks
from bench.peers.stepwell_functions import EVENTS_PER_SEND, declare, events_for
from stepwell.embedded import Engine


async def serve(url: str, marks: str) -> None:
    """Do what is asked until nothing more is."""
    client = stepwell.Inngest(app_id="bench", is_production=False)
    engine = Engine(client, declare(stepwell, client, FileMarks(marks)), database=url)
    loop = asyncio.get_running_loop()
    asked: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(asked.put_nowait, line)
        loop.call_soon_threadsafe(asked.put_nowait, "")

    async with engine:
        threading.Thread(target=read, daemon=True).start()
        print("ready", flush=True)
        while line := await asked.get():
            match line.split():
                case ["send", kind, name, count]:
                    keys = [f"{name}-{number}" for number in range(int(count))]
                    for start in range(0, len(keys), EVENTS_PER_SEND):
                        some = keys[start : start + EVENTS_PER_SEND]
                        await client.send(events_for(stepwell, kind, some))
                case _:
                    ledger = engine.node.ledger
                    work = {"commits": ledger.commits, "inputs": ledger.inputs}
                    print(json.dumps(work), flush=True)


if __name__ == "__main__":
    look_seldom()
    if sys.platform != "win32":
        import uvloop

        uvloop.install()
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
