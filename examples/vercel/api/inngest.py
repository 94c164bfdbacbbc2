"""Vercel: a durable function, and what serves it. README.md says how to try it."""

import stepwell
import stepwell.vercel

client = stepwell.Inngest(app_id="vercel-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


app = stepwell.vercel.serve(client, [welcome])
