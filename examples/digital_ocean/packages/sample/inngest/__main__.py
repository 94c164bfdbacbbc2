"""DigitalOcean: a durable function, and the `main` that serves it. README.md says how to try it."""

import stepwell
import stepwell.digital_ocean

client = stepwell.Inngest(app_id="digital-ocean-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


main = stepwell.digital_ocean.serve(client, [welcome])
