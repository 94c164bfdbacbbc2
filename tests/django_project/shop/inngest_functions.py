"""Functions that are found by themselves, of two clients."""

import os

import stepwell
from tests.django_project.shop.inngest import client, other


@client.create_function(fn_id="greet", trigger=stepwell.TriggerEvent(event="shop/greet"))
def greet(ctx: stepwell.ContextSync) -> str:
    return f"hello {ctx.event.data['name']}"


@client.create_function(fn_id="greet-later", trigger=stepwell.TriggerEvent(event="shop/greet"))
async def greet_later(ctx: stepwell.Context) -> str:
    return f"hello {ctx.event.data['name']}"


@client.create_function(fn_id="where", trigger=stepwell.TriggerEvent(event="shop/where"))
async def where(ctx: stepwell.Context) -> int:
    return await ctx.step.run("look", os.getpid)


@other.create_function(fn_id="elsewhere", trigger=stepwell.TriggerEvent(event="shop/greet"))
def elsewhere(ctx: stepwell.ContextSync) -> None:
    """Of another client."""


more = [greet]
