"""Plain ASGI: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

from typing import Any

import stepwell
import stepwell.asgi

client = stepwell.Inngest(app_id="asgi-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


endpoint = stepwell.asgi.serve(client, [welcome])


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http" or scope["path"] == "/api/inngest":
        return await endpoint(scope, receive, send)
    name = scope["path"].removeprefix("/welcome/")
    text = await client.invoke(welcome, data={"name": name}, timeout="10s")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    return await send({"type": "http.response.body", "body": text.encode()})
