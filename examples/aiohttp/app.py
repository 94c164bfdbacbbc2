"""aiohttp: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

from aiohttp import web

import stepwell
import stepwell.aiohttp

client = stepwell.Inngest(app_id="aiohttp-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


async def welcome_now(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    return web.Response(text=await client.invoke(welcome, data={"name": name}, timeout="10s"))


def make_app(argv: list[str]) -> web.Application:
    app = web.Application()
    app.router.add_get("/welcome/{name}", welcome_now)
    stepwell.aiohttp.serve(app, client, [welcome])
    return app
