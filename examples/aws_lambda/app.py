"""AWS Lambda: a durable function, and the handler that serves it. README.md says how to try it."""

import stepwell
import stepwell.aws_lambda

client = stepwell.Inngest(app_id="aws-lambda-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


handler = stepwell.aws_lambda.serve(client, [welcome])
