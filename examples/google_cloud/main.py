"""Google Cloud: a durable function, and what serves it. README.md says how to try it."""

import functions_framework

import stepwell
import stepwell.google_cloud

client = stepwell.Inngest(app_id="google-cloud-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


main = functions_framework.http(stepwell.google_cloud.serve(client, [welcome]))
