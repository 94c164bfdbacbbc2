"""Rows E-40 to E-48: the ways to declare events, and event types."""

import dataclasses
import json
import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, Union

import attrs
import msgspec
import pydantic
import pytest
from typing_extensions import TypeAliasType

import stepwell
from stepwell import EventModel, EventSchemaError, EventSchemas, EventValidationError, event_type
from tests.events.shop import catching, new_client, result, running, until
from tests.ids import steady


class Data(TypedDict):
    id: str


class Amount(pydantic.BaseModel):
    amount: int = 1


class Who(pydantic.BaseModel):
    id: str


class Created(pydantic.BaseModel):
    name: Literal["user/created"] = "user/created"
    data: Amount
    user: Who | None = None


class Deleted(TypedDict):
    name: Literal["user/deleted"]
    data: Data


@dataclasses.dataclass
class Moved:
    data: Amount
    name: Literal["user/moved", "user/went"] = "user/moved"


class Bare(TypedDict):
    name: Literal["user/bare"]


async def complaints(schemas: EventSchemas, event: Any) -> list[str]:
    client, _ = catching(schemas)
    try:
        await client.send(event)
    except EventValidationError as error:
        return [path for _, path, _ in error.problems]
    return []


async def test_e_40_a_record_of_types_judges_at_run_time() -> None:
    schemas = EventSchemas().from_record(
        {
            "user/created": Data,
            "user/paid": {"data": Amount, "user": Data},
            "user/moved": {"data": Any},
        }
    )
    assert await complaints(schemas, {"name": "user/created", "data": {"id": "1"}}) == []
    assert await complaints(schemas, {"name": "user/created", "data": {"id": 1}}) == ["data.id"]
    assert await complaints(schemas, {"name": "user/paid", "data": {}, "user": {}}) == ["user.id"]
    assert await complaints(schemas, {"name": "user/moved", "data": {"x": 1}}) == []


async def test_e_40_a_typed_dict_of_names_is_a_record() -> None:
    events = TypedDict("events", {"user/created": Data, "user/deleted": Deleted})
    schemas = EventSchemas().from_record(events)
    assert set(schemas.own) == {"user/created", "user/deleted"}
    assert await complaints(schemas, {"name": "user/deleted", "data": {}}) == ["data.id"]
    assert await complaints(schemas, {"name": "user/created", "data": {}}) == ["data.id"]


@pytest.mark.parametrize("record", [None, [Data], Amount, "user/created"])
def test_e_40_what_is_no_record_is_refused(record: Any) -> None:
    with pytest.raises(EventSchemaError, match="is no record of events"):
        EventSchemas().from_record(record)


def test_e_40_parts_nobody_knows_are_refused() -> None:
    with pytest.raises(EventSchemaError, match='event "a": dat is no part of an event'):
        EventSchemas().from_record({"a": {"dat": Data}})


def positive(value: Any) -> Any:
    if value.get("n", 0) <= 0:
        raise ValueError("n must be positive")
    return {**value, "seen": True}


class Point(msgspec.Struct):
    x: int


async def test_e_41_values_are_whatever_can_judge() -> None:
    assert EventSchemas.from_zod is EventSchemas.from_pydantic
    schemas = EventSchemas().from_zod(
        {
            "model": Amount,
            "struct": {"data": Point},
            "callable": positive,
            "adapter": {"data": pydantic.TypeAdapter(Who).validate_python},
        }
    )
    assert await complaints(schemas, {"name": "model", "data": {"amount": "x"}}) == ["data.amount"]
    assert await complaints(schemas, {"name": "struct", "data": {"x": "y"}}) == ["data.x"]
    assert await complaints(schemas, {"name": "callable", "data": {"n": 0}}) == ["data"]
    assert await complaints(schemas, {"name": "adapter", "data": {}}) == ["data.id"]
    client, outbox = catching(schemas)
    await client.send([{"name": "model"}, {"name": "callable", "data": {"n": 1}}])
    assert [event["data"] for event in outbox.sent] == [{"amount": 1}, {"n": 1, "seen": True}]


async def test_e_41_later_calls_add_to_earlier_ones() -> None:
    schemas = EventSchemas().from_pydantic({"a": Data}).from_pydantic({"b": Amount})
    assert set(schemas.own) == {"a", "b"}


async def test_e_42_models_fix_their_names_with_a_literal() -> None:
    class Paid(EventModel, name="shop/paid"):
        amount: int

    schemas = EventSchemas().from_pydantic(
        [Created, Deleted, Moved, Paid, event_type("shop/typed", schema=Amount)]
    )
    assert set(schemas.own) == {
        *("user/created", "user/deleted", "user/moved", "user/went"),
        *("shop/paid", "shop/typed"),
    }
    assert schemas.own["user/created"].data is Amount
    assert await complaints(schemas, {"name": "user/created", "data": {"amount": "x"}}) == [
        "data.amount"
    ]
    assert await complaints(schemas, {"name": "user/created", "user": {}}) == ["user.id"]
    assert await complaints(schemas, {"name": "user/went", "data": {"amount": []}}) == [
        "data.amount"
    ]
    assert await complaints(schemas, {"name": "shop/paid", "data": {}}) == ["data.amount"]


@pytest.mark.parametrize("model", [Amount, Data, int, "user/created"])
def test_e_42_a_model_without_a_name_is_refused(model: Any) -> None:
    with pytest.raises(EventSchemaError, match="names no event"):
        EventSchemas().from_pydantic([model])


class Node(pydantic.BaseModel):
    child: "Node | None" = None


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Pet, {"kind": "cat", "lives": 9}, {"kind": "cat"}),
        (Cat | (Dog | Amount), {"kind": "dog", "tricks": []}, {"amount": "x"}),
        (Pet | Amount, {"amount": 1}, {"kind": "cat", "amount": []}),
        (Node, {"child": {"child": None}}, {"child": {"child": 5}}),
        (pydantic.RootModel[dict[str, int]], {"a": 1}, {"a": "x"}),
    ],
    ids=steady,
)
async def test_e_43_unions_and_types_that_contain_themselves(
    kind: Any, good: Any, bad: Any
) -> None:
    schemas = EventSchemas().from_pydantic({"x": {"data": kind}})
    assert await complaints(schemas, {"name": "x", "data": good}) == []
    assert await complaints(schemas, {"name": "x", "data": bad})


@pytest.mark.parametrize(
    "kind", [str, pydantic.RootModel[list[int]], list[Cat], Cat | int, None.__class__]
)
def test_e_43_others_are_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match='event "x": data must be an object'):
        EventSchemas().from_pydantic({"x": {"data": kind}})


@pytest.mark.parametrize(
    "union",
    [
        Created | Deleted | Bare,
        Union[Created, Deleted | Bare],  # noqa: UP007 - this form is what is tried
        Annotated[Created | Deleted | Bare, pydantic.Discriminator("name")],
        TypeAliasType("All", Created | Deleted | Bare),
    ],
    ids=["|", "Union", "Annotated", "alias"],
)
async def test_e_44_a_union_is_a_record_by_its_names(union: Any) -> None:
    schemas = EventSchemas(unknown="forbid").from_union(union)
    assert set(schemas.own) == {"user/created", "user/deleted", "user/bare"}
    assert await complaints(schemas, {"name": "user/deleted", "data": {}}) == ["data.id"]
    assert await complaints(schemas, {"name": "user/bare", "data": {"x": 1}}) == []


def test_e_44_one_member_is_enough() -> None:
    assert set(EventSchemas().from_union(Deleted).own) == {"user/deleted"}
    with pytest.raises(EventSchemaError, match="names no event"):
        EventSchemas().from_union(Created | Amount)


USER = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 2},
        "plan": {"enum": ["free", "paid"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "parent": {"anyOf": [{"$ref": "#/$defs/User"}, {"type": "null"}]},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "at": {"type": "string", "format": "date-time"},
    },
    "required": ["id"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"id": "ab"}, []),
        (
            {"id": "ab", "plan": "free", "tags": ["x"], "age": None, "at": "2026-01-02T03:04:05Z"},
            [],
        ),
        ({"id": "ab", "parent": {"id": "cd", "parent": None}}, []),
        ({"plan": "gold"}, ["data.id", "data.plan"]),
        ({"id": "a", "tags": ["a", 1, "b"]}, ["data.id", "data.tags", "data.tags.1"]),
        ({"id": "ab", "age": -1}, ["data.age"]),
        ({"id": "ab", "age": True}, ["data.age"]),
        ({"id": "ab", "at": "noon"}, ["data.at"]),
        ({"id": "ab", "more": 1}, ["data.more"]),
        ({"id": "ab", "parent": {"id": 5}}, ["data.parent.id"]),
    ],
)
async def test_e_45_json_schema_judges(data: Any, where: list[str]) -> None:
    schemas = EventSchemas().from_generated(
        {"$defs": {"User": USER}, "events": {"user/created": {"data": {"$ref": "#/$defs/User"}}}}
    )
    assert await complaints(schemas, {"name": "user/created", "data": data}) == where


async def test_e_45_generated_events_come_from_modules_files_and_documents(tmp_path: Path) -> None:
    module = types.ModuleType("generated")
    module.__dict__["EVENTS"] = {
        "user/typed": Data,
        "user/json": {"data": {"type": "object", "required": ["id"], "properties": {"id": {}}}},
    }
    path = tmp_path / "events.json"
    path.write_text(
        json.dumps(
            {
                "user/file": {"type": "object", "properties": {"n": {"type": "integer"}}},
                "user/empty": {},
            }
        )
    )
    schemas = EventSchemas().from_generated(module).from_generated(path).from_generated(str(path))
    assert set(schemas.own) == {"user/typed", "user/json", "user/file", "user/empty"}
    assert await complaints(schemas, {"name": "user/typed", "data": {}}) == ["data.id"]
    assert await complaints(schemas, {"name": "user/json", "data": {}}) == ["data.id"]
    assert await complaints(schemas, {"name": "user/file", "data": {"n": "x"}}) == ["data.n"]


ASYNC_API_3 = {
    "asyncapi": "3.0.0",
    "channels": {
        "users": {
            "address": "user/moved",
            "messages": {
                "m": {"payload": {"type": "object"}},
                "c": {"$ref": "#/components/messages/created"},
            },
        }
    },
    "components": {
        "messages": {
            "created": {"name": "user/created", "payload": {"$ref": "#/components/schemas/User"}},
            "whole": {
                "name": "user/whole",
                "payload": {
                    "type": "object",
                    "properties": {
                        "name": {"const": "user/whole"},
                        "data": {"$ref": "#/components/schemas/User"},
                    },
                },
            },
        },
        "schemas": {
            "User": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
        },
    },
}
ASYNC_API_2 = {
    "asyncapi": "2.6.0",
    "channels": {
        "user/created": {
            "publish": {
                "message": {
                    "payload": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {"id": {"type": "string"}},
                    }
                }
            }
        }
    },
}


async def test_e_45_async_api_documents_are_understood() -> None:
    schemas = EventSchemas().from_generated(ASYNC_API_3)
    assert set(schemas.own) == {"user/created", "user/whole", "user/moved"}
    for name in ("user/created", "user/whole"):
        assert await complaints(schemas, {"name": name, "data": {}}) == ["data.id"]
    older = EventSchemas().from_generated(ASYNC_API_2)
    assert await complaints(older, {"name": "user/created", "data": {"id": 1}}) == ["data.id"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (types.ModuleType("empty"), "module empty has no EVENTS"),
        ("missing.json", "missing.json: cannot be read"),
        ({"a": {"data": {"$ref": "#/$defs/None"}}}, 'event "a": the reference .* leads nowhere'),
    ],
)
def test_e_45_what_cannot_be_read_is_told(source: Any, text: str) -> None:
    with pytest.raises(EventSchemaError, match=text):
        EventSchemas().from_generated(source)


class Standard:
    """A validator of some library: an object with `validate`."""

    def validate(self, value: Any) -> Any:
        if "id" not in value:
            raise LookupError("id is missing")
        return {"id": str(value["id"])}


class Loader:
    """As marshmallow has it: `load` raises an exception with messages by field."""

    def validate(self, value: Any) -> Any:
        return {"id": ["never asked"]}

    def load(self, value: Any) -> Any:
        error = ValueError("invalid")
        error.messages = {"id": ["Missing data", "for required field."]}  # type: ignore[attr-defined]
        raise error


async def test_e_46_any_object_that_validates_is_a_schema() -> None:
    schemas = EventSchemas().from_schema({"a": Standard(), "b": Loader()})
    assert await complaints(schemas, {"name": "a"}) == ["data"]
    assert await complaints(schemas, {"name": "b"}) == ["data.id"]
    client, outbox = catching(schemas)
    await client.send({"name": "a", "data": {"id": 5}})
    assert outbox.sent[0]["data"] == {"id": "5"}


async def late(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("schema", "text"), [(late, "validates asynchronously"), (5, "is no schema")]
)
def test_e_46_others_are_refused(schema: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f'event "a": data: .* {text}'):
        EventSchemas().from_schema({"a": schema})


# E-47: event types


@attrs.define
class Place:
    x: int
    y: int = 0


@dataclasses.dataclass
class Coin:
    value: int


KINDS: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (Amount, {"amount": 3}, {"amount": "x"}),
    (Data, {"id": "1"}, {"id": 1}),
    (Coin, {"value": 3}, {"value": "x"}),
    (Point, {"x": 3}, {"x": "y"}),
    (Place, {"x": 3, "y": 1}, {"x": "y"}),
]


@pytest.mark.parametrize(("schema", "good", "bad"), KINDS, ids=lambda k: getattr(k, "__name__", ""))
async def test_e_47_an_event_type_builds_sends_and_types_events(
    schema: Any, good: Any, bad: Any
) -> None:
    made = event_type("shop/made", schema=schema, version="7")
    event = made(**good)
    assert (event.name, event.v, made.matches(event)) == ("shop/made", "7", True)
    with pytest.raises(EventValidationError, match=r'Event\[0\] "shop/made" is invalid: data'):
        made(**bad)
    client = new_client()

    @client.create_function(fn_id="takes", trigger=made)
    async def takes(ctx: Any) -> Any:
        expected = dict if schema is Data else schema
        assert isinstance(ctx.event.data, expected)
        return [ctx.event.v, ctx.event.data]

    async with running(client, takes) as engine:
        assert await result(engine, client, event) == ["7", good]


async def test_e_47_create_takes_the_events_other_fields() -> None:
    made = event_type("shop/made", schema=Amount)
    event = made.create(
        Amount(amount=2), id="i", ts=5_000_000_000_00, v="1", user={"u": 1}, meta={"m": 1}
    )
    assert event == stepwell.Event(
        name="shop/made",
        data=Amount(amount=2),
        id="i",
        ts=5_000_000_000_00,
        v="1",
        user={"u": 1},
        meta={"m": 1},
    )
    assert made.create({"amount": 4}).data == Amount(amount=4)  # type: ignore[arg-type]


async def test_e_47_without_a_schema_or_validation_anything_goes() -> None:
    plain, static = event_type("a"), event_type("b", schema=Coin, validate=False)
    client, outbox = catching()
    await client.send([plain(x=1), static(value="no number")])  # type: ignore[arg-type]
    assert [event["data"] for event in outbox.sent] == [{"x": 1}, {"value": "no number"}]


@pytest.mark.parametrize("name", ["", "  ", 5, "inngest/mine", "user/*", "x" * 5000])
def test_e_47_names_no_event_can_have(name: Any) -> None:
    with pytest.raises(EventSchemaError, match="name = "):
        event_type(name)
    with pytest.raises(EventSchemaError, match="name = "):
        type("Made", (EventModel,), {}, name=name)


def test_e_47_data_is_an_object() -> None:
    with pytest.raises(TypeError, match='event "a": data must be an object, str is none'):
        event_type("a", schema=str)  # type: ignore[type-var]


async def test_e_47_an_event_type_cancels_and_is_waited_for() -> None:
    made, stop = event_type("shop/made", schema=Amount), event_type("shop/stop")
    client = new_client()

    @client.create_function(fn_id="long", trigger=made, cancel=[stepwell.Cancel(event=stop)])
    async def long(ctx: stepwell.Context[stepwell.Event[Amount]]) -> None:
        await ctx.step.wait_for_event("stop", event=stop, if_exp="false", timeout="1h")

    async with running(client, long) as engine:
        ids = await client.send(made(amount=1))
        run = engine.node.reader.runs_of_event(ids[0])[0]
        await until(lambda: len(engine.node.reader.waits(run.id)) == 2)
        await client.send(stop())
        with pytest.raises(Exception, match="cancelled"):
            await engine.result_of(ids[0], timeout_seconds=10)


async def test_e_47_an_invoke_trigger_says_what_invokers_pass() -> None:
    client = new_client()

    @client.create_function(fn_id="child", trigger=stepwell.TriggerInvoke(schema=Amount))
    async def child(ctx: stepwell.Context[stepwell.FunctionInvokedEvent[Amount]]) -> Any:
        return [ctx.event.name, ctx.event.data.amount]

    @client.create_function(fn_id="parent", trigger=stepwell.TriggerEvent(event="shop/parent"))
    async def parent(ctx: stepwell.Context) -> Any:
        good = await ctx.step.invoke("good", function=child, data=Amount(amount=2))
        try:
            await ctx.step.invoke_by_id("bad", function_id="child", data={"amount": "x"})
        except stepwell.StepError as error:
            return [*good, error.name]

    async with running(client, child, parent) as engine:
        told = await result(engine, client, {"name": "shop/parent"})
    assert told == ["inngest/function.invoked", 2, "EventValidationError"]
    with pytest.raises(stepwell.FunctionConfigInvalidError, match="must be an object"):
        stepwell.TriggerInvoke(schema=str)  # type: ignore[type-var]


class Paid(EventModel, name="shop/paid", version="2"):
    order: str
    amount: int


async def test_e_47_the_class_style() -> None:
    client = new_client()

    @client.create_function(
        fn_id="paid", trigger=stepwell.TriggerEvent(event=Paid, expression="event.data.amount > 5")
    )
    async def paid(ctx: stepwell.Context[stepwell.Event[Paid]]) -> Any:
        return [ctx.event.name, ctx.event.v, ctx.event.data.order, type(ctx.event.data) is Paid]

    async with running(client, paid) as engine:
        assert await result(engine, client, Paid(order="a", amount=6)) == [
            "shop/paid",
            "2",
            "a",
            True,
        ]
        ids = await client.send(
            [Paid(order="b", amount=5), Paid(order="c", amount=9).as_event(id="x")]
        )
        assert await engine.result_of(ids[1], timeout_seconds=10) == ["shop/paid", "2", "c", True]
        with pytest.raises(LookupError):
            await engine.result_of(ids[0], timeout_seconds=1)


def test_e_47_a_class_without_a_name_is_for_inheriting() -> None:
    class Shared(EventModel):
        tenant: str

    class Made(Shared, name="shop/made"):
        n: int

    assert Made(tenant="t", n=1).as_event().name == "shop/made"
    for use in (lambda: Shared(tenant="t").as_event(), lambda: stepwell.TriggerEvent(event=Shared)):
        with pytest.raises(
            (TypeError, stepwell.FunctionConfigInvalidError), match="Shared names no event"
        ):
            use()


# E-48: the same cases as the reference's type tests, at run time


def stack(schemas: EventSchemas) -> EventSchemas:
    return (
        schemas.from_record({"record": {"data": Data}})
        .from_zod({"zod": {"data": Amount}})
        .from_union(Deleted)
        .from_generated(
            {"generated": {"data": {"type": "object", "required": ["x"], "properties": {"x": {}}}}}
        )
    )


@pytest.mark.parametrize(
    ("name", "missing"),
    [("record", "data.id"), ("user/deleted", "data.id"), ("generated", "data.x")],
)
async def test_e_48_a_stack_of_all_four(name: str, missing: str) -> None:
    schemas = stack(EventSchemas(unknown="forbid"))
    assert set(schemas.own) == {"record", "zod", "user/deleted", "generated"}
    assert await complaints(schemas, {"name": name}) == [missing]
    assert await complaints(schemas, {"name": "nobody"}) == ["name"]


@pytest.mark.parametrize(
    ("declare", "fits"),
    [
        (lambda s: s.from_record({"a": {"data": Any}}), {"x": [1]}),
        (lambda s: s.from_record({"a": {}}), {"x": [1]}),
        (lambda s: s.from_zod({"a": {}}), {}),
        (lambda s: s.from_record({"a/*": Amount, "a": Data}), {"id": "1"}),
        (lambda s: s.from_record({"a": Data}).from_record({"a": Amount}), {"amount": 5}),
    ],
)
async def test_e_48_data_that_may_be_anything(
    declare: Callable[[EventSchemas], EventSchemas], fits: Any
) -> None:
    schemas = declare(EventSchemas(unknown="forbid"))
    assert await complaints(schemas, {"name": "a", "data": fits}) == []


def test_e_48_what_checkers_accept_runs() -> None:
    """The other half of the parity tests is read by checkers: tests/typing/events."""
    program = Path(__file__).parents[1] / "typing/events/events_accepted.py"
    found = runpy.run_path(str(program))
    assert set(found["schemas"].own) >= {"user/created", "user/deleted", "order/paid", "shop/coin"}
    assert found["on_union"].local_id == "union"
