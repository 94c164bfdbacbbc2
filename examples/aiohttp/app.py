"""aiohttp: a durable function, and a route that runs it and waits.

Start it, start a server beside it, and call the route:

    $ INNGEST_DEV=1 python -m aiohttp.web -P 8000 app:make_app
    $ stepwell dev -u http://localhost:8000/api/inngest
    $ curl http://localhost:8000/welcome/Ada
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
