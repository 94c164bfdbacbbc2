"""Functions of all kinds in one list, as programs keep them before they serve them."""

import aiohttp.web

import stepwell
import stepwell.aiohttp
from stepwell import connect, wsgi
from stepwell.embedded import Engine

client = stepwell.Inngest(app_id="shop", is_production=False)


class Paid(stepwell.EventModel, name="shop/paid"):
    amount: int


class Sent(stepwell.EventModel, name="shop/sent"):
    parcel: str


class Taxed(stepwell.Context):
    tax: float


@client.create_function(fn_id="a", trigger=Paid)
async def a(ctx: stepwell.Context[stepwell.Event[Paid]]) -> int:
    return ctx.event.data.amount


@client.create_function(fn_id="b", trigger=Sent)
async def b(ctx: stepwell.Context[stepwell.Event[Sent]]) -> str:
    await ctx.step.invoke("a", function=a, data=Sent(parcel="x"))  # REJECT
    return str(await ctx.step.invoke("a", function=a, data=Paid(amount=1)))


@client.create_function(fn_id="c", trigger=stepwell.TriggerCron(cron="0 9 * * *"))
def c(ctx: stepwell.ContextSync) -> None: ...


@client.create_function(fn_id="d", trigger=stepwell.TriggerEvent(event="shop/taxed"))
async def d(ctx: Taxed) -> float:
    return ctx.tax


functions = [a, b, c, d]
by_name = {"a": a, "b": b, "c": c}
engine = Engine(client, functions)
engine = Engine(client, list(by_name.values()))
engine = Engine(client, [*functions, a])
engine = Engine(client, [1])  # REJECT
stepwell.aiohttp.serve(aiohttp.web.Application(), client, functions)
application = wsgi.serve(client, functions)
worker = connect.connect([(client, functions)])
