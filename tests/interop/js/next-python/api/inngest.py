"""Functions in Python inside a Next.js project: the file the platform serves at /api/inngest."""

import stepwell
from stepwell import vercel

client = stepwell.Inngest(app_id="next-python")


@client.create_function(
    fn_id="two-steps", retries=0, trigger=stepwell.TriggerEvent(event="next-python/go")
)
async def two_steps(ctx: stepwell.Context) -> dict[str, int]:
    n = int(str(ctx.event.data["n"]))
    first = await ctx.step.run("first", lambda: n + 1)
    return {"second": await ctx.step.run("second", lambda: first * 10)}


app = vercel.serve(client, [two_steps])
