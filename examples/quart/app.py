"""Quart: a durable function, and a route that runs it and waits.

Start it, start a server beside it, and call the route:

    $ INNGEST_DEV=1 hypercorn app:app --bind localhost:8000
    $ stepwell dev -u http://localhost:8000/api/inngest
    $ curl http://localhost:8000/welcome/Ada
"""

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
