"""Bottle: a durable function, and a route that runs it and waits.

Start it, start a server beside it, and call the route:

    $ INNGEST_DEV=1 python app.py 8000
    $ stepwell dev -u http://localhost:8000/api/inngest
    $ curl http://localhost:8000/welcome/Ada
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
