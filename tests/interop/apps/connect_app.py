"""A worker of whichever Python SDK `SDK` names, for tests of what goes wrong around it.

Each handler writes one line into the file `NOTES`, so that the tests know what was executed, also
by processes that were killed. Run by the tests with: SDK, API, NOTES.
"""

import asyncio
import importlib
import os
from pathlib import Path
from typing import Any

sdk = importlib.import_module(os.environ["SDK"])
connect = importlib.import_module(f"{os.environ['SDK']}.connect").connect
API = os.environ["API"]
client = sdk.Inngest(app_id="app", is_production=False, api_base_url=API, event_api_base_url=API)


def note(what: str) -> None:
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(f"{what}\n")


@client.create_function(fn_id="steps", trigger=sdk.TriggerEvent(event="steps"), retries=0)
async def steps(ctx: Any) -> Any:
    async def step(name: str) -> str:
        note(f"{name} begins")
        try:
            await asyncio.sleep(float(ctx.event.data["seconds"]))
        except asyncio.CancelledError:
            note(f"{name} is cut off")
            raise
        note(f"{name} ends")
        return name

    one = await ctx.step.run("one", lambda: step("one"))
    two = await ctx.step.run("two", lambda: step("two"))
    return [one, two]


asyncio.run(connect([(client, [steps])], instance_id=os.environ["INSTANCE"]).start())
