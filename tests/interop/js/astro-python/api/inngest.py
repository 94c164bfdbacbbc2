"""Functions in Python beside an Astro project, written as its endpoint files are."""

import stepwell
from stepwell.asgi import serve

client = stepwell.Inngest(app_id="astro-python")


@client.create_function(
    fn_id="two-steps", retries=0, trigger=stepwell.TriggerEvent(event="astro-python/go")
)
async def two_steps(ctx: stepwell.Context) -> dict[str, int]:
    n = int(str(ctx.event.data["n"]))
    first = await ctx.step.run("first", lambda: n + 1)
    return {"second": await ctx.step.run("second", lambda: first * 10)}


GET, POST, PUT = serve(client, [two_steps])
