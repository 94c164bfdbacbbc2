"""Rows E-20 to E-33: what `EventSchemas` are, and what they change."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions

import stepwell
from stepwell import EventSchemaError, EventSchemas, EventValidationError
from tests.events.shop import catching, new_client, result, running, until
from tests.ids import steady

INTERNAL = set(stepwell.InternalEvent)


class Created(TypedDict):
    id: str
    email: str


class Paid(pydantic.BaseModel):
    amount: int


@dataclasses.dataclass
class Deleted:
    id: str


class Moved(msgspec.Struct):
    place: str


@attrs.define
class Seen:
    by: str


def names(schemas: EventSchemas) -> set[str]:
    return set(schemas.events) - INTERNAL


async def problems(schemas: EventSchemas, *events: Any) -> list[tuple[int, str]]:
    """Where `send` finds something wrong; nothing if it sends."""
    client, outbox = catching(schemas)
    try:
        await client.send(list(events))
    except EventValidationError as error:
        assert outbox.requests == 0
        return [(index, path) for index, path, _ in error.problems]
    return []


def test_e_20_schemas_begin_with_the_internal_events_and_are_fluent() -> None:
    schemas = EventSchemas()
    assert set(schemas.events) == INTERNAL
    assert schemas.from_record({"user/created": Created}) is schemas
    assert schemas.from_pydantic({"shop/paid": Paid}) is schemas
    assert set(schemas.events) == INTERNAL | {"user/created", "shop/paid"}


async def test_e_21_a_later_definition_replaces_the_earlier_one_entirely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    schemas = EventSchemas().from_record({"user/created": {"data": Created, "user": Paid}})
    with caplog.at_level(logging.DEBUG, "stepwell"):
        schemas.from_record({"user/created": Deleted, "shop/paid": Paid})
    assert "'user/created' is defined anew" in caplog.text
    assert names(schemas) == {"user/created", "shop/paid"}
    assert schemas.events["user/created"].user is Any
    assert await problems(schemas, {"name": "user/created", "data": {"id": "1"}}) == []


def test_e_22_every_entry_is_completed() -> None:
    schemas = EventSchemas().from_record({"a": {"data": Created}, "b": {"user": Paid}, "c": None})
    for name, data, user in (("a", Created, Any), ("b", Any, Paid), ("c", Any, Any)):
        found = schemas.events[name]
        assert (found.name, found.data, found.user, found.ts, found.v) == (
            name,
            data,
            user,
            int,
            str,
        )


@pytest.mark.parametrize("entry", [None, {}])
async def test_e_23_an_empty_entry_asks_nothing(entry: Any) -> None:
    schemas = EventSchemas(unknown="forbid").from_record({"user/created": entry})
    assert await problems(schemas, {"name": "user/created", "data": {"any": ["thing"]}}) == []


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Created, {"id": "1", "email": "a@b"}, {"id": "1"}),
        (Paid, {"amount": 1}, {"amount": "many"}),
        (Deleted, {"id": "1"}, {"id": 1}),
        (Moved, {"place": "here"}, {"place": 1}),
        (Seen, {"by": "me"}, {}),
        (Mapping[str, int], {"a": 1}, {"a": "x"}),
        (dict[str, Any], {"a": object}, {"a": object}),
        (Any, {"a": 1}, None),
        (Annotated[Created | Paid, "x"], {"amount": 1}, {"amount": "x"}),
        (Deleted | Paid, {"id": "1"}, {"ids": 1}),
    ],
    ids=steady,
)
async def test_e_24_objects_of_every_kind_are_accepted(kind: Any, good: Any, bad: Any) -> None:
    schemas = EventSchemas().from_record({"x": {"data": kind}})
    if kind == dict[str, Any]:
        good = {"a": 1}
        bad = None
    assert await problems(schemas, {"name": "x", "data": good}) == []
    if bad is not None:
        found = await problems(schemas, {"name": "x", "data": bad})
        assert found
        assert found[0][1].startswith("data")


@pytest.mark.parametrize(
    "kind",
    [str, int, list[str], tuple[int, ...], Created | str, Annotated[int, "x"], bytes],
    ids=steady,
)
@pytest.mark.parametrize("field", ["data", "user"])
def test_e_24_what_is_no_object_is_refused_by_name(kind: Any, field: str) -> None:
    with pytest.raises(TypeError, match=f'event "user/created": {field} must be an object'):
        EventSchemas().from_record({"user/created": {field: kind}})


CLASH = "Error: Omit 'name' from event schemas or make sure it matches the key."


class NamedCreated(TypedDict):
    name: Literal["user/created"]
    data: Created


def test_e_25_clashing_names() -> None:
    for entry in (
        NamedCreated,
        {"name": "user/created", "data": Created},
        {"name": Literal["user/created"]},
    ):
        with pytest.raises(EventSchemaError) as caught:
            EventSchemas().from_record({"user/deleted": entry})
        assert str(caught.value) == CLASH
        assert "user/deleted" in "".join(caught.value.__notes__)
        assert names(EventSchemas().from_record({"user/created": entry})) == {"user/created"}


class FooA(TypedDict):
    name: Literal["foo/a"]
    data: Created


class FooB(typing_extensions.TypedDict):
    name: Literal["foo/b"]
    data: typing_extensions.NotRequired[Deleted]


async def test_e_26_a_wildcard_stands_for_the_names_of_its_members() -> None:
    schemas = EventSchemas().from_record({"foo/*": FooA | FooB})
    assert set(schemas.events["foo/*"].members) == {"foo/a", "foo/b"}
    good = {"id": "1", "email": "e"}
    assert await problems(schemas, {"name": "foo/a", "data": good}, {"name": "foo/b"}) == []
    assert await problems(schemas, {"name": "foo/a", "data": {"id": "1"}}) == [(0, "data.email")]
    assert await problems(schemas, {"name": "foo/c", "data": good}) == [(0, "name")]
    assert await problems(schemas, {"name": "foo/*", "data": good}) == [(0, "name")]


async def test_e_26_one_schema_can_stand_for_a_whole_prefix() -> None:
    schemas = EventSchemas().from_record({"foo/*": Paid})
    assert await problems(schemas, {"name": "foo/any.thing", "data": {"amount": 1}}) == []
    assert await problems(schemas, {"name": "foo/b", "data": {}}) == [(0, "data.amount")]
    assert await problems(schemas, {"name": "food", "data": {}}) == []


async def test_e_27_names_win_over_wildcards_and_long_ones_over_short_ones() -> None:
    schemas = EventSchemas().from_record(
        {"foo/*": Paid, "foo/bar.*": Created, "foo/b": Deleted, "bar/*": Moved}
    )
    found = {name: schemas.find(name) for name in ("foo/x", "foo/bar.x", "foo/b", "bar/x", "baz")}
    assert {name: one and one.name for name, one in found.items()} == {
        "foo/x": "foo/*",
        "foo/bar.x": "foo/bar.*",
        "foo/b": "foo/b",
        "bar/x": "bar/*",
        "baz": None,
    }
    assert await problems(schemas, {"name": "foo/b", "data": {"amount": 1}}) == [(0, "data.id")]


async def test_e_28_sending_what_does_not_fit_is_refused() -> None:
    schemas = EventSchemas(unknown="forbid").from_record({"user/created": Created})
    good = {"id": "1", "email": "e"}
    assert await problems(schemas, {"name": "user/created", "data": good}) == []
    assert await problems(schemas, {"name": "user/unknown", "data": good}) == [(0, "name")]
    assert await problems(schemas, {"name": "user/created", "data": {"id": "1"}}) == [
        (0, "data.email")
    ]
    assert await problems(schemas, {"data": good}) == [(0, "name")]
    assert await problems(schemas, {"name": "user/created"}) == [(0, "data.id"), (0, "data.email")]


async def test_e_28_without_schemas_everything_is_allowed() -> None:
    client, outbox = catching()
    await client.send({"name": "what/ever", "data": {"x": 1}})
    assert outbox.sent[0]["data"] == {"x": 1}


@pytest.mark.parametrize("name", ["user/created", "user/*", "foo/x", "inngest/function.failed"])
def test_e_29_known_names_trigger(name: str) -> None:
    client = new_client(
        EventSchemas(unknown="forbid").from_record({"user/created": Created, "foo/*": Paid})
    )
    assert client.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event=name))
    assert client.on(name)


@pytest.mark.parametrize("name", ["user/deleted", "users/*"])
def test_e_29_unknown_names_do_not_trigger_where_schemas_are_closed(name: str) -> None:
    record = {"user/created": Created}
    client = new_client(EventSchemas(unknown="forbid").from_record(record))
    with pytest.raises(
        stepwell.FunctionConfigInvalidError, match=f'"f": trigger: event "{name.replace("*", ".")}'
    ):
        client.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event=name))
    with pytest.raises(stepwell.FunctionConfigInvalidError, match='defined are "user/created"'):
        client.on("user/created", fn_id="f", cancel=[stepwell.Cancel(event="user/deleted")])
    opened = new_client(EventSchemas().from_record(record))
    assert opened.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event=name))


async def test_e_30_the_handler_gets_the_union_of_its_triggers() -> None:
    client = new_client()
    paid = stepwell.event_type("shop/paid", schema=Paid)
    deleted = stepwell.event_type("user/deleted", schema=Deleted)

    @client.create_function(fn_id="both", trigger=(paid, deleted))
    async def both(ctx: stepwell.Context[stepwell.Event[Paid] | stepwell.Event[Deleted]]) -> str:
        assert [event.data for event in ctx.events] == [ctx.event.data]
        match ctx.event.data:
            case Paid(amount=amount):
                return f"{ctx.event.name} {amount}"
            case Deleted(id=found):
                return f"{ctx.event.name} {found}"

    @client.create_function(fn_id="caller", trigger=stepwell.TriggerEvent(event="shop/call"))
    async def caller(ctx: stepwell.Context) -> str:
        return await ctx.step.invoke("both", function=both, data=Paid(amount=9))

    async with running(client, both, caller) as engine:
        assert await result(engine, client, paid(amount=5)) == "shop/paid 5"
        assert await result(engine, client, deleted(id="x")) == "user/deleted x"
        assert await result(engine, client, {"name": "shop/call"}) == "inngest/function.invoked 9"


async def test_e_31_a_wait_for_an_event_type_gives_it_or_none() -> None:
    client = new_client()
    paid = stepwell.event_type("shop/paid", schema=Paid)

    @client.create_function(fn_id="waits", trigger=stepwell.TriggerEvent(event="shop/wait"))
    async def waits(ctx: stepwell.Context) -> Any:
        found = await ctx.step.wait_for_event(
            "paid", event=paid, timeout="1h", if_exp="async.data.amount > 1"
        )
        never = await ctx.step.wait_for_event("never", event=paid, timeout=1000)
        assert found is not None
        await ctx.step.run("kind", lambda: type(found.data).__name__)
        return [found.data.amount, never]

    async with running(client, waits) as engine:
        ids = await client.send({"name": "shop/wait"})
        run = engine.node.reader.runs_of_event(ids[0])[0]
        for amount in (1, 2):
            await until(lambda: engine.node.reader.waits(run.id))
            await client.send(paid(amount=amount))
        assert await engine.result_of(ids[0], timeout_seconds=10) == [2, None]


async def test_e_32_events_cancel_and_invocations_carry_the_targets_data() -> None:
    paid = stepwell.event_type("shop/paid", schema=Paid)
    assert stepwell.Cancel(event=paid, if_exp="true").event == "shop/paid"
    client = new_client()

    @client.create_function(fn_id="pay", trigger=paid)
    async def pay(ctx: stepwell.Context[stepwell.Event[Paid]]) -> int:
        return ctx.event.data.amount

    @client.create_function(fn_id="caller", trigger=stepwell.TriggerEvent(event="shop/call"))
    async def caller(ctx: stepwell.Context) -> Any:
        good = await ctx.step.invoke("good", function=pay, data=Paid(amount=9))
        try:
            await ctx.step.invoke_by_id("bad", function_id="pay", data={"amount": "x"})
        except stepwell.StepError as error:
            return [good, error.name, error.message]

    async with running(client, pay, caller) as engine:
        good, name, message = await result(engine, client, {"name": "shop/call"})
    assert (good, name) == (9, "EventValidationError")
    assert message.startswith('Event "inngest/function.invoked" failed validation: data.amount: ')


def test_e_33_the_event_map_can_be_taken_out_of_schemas() -> None:
    schemas = (
        EventSchemas().from_record({"user/created": Created}).from_pydantic({"shop/paid": Paid})
    )
    client = new_client(schemas)
    assert client.schemas is schemas
    assert {name: one.data for name, one in schemas.own.items()} == {
        "user/created": Created,
        "shop/paid": Paid,
    }
    with pytest.raises(TypeError):
        schemas.events["more"] = schemas.events["shop/paid"]  # type: ignore[index]
    assert stepwell.EventOf[Paid] is stepwell.Event[Paid]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"validate": "always"},
            "validate = 'always': it must be one of off, outgoing, incoming, both",
        ),
        ({"unknown": True}, "unknown = True: it must be one of allow, forbid"),
        ({"schemaless": "no"}, "schemaless = 'no'"),
    ],
)
def test_options_are_checked(options: Any, text: str) -> None:
    with pytest.raises(EventSchemaError, match=text):
        EventSchemas(**options)
