"""An app served by itself in one line. Run by the tests with PORT and INNGEST_DEV."""

import os

import stepwell
import stepwell.asgi

client = stepwell.Inngest(app_id="asgi-python")


@client.create_function(
    fn_id="two-steps", retries=0, trigger=stepwell.TriggerEvent(event="asgi-python/go")
)
def two_steps(ctx: stepwell.ContextSync) -> dict[str, int]:
    n = int(str(ctx.event.data["n"]))
    first = ctx.step.run("first", lambda: n + 1)
    return {"second": ctx.step.run("second", lambda: first * 10)}


stepwell.asgi.serve_app(client, [two_steps], port=int(os.environ["PORT"]))
