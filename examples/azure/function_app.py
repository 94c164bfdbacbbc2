"""Azure Functions: a durable function, and the app that serves it. README.md says how to try it."""

from azure import functions

import stepwell
import stepwell.azure

client = stepwell.Inngest(app_id="azure-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


app = functions.FunctionApp()
stepwell.azure.serve(app, client, [welcome])
