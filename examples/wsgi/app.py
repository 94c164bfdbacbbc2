"""Plain WSGI: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import stepwell
import stepwell.wsgi

client = stepwell.Inngest(app_id="wsgi-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
def welcome(ctx: stepwell.ContextSync) -> str:
    name = ctx.event.data["name"]
    return ctx.step.run("greet", lambda: f"Welcome, {name}")


endpoint = stepwell.wsgi.serve(client, [welcome])


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/api/inngest":
        return endpoint(environ, start_response)
    name = environ["PATH_INFO"].removeprefix("/welcome/")
    text = client.invoke_sync(welcome, data={"name": name}, timeout="10s")
    start_response("200 OK", [])
    return [text.encode()]
