"""FastAPI: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

import fastapi

import stepwell
import stepwell.fast_api

client = stepwell.Inngest(app_id="fast-api-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


app = fastapi.FastAPI()
stepwell.fast_api.serve(app, client, [welcome])


@app.get("/welcome/{name}")
async def welcome_now(name: str) -> str:
    return await client.invoke(welcome, data={"name": name}, timeout="10s")


@app.get("/start/{name}")
async def start(name: str) -> str:
    """The id of the run, at once."""
    return await client.invoke(welcome, data={"name": name}, wait=False)
