"""Sanic: a durable function, and a route that runs it and waits. README.md says how to start it."""

import sanic

import stepwell
import stepwell.sanic

client = stepwell.Inngest(app_id="sanic-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


app = sanic.Sanic("example")
stepwell.sanic.serve(app, client, [welcome])


@app.get("/welcome/<name>")
async def welcome_now(request: sanic.Request, name: str) -> sanic.HTTPResponse:
    return sanic.text(await client.invoke(welcome, data={"name": name}, timeout="10s"))
