"""Flask: a durable function, and a route that runs it and waits. README.md says how to start it."""

import flask

import stepwell
import stepwell.flask

client = stepwell.Inngest(app_id="flask-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
def welcome(ctx: stepwell.ContextSync) -> str:
    name = ctx.event.data["name"]
    return ctx.step.run("greet", lambda: f"Welcome, {name}")


app = flask.Flask(__name__)
stepwell.flask.serve(app, client, [welcome])


@app.get("/welcome/<name>")
def welcome_now(name: str) -> str:
    return client.invoke_sync(welcome, data={"name": name}, timeout="10s")


@app.get("/start/<name>")
def start(name: str) -> str:
    """The id of the run, at once."""
    return client.invoke_sync(welcome, data={"name": name}, wait=False)
