"""Falcon: a durable function, and a route that runs it and waits.

README.md says how to start it.
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
