"""Quart: a durable function, and a route that runs it and waits. README.md says how to start it."""

import quart

import stepwell
import stepwell.quart

client = stepwell.Inngest(app_id="quart-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


app = quart.Quart(__name__)
stepwell.quart.serve(app, client, [welcome])


@app.get("/welcome/<name>")
async def welcome_now(name: str) -> str:
    return await client.invoke(welcome, data={"name": name}, timeout="10s")
