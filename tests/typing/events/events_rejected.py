"""Mistakes with events: each line that ends in REJECT is refused by both checkers."""

from dataclasses import dataclass
from typing import Literal, TypedDict

from pydantic import BaseModel

import stepwell
from stepwell import Context, Event, EventModel, EventSchemas, event_type


class CreatedData(BaseModel):
    id: str
    name: str


class DeletedData(TypedDict):
    id: str


@dataclass
class Coin:
    value: int


class OrderPaid(EventModel, name="order/paid"):
    order: str
    amount: int


class UserCreated(Event[CreatedData, Literal["user/created"]]):
    name: Literal["user/created"] = "user/created"


class UserDeleted(Event[DeletedData, Literal["user/deleted"]]):
    name: Literal["user/deleted"] = "user/deleted"


created = event_type("user/created", schema=CreatedData)
deleted = event_type("user/deleted", schema=DeletedData)
coin = event_type("shop/coin", schema=Coin)
client = stepwell.Inngest(app_id="shop")

# Data that is no object, and schemas that are none.
event_type("a", schema=str)  # REJECT
event_type("a", schema=list[int])  # REJECT
event_type(5, schema=Coin)  # REJECT
stepwell.TriggerInvoke(schema=int)  # REJECT
EventSchemas(validate="always")  # REJECT
EventSchemas(unknown=True)  # REJECT
EventSchemas().from_record([Coin])  # REJECT
stepwell.Inngest(app_id="a", schemas={"user/created": CreatedData})  # REJECT

# Events that lack a field, have a wrong one, or a wrong type.
created(id="1")  # REJECT
created(id=1, name="x")  # REJECT
created(id="1", name="x", more=1)  # REJECT
created.create(Coin(1))  # REJECT
coin("x")  # REJECT
coin.create(Coin(1), ts="now")  # REJECT
OrderPaid(order="1")  # REJECT
OrderPaid(order="1", amount="x")  # REJECT
UserCreated(data=Coin(1))  # REJECT
UserCreated(name="user/deleted", data=CreatedData(id="1", name="x"))  # REJECT
UserDeleted(data={"id": 1})  # REJECT
UserDeleted(data={})  # REJECT
Event(name="a", data=5)  # REJECT
Event(name="a", data=["x"])  # REJECT
Event(data={})  # REJECT
Event(name="a", ts="now")  # REJECT
Event(name="a", user="me")  # REJECT
plain: Event = Event(name="a", data=Coin(1))  # REJECT
stepwell.ScheduledTimerEvent(data=stepwell.ScheduledTimerEvent)  # REJECT


async def sending() -> None:
    await client.send("user/created")  # REJECT
    await client.send(5)  # REJECT
    await client.send([created(id="1", name="x"), Coin(1)])  # REJECT
    await client.send(OrderPaid)  # REJECT


# Handlers of other events than the trigger's.


@client.create_function(fn_id="a", trigger=OrderPaid)  # REJECT
async def other_data(ctx: Context[Event[CreatedData]]) -> None: ...


@client.create_function(fn_id="b", trigger=created)
async def unknown_field(ctx: Context[Event[CreatedData]]) -> str:
    print(ctx.event.data["id"])  # REJECT
    return ctx.event.data.email  # REJECT


@client.create_function(fn_id="c", trigger=(UserCreated, UserDeleted))
async def without_narrowing(ctx: Context[UserCreated | UserDeleted]) -> str:
    if ctx.event.name == "user/created":
        return ctx.event.data["id"]  # REJECT
    print(ctx.event.data.name)  # REJECT
    return ctx.event.data["name"]  # REJECT


@client.create_function(fn_id="d", trigger=coin)
async def steps(ctx: Context[Event[Coin]]) -> int:
    step = ctx.step
    found = await step.wait_for_event("a", event=OrderPaid, timeout="1h")
    print(found.data.amount)  # REJECT
    if found is not None:
        print(found.data.total)  # REJECT
    await step.wait_for_event("b", event=Coin, timeout="1h")  # REJECT
    await step.wait_for_event("c", event=5, timeout="1h")  # REJECT
    await step.invoke("d", function=steps)  # REJECT
    await step.invoke("e", function=steps, data=CreatedData(id="1", name="x"))  # REJECT
    await step.invoke("f", function=steps, data={"value": 1})  # REJECT
    await step.invoke("g", function=steps, data=5)  # REJECT
    wrong: str = await step.invoke("h", function=steps, data=Coin(1))  # REJECT
    await step.send_event("i", [OrderPaid])  # REJECT
    return len(wrong)


stepwell.Cancel(event=Coin)  # REJECT
stepwell.TriggerEvent(event=Coin)  # REJECT
stepwell.TriggerEvent(event=5)  # REJECT
client.create_function(fn_id="e", trigger=Coin)  # REJECT
client.create_function(fn_id="f", trigger=(OrderPaid, Coin))  # REJECT
client.on(Coin)  # REJECT
client.create_function(fn_id="g", trigger=OrderPaid, retires=3)  # REJECT


def narrowing(event: UserCreated | UserDeleted) -> str:
    if event.name == "user/moved":  # REJECT
        return ""
    return event.data["id"]  # REJECT
