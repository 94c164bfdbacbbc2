"""Falcon: a durable function, and a route that runs it and waits.

Start it, start a server beside it, and call the route:

    $ INNGEST_DEV=1 gunicorn app:app --threads 8 --bind localhost:8000
    $ stepwell dev -u http://localhost:8000/api/inngest
    $ curl http://localhost:8000/welcome/Ada
"""

import falcon

import stepwell
import stepwell.falcon

client = stepwell.Inngest(app_id="falcon-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
def welcome(ctx: stepwell.ContextSync) -> str:
    name = ctx.event.data["name"]
    return ctx.step.run("greet", lambda: f"Welcome, {name}")


class WelcomeNow:
    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        resp.text = client.invoke_sync(welcome, data={"name": name}, timeout="10s")


app = falcon.App()
app.add_route("/welcome/{name}", WelcomeNow())
stepwell.falcon.serve(app, client, [welcome])
