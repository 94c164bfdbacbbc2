"""The mistakes of the reference's examples: refused for plain names, once they are generated."""

import shop_events
from shop_events import Cancel, Client, Event, TriggerEvent, UserCreated, UserDeleted

from stepwell import Context

client = Client(app_id="shop", schemas=shop_events.schemas)


async def sending() -> None:
    await client.send({"name": "user/created", "data": {"id": "123"}})  # REJECT
    await client.send({"name": "user/unknown", "data": {"id": "123"}})  # REJECT
    await client.send({"data": {"id": "123", "name": "x"}})  # REJECT
    await client.send({"name": "user/created"})  # REJECT
    await client.send({"name": "user/created", "data": {"id": 1, "name": "x"}})  # REJECT
    await client.send({"name": "user/deleted", "data": {"id": "1"}, "user": {"floor": 1}})  # REJECT
    await client.send([{"name": "user/deleted", "data": {"why": "x"}}])  # REJECT
    await client.send("user/created")  # REJECT
    client.send_sync({"name": "user/deleted"})  # REJECT


Event(name="user/created", data={"id": "1"})  # REJECT
Event(name="user/unknown", data={"id": "1"})  # REJECT
shop_events.user_created(id="1")  # REJECT
shop_events.user_created(id="1", name="x", more=1)  # REJECT
TriggerEvent(event="user/unknown")  # REJECT
TriggerEvent(event="other/*")  # REJECT
Cancel(event="user/unknown")  # REJECT
client.on("user/unknown")  # REJECT


@client.create_function(fn_id="a", trigger=TriggerEvent(event="user/created"))  # REJECT
async def other(ctx: Context[UserDeleted]) -> None: ...


@client.create_function(fn_id="b", trigger=TriggerEvent(event="user/*"))
async def not_narrowed(ctx: Context[UserCreated | UserDeleted]) -> str:
    if ctx.event.name == "user/deleted":
        return ctx.event.data["name"]  # REJECT
    return ctx.event.data["why"]  # REJECT
