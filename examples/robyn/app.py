"""Robyn: a durable function, and a route that runs it and waits. README.md says how to start it."""

import sys

from robyn import Robyn

import stepwell
import stepwell.robyn

client = stepwell.Inngest(app_id="robyn-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


app = Robyn(__file__)
stepwell.robyn.serve(app, client, [welcome])


@app.get("/welcome/:name")
async def welcome_now(name: str) -> str:
    return await client.invoke(welcome, data={"name": name}, timeout="10s")


if __name__ == "__main__":
    app.start(port=int(sys.argv[1]))
