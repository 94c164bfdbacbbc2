"""Pyramid: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

import stepwell
import stepwell.pyramid

client = stepwell.Inngest(app_id="pyramid-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
def welcome(ctx: stepwell.ContextSync) -> str:
    name = ctx.event.data["name"]
    return ctx.step.run("greet", lambda: f"Welcome, {name}")


def welcome_now(request: Request) -> Response:
    name = request.matchdict["name"]
    return Response(client.invoke_sync(welcome, data={"name": name}, timeout="10s"))


with Configurator() as config:
    config.add_route("welcome", "/welcome/{name}")
    config.add_view(welcome_now, route_name="welcome")
    stepwell.pyramid.serve(config, client, [welcome])
    app = config.make_wsgi_app()
