"""Programs about events that both checkers accept, with the types they say.

The cases are those of the reference's type tests: events by name, unions, wildcards, data that may
be anything, narrowing by the event's name.
"""

import datetime  # noqa: ICN001 - as users write it
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, assert_type

import attrs
import msgspec
from pydantic import BaseModel

import stepwell
from stepwell import Context, ContextSync, Event, EventModel, EventSchemas, event_type


class CreatedData(BaseModel):
    id: str
    email: str


class DeletedData(TypedDict):
    id: str


@dataclass
class Coin:
    value: int


class Point(msgspec.Struct):
    x: int


@attrs.define
class Place:
    name: str


class OrderPaid(EventModel, name="order/paid", version="2"):
    order: str
    amount: int = 0


class UserCreated(Event[CreatedData, Literal["user/created"]]):
    name: Literal["user/created"] = "user/created"


class UserDeleted(Event[DeletedData, Literal["user/deleted"]]):
    name: Literal["user/deleted"] = "user/deleted"


created = event_type("user/created", schema=CreatedData, version="1")
deleted = event_type("user/deleted", schema=DeletedData)
coin = event_type("shop/coin", schema=Coin)
point = event_type("shop/point", schema=Point)
place = event_type("shop/place", schema=Place)
anything = event_type("shop/anything")
static = event_type("shop/static", schema=Coin, validate=False)

# Schemas of every kind.
schemas = (
    EventSchemas(validate="both", unknown="allow", schemaless="allow")
    .from_record({"user/created": CreatedData, "user/moved": {"data": Coin, "user": Place}})
    .from_record({"user/empty": {}, "user/none": None, "user/any": Any})
    .from_zod({"user/zod": CreatedData})
    .from_pydantic([UserCreated, OrderPaid, coin])
    .from_union(UserCreated | UserDeleted)
    .from_generated({"user/generated": {"type": "object"}})
)
client = stepwell.Inngest(app_id="shop", schemas=schemas)
assert_type(schemas.events, Mapping[str, stepwell.EventDefinition])

# Building events.
assert_type(created(id="1", email="a@b"), Event[CreatedData])
assert_type(created.create(CreatedData(id="1", email="e"), id="x", ts=5), Event[CreatedData])
assert_type(deleted(id="1"), Event[DeletedData])
assert_type(coin(5), Event[Coin])
assert_type(point(x=5), Event[Point])
assert_type(place("here"), Event[Place])
assert_type(anything(a=1), Event)
assert_type(
    OrderPaid(order="1").as_event(id="x", ts=datetime.datetime.now(datetime.UTC)), Event[OrderPaid]
)
assert_type(UserCreated(data=CreatedData(id="1", email="e")).name, Literal["user/created"])
assert_type(Event(name="a", data={"b": [1, {"c": None}]}), Event)
assert_type(Event(name="a", data=CreatedData(id="1", email="e")).data, CreatedData)
assert_type(Event(name="a", ts=datetime.datetime.now(datetime.UTC)).ts, int)
assert_type(Event(name="a").datetime, datetime.datetime | None)
plain: Event = Event(name="a", data={"n": 1})
several: list[Event] = [plain, Event(name="b")]
minimal = stepwell.MinimalEvent(data=CreatedData(id="1", email="e"))
assert_type(minimal.data, CreatedData)


async def sending() -> None:
    await client.send(plain)
    await client.send(several)
    await client.send(created(id="1", email="e"))
    await client.send([OrderPaid(order="1"), coin(5), {"name": "a", "data": {}}, plain])
    await client.send(UserDeleted(data={"id": "1"}), env="staging")
    client.send_sync(OrderPaid(order="1"))


@client.create_function(fn_id="model", trigger=OrderPaid)
async def on_model(ctx: Context[Event[OrderPaid]]) -> int:
    assert_type(ctx.event.data, OrderPaid)
    assert_type(ctx.event.name, str)
    assert_type(ctx.events, list[Event[OrderPaid]])
    return ctx.event.data.amount


@client.create_function(fn_id="type", trigger=created)
async def on_type(ctx: Context[Event[CreatedData]]) -> str:
    return ctx.event.data.email


@client.create_function(fn_id="sync", trigger=created, retries=3, name="Sync")
def on_type_sync(ctx: ContextSync[Event[CreatedData]]) -> str:
    found = ctx.step.wait_for_event("w", event=coin, timeout="1h")
    assert_type(found, Event[Coin] | None)
    assert_type(ctx.step.invoke("i", function=on_model, data=OrderPaid(order="1")), int)
    return ctx.event.data.email


@client.create_function(
    fn_id="condition", trigger=stepwell.TriggerEvent(event=point, expression="true")
)
async def on_condition(ctx: Context[Event[Point]]) -> int:
    return ctx.event.data.x


@client.on(
    place,
    expression="true",
    cancel=[stepwell.Cancel(event=deleted), stepwell.Cancel(event=OrderPaid)],
)
async def on_place(ctx: Context[Event[Place]]) -> str:
    return ctx.event.data.name


@client.create_function(fn_id="list", trigger=[OrderPaid])
async def on_list(ctx: Context[Event[OrderPaid]]) -> str:
    return ctx.event.data.order


@client.create_function(fn_id="union", trigger=(UserCreated, UserDeleted))
async def on_union(ctx: Context[UserCreated | UserDeleted]) -> str:
    if ctx.event.name == "user/created":
        assert_type(ctx.event, UserCreated)
        return ctx.event.data.email
    assert_type(ctx.event, UserDeleted)
    return ctx.event.data["id"]


@client.create_function(fn_id="models", trigger=(OrderPaid, created, coin))
async def on_models(ctx: Context[Event[OrderPaid] | Event[CreatedData] | Event[Coin]]) -> str:
    match ctx.event.data:
        case OrderPaid(order=order):
            return order
        case CreatedData(email=email):
            return email
        case Coin(value=value):
            return str(value)


@client.create_function(fn_id="mixed", trigger=(OrderPaid, stepwell.TriggerCron(cron="0 9 * * *")))
async def on_mixed(ctx: Context[Event[OrderPaid] | stepwell.ScheduledTimerEvent]) -> str:
    if isinstance(ctx.event, stepwell.ScheduledTimerEvent):
        return ctx.event.data.cron
    return ctx.event.data.order


@client.create_function(fn_id="plain", trigger=stepwell.TriggerEvent(event="user/created"))
async def on_plain(ctx: Context) -> object:
    assert_type(ctx.event, Event)
    return ctx.event.data["id"]


@client.create_function(fn_id="asked", trigger=stepwell.TriggerEvent(event="user/created"))
async def on_asked(ctx: Context[Event[CreatedData]]) -> str:
    return ctx.event.data.email


@client.create_function(fn_id="invoked", trigger=stepwell.TriggerInvoke(schema=Coin))
async def on_invoked(ctx: Context[stepwell.FunctionInvokedEvent[Coin]]) -> int:
    assert_type(ctx.event.name, Literal["inngest/function.invoked"])
    return ctx.event.data.value


@client.create_function(fn_id="anything", trigger=anything)
async def on_anything(ctx: Context) -> object:
    return ctx.event.data["x"]


# The server's own events.


async def mourn(ctx: Context[stepwell.FunctionFailedEvent[Event[OrderPaid]]]) -> None:
    assert_type(ctx.event.data.error, stepwell.SerializedError)
    assert_type(ctx.event.data.event.data.amount, int)


@client.create_function(fn_id="failing", trigger=OrderPaid, on_failure=mourn)
async def on_failing(ctx: Context[Event[OrderPaid]]) -> None: ...


@client.create_function(fn_id="alert", trigger=stepwell.FunctionFailedEvent[Event])
async def on_failed(ctx: Context[stepwell.FunctionFailedEvent]) -> str:
    assert_type(ctx.event.data.event, Event)
    return ctx.event.data.function_id


@client.on(stepwell.InternalEvent.FUNCTION_FAILED)
async def on_failed_by_name(ctx: Context[stepwell.FunctionFailedEvent]) -> str:
    return ctx.event.data.run_id


@client.on_any_failure()
async def on_any(ctx: Context[stepwell.FunctionFailedEvent]) -> str:
    return ctx.event.data.run_id


@client.create_function(fn_id="monitor", trigger=stepwell.FunctionFinishedEvent[Coin])
async def on_finished(ctx: Context[stepwell.FunctionFinishedEvent[Coin]]) -> bool:
    assert_type(ctx.event.data.result, Coin | None)
    return ctx.event.data.is_error


@client.create_function(fn_id="cron", trigger=stepwell.TriggerCron(cron="0 9 * * *"))
async def on_cron(ctx: Context[stepwell.ScheduledTimerEvent]) -> str:
    return ctx.event.id


# Waits and invocations.


@client.create_function(fn_id="steps", trigger=stepwell.TriggerEvent(event="a"))
async def steps(ctx: Context) -> None:
    step = ctx.step
    assert_type(
        await step.wait_for_event("a", event=OrderPaid, timeout="1h"), Event[OrderPaid] | None
    )
    assert_type(
        await step.wait_for_event("b", event=created, timeout="1h"), Event[CreatedData] | None
    )
    assert_type(await step.wait_for_event("c", event=UserCreated, timeout="1h"), UserCreated | None)
    assert_type(await step.wait_for_event("d", event="any/name", timeout="1h"), Event | None)
    assert_type(await step.invoke("e", function=on_model, data=OrderPaid(order="1")), int)
    assert_type(await step.invoke("f", function=on_union, data=CreatedData(id="1", email="e")), str)
    assert_type(await step.invoke("g", function=on_invoked, data=Coin(5)), int)
    assert_type(await step.invoke("h", function=on_models, data=Coin(5)), str)
    assert_type(await step.invoke("i", function=on_plain), object)
    assert_type(await step.invoke("j", function=on_plain, data={"id": "1"}), object)
    whole = stepwell.MinimalEvent(data=OrderPaid(order="1"), v="2")
    assert_type(await step.invoke("k", function=on_model, data=whole), int)
    await step.send_event("l", [OrderPaid(order="1"), created(id="1", email="e")])


def narrowing(event: Event[CreatedData, Literal["a"]] | Event[Coin, Literal["b"]]) -> str:
    if event.name == "a":
        return event.data.email
    return str(event.data.value)


def matching(event: Event[Any]) -> str:
    return event.data.email if created.matches(event) else ""


name: str = stepwell.InternalEvent.FUNCTION_FAILED
