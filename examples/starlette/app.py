"""Starlette: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import stepwell
import stepwell.starlette

client = stepwell.Inngest(app_id="starlette-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


async def welcome_now(request: Request) -> PlainTextResponse:
    name = request.path_params["name"]
    return PlainTextResponse(await client.invoke(welcome, data={"name": name}, timeout="10s"))


app = Starlette(routes=[Route("/welcome/{name}", welcome_now)])
stepwell.starlette.serve(app, client, [welcome])
