"""BlackSheep: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

from blacksheep import Application, Router

import stepwell
import stepwell.blacksheep

client = stepwell.Inngest(app_id="blacksheep-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


router = Router()


@router.get("/welcome/{name}")
async def welcome_now(name: str) -> str:
    return await client.invoke(welcome, data={"name": name}, timeout="10s")


app = Application(router=router)
stepwell.blacksheep.serve(app, client, [welcome])
