"""Rows D-1, D-2, D-5 and D-6: one typed object for everything, of any kind of model."""

import dataclasses
import datetime as dt
import decimal
import sys
import uuid
from collections.abc import Callable
from typing import Any, Literal

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions

import stepwell
from stepwell import EventModel, EventSchemas, event_type
from stepwell.embedded import Engine
from stepwell.sdk.events.generator import generate
from stepwell.sdk.events.registry import event_schemas
from tests.events.generating import files
from tests.events.shop import new_client, result, running, until


class OrderPaid(EventModel, name="order/paid", version="3"):
    order_id: uuid.UUID
    amount: decimal.Decimal
    at: dt.datetime


ORDER = OrderPaid(
    order_id=uuid.UUID(int=7),
    amount=decimal.Decimal("9.90"),
    at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
)


async def test_d_1_one_class_is_sent_triggers_is_awaited_cancels_and_types() -> None:
    client = new_client()
    seen: list[OrderPaid] = []

    @client.create_function(fn_id="takes", trigger=OrderPaid)
    async def takes(ctx: stepwell.Context[stepwell.Event[OrderPaid]]) -> str:
        seen.append(ctx.event.data)
        return f"{ctx.event.v} {ctx.event.data.amount * 2}"

    @client.create_function(fn_id="waits", trigger=stepwell.TriggerEvent(event="shop/wait"))
    async def waits(ctx: stepwell.Context) -> bool:
        found = await ctx.step.wait_for_event("paid", event=OrderPaid, timeout="1h")
        return found is not None and found.data == ORDER

    @client.create_function(
        fn_id="stops",
        trigger=stepwell.TriggerEvent(event="shop/wait"),
        cancel=[stepwell.Cancel(event=OrderPaid)],
    )
    async def stops(ctx: stepwell.Context) -> None:
        await ctx.step.sleep("long", "1h")

    async with running(client, takes, waits, stops) as engine:
        ids = await client.send({"name": "shop/wait"})
        runs = {run.function: run for run in engine.node.reader.runs_of_event(ids[0])}
        await until(lambda: all(engine.node.reader.waits(run.id) for run in runs.values()))
        assert await result(engine, client, ORDER) == "3 19.80"
        assert await ended(engine, runs["shop-waits"].id) == "Completed"
        assert await ended(engine, runs["shop-stops"].id) == "Cancelled"
    assert seen == [ORDER]


async def ended(engine: Engine, run_id: str) -> str:
    return (await engine.node.run_ended(run_id, 10)).status.word


def test_d_1_the_class_is_the_schema_that_is_registered() -> None:
    client = new_client()

    @client.create_function(fn_id="takes", trigger=OrderPaid)
    async def takes(ctx: stepwell.Context[stepwell.Event[OrderPaid]]) -> None: ...

    told = event_schemas(None, takes.kinds)
    assert told is not None
    assert msgspec.json.decode(told) == {"order/paid": {"data": OrderPaid.model_json_schema()}}


class InPydantic(pydantic.BaseModel):
    day: dt.date
    amount: decimal.Decimal


@dataclasses.dataclass
class InDataclass:
    day: dt.date
    amount: decimal.Decimal


class InMsgspec(msgspec.Struct):
    day: dt.date
    amount: decimal.Decimal


@attrs.define
class InAttrs:
    day: dt.date
    amount: decimal.Decimal


class InTypedDict(typing_extensions.TypedDict):
    day: dt.date
    amount: decimal.Decimal


@pytest.mark.parametrize("model", [InPydantic, InDataclass, InMsgspec, InAttrs, InTypedDict])
async def test_d_2_models_of_every_library_make_the_same_journey(model: Any) -> None:
    made = event_type("shop/made", schema=model)
    client = new_client(EventSchemas().from_pydantic({"shop/made": model}))
    seen: list[Any] = []

    @client.create_function(fn_id="takes", trigger=made)
    async def takes(ctx: Any) -> None:
        seen.append(ctx.event.data)

    sent = model(day=dt.date(2026, 1, 2), amount=decimal.Decimal("1.50"))
    async with running(client, takes) as engine:
        await result(engine, client, made(day=dt.date(2026, 1, 2), amount=decimal.Decimal("1.50")))
    assert seen == [sent]
    assert event_schemas(client.schemas, takes.kinds) is not None


async def test_d_2_a_callable_judges_too() -> None:
    def positive(value: Any) -> Any:
        if value["n"] < 1:
            raise ValueError("n must be positive")
        return value

    made: Callable[..., Any] = event_type("shop/made", schema=positive)  # type: ignore[type-var]
    assert made(n=1).data == {"n": 1}
    with pytest.raises(stepwell.EventValidationError, match="data: n must be positive"):
        made(n=0)


def test_d_5_members_of_a_wildcard_are_registered_by_their_names() -> None:
    class A(pydantic.BaseModel):
        name: Literal["foo/a"]
        data: InPydantic

    schemas = EventSchemas().from_record({"foo/*": A, "bar/*": InPydantic, "baz": {}})
    told = msgspec.json.decode(event_schemas(schemas, ()) or b"")
    assert set(told) == {"foo/a", "bar/*", "baz"}
    assert told["foo/a"] == {"data": InPydantic.model_json_schema()}
    assert told["baz"] == {}
    assert event_schemas(EventSchemas(), ()) is None


def test_d_6_the_module_of_the_typing_tests_is_up_to_date() -> None:
    """If not: python -m tests.events.generating"""
    for path, text in files().items():
        assert path.read_text(encoding="utf-8") == text, path.name


ODD = {
    "a b/c-d": {
        "data": {
            "type": "object",
            "properties": {
                "class": {"type": "string"},
                "with space": {"type": ["integer", "null"]},
                "any": {},
                "quote": {"const": 'it\'s "x"'},
                "parts": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"x": {"type": "number"}}},
                },
            },
            "required": ["class"],
        }
    },
    "class": {"data": {"allOf": [{"type": "object", "properties": {"x": {"enum": [1, 2.5]}}}]}},
    "9 lives": {
        "data": {
            "type": "object",
            "additionalProperties": {"$ref": "#/$defs/L"},
            "$defs": {"L": {"type": "boolean"}},
        }
    },
    "list/of": {"data": {"title": "Any", "type": "object", "properties": {"self": {"$ref": "#"}}}},
    "stepwell": {},
    "wild/*": {"data": {"type": "object"}},
}


def test_d_6_odd_names_and_schemas_still_make_a_module() -> None:
    made = generate(ODD)
    compile(made.stub, "made.pyi", "exec")
    space: dict[str, Any] = {"__name__": "made_of_odd_things"}
    module = type(sys)("made_of_odd_things")
    sys.modules[module.__name__] = module
    try:
        exec(compile(made.module, "made.py", "exec"), space)
    finally:
        del sys.modules[module.__name__]
    assert "wild" not in made.stub.lower().replace("wildcard", "")
    assert space["a_b_c_d"].create({"class": "x"}).name == "a b/c-d"
    with pytest.raises(stepwell.EventValidationError, match=r"data\.class: Field required"):
        space["a_b_c_d"].create({})
    assert space["_9_lives"](a=True).data == {"a": True}
    assert space["stepwell_event"](x=1).name == "stepwell"
    assert "Literal['it\\'s \"x\"']" in made.stub
    assert set(space["schemas"].own) == set(ODD) - {"wild/*"}
