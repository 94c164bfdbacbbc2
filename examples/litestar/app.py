"""Litestar: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

from litestar import Litestar, get

import stepwell
import stepwell.litestar

client = stepwell.Inngest(app_id="litestar-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


@get("/welcome/{name:str}")
async def welcome_now(name: str) -> str:
    return await client.invoke(welcome, data={"name": name}, timeout="10s")


app = Litestar([welcome_now])
stepwell.litestar.serve(app, client, [welcome])
