"""Bottle: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

import sys

import bottle

import stepwell
import stepwell.bottle

client = stepwell.Inngest(app_id="bottle-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
def welcome(ctx: stepwell.ContextSync) -> str:
    name = ctx.event.data["name"]
    return ctx.step.run("greet", lambda: f"Welcome, {name}")


app = bottle.Bottle()
stepwell.bottle.serve(app, client, [welcome])


@app.get("/welcome/<name>")
def welcome_now(name: str) -> str:
    return client.invoke_sync(welcome, data={"name": name}, timeout="10s")


if __name__ == "__main__":
    bottle.run(app, server="waitress", port=int(sys.argv[1]))
