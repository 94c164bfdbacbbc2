"""What `stepwell events generate` makes of plain names: programs that both checkers accept."""

from typing import Literal, assert_type

import shop_events
from shop_events import (
    Cancel,
    Client,
    Created,
    Deleted,
    Tree,
    TriggerEvent,
    UserCreated,
    UserDeleted,
)

import stepwell
from stepwell import Context

client = Client(app_id="shop", schemas=shop_events.schemas)


async def sending() -> None:
    await client.send({"name": "user/created", "data": {"id": "123", "name": "John"}})
    await client.send({"name": "user/deleted", "data": {"id": "1"}, "user": {"street": "x"}})
    await client.send(
        [
            {"name": "user/created", "data": {"id": "1", "name": "x", "address": {"street": "y"}}},
            {"name": "shop/any", "data": {"whatever": 1}},
            {"name": "shop/any"},
            shop_events.user_created(id="1", name="x"),
            shop_events.Event(name="user/deleted", data={"id": "1"}),
        ],
        env="staging",
    )
    client.send_sync({"name": "shop/tree", "data": {"children": [{}, {"children": []}]}})


event = shop_events.Event(name="user/created", data={"id": "1", "name": "x"})
assert_type(event, stepwell.Event[Created, Literal["user/created"]])
assert_type(shop_events.user_deleted(id="1", why="x"), stepwell.Event[Deleted])


@client.create_function(
    fn_id="created",
    trigger=TriggerEvent(event="user/created", expression="event.data.id != ''"),
    cancel=[Cancel(event="user/deleted", if_exp="true", timeout="1h")],
)
async def created(ctx: Context[UserCreated]) -> str:
    assert_type(ctx.event.name, Literal["user/created"])
    found = await ctx.step.wait_for_event("w", event=shop_events.user_deleted, timeout="1h")
    assert_type(found, stepwell.Event[Deleted] | None)
    assert_type(await ctx.step.invoke("i", function=deleted, data=Deleted(id="1")), str)
    return ctx.event.data["name"]


@client.on("user/deleted")
async def deleted(ctx: Context[UserDeleted]) -> str:
    return ctx.event.data["id"]


@client.create_function(fn_id="any", trigger=TriggerEvent(event="user/*"))
async def any_user(ctx: Context[UserCreated | UserDeleted]) -> str:
    if ctx.event.name == "user/created":
        return ctx.event.data["name"]
    return ctx.event.data.get("why", "")


@client.on("inngest/function.failed")
async def failed(ctx: Context[stepwell.FunctionFailedEvent]) -> str:
    return ctx.event.data.error.message


@client.create_function(fn_id="typed", trigger=shop_events.shop_tree)
async def typed(ctx: Context[stepwell.Event[Tree]]) -> int:
    return len(ctx.event.data.get("children", []))
