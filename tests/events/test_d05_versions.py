"""Row D-5: events live longer than code: older versions are lifted, breaking changes are found."""

import json
from typing import Any

import pytest

import stepwell
from stepwell import EventModel, EventSchemaError, event_type
from stepwell.embedded import RunFailed
from stepwell.sdk.events.contract import changes
from tests.events.shop import new_client, result, running


class Paid(EventModel, name="order/paid", version="3"):
    order: str
    cents: int
    currency: str


@Paid.upcast(from_version=None, to_version="2")
def _first(data: dict[str, Any]) -> dict[str, Any]:
    return {"order": str(data["id"]), "euros": data["euros"]}


@Paid.upcast(from_version="2")
def _second(data: dict[str, Any]) -> dict[str, Any]:
    return {"order": data["order"], "cents": data["euros"] * 100, "currency": "EUR"}


@pytest.mark.parametrize(
    "event",
    [
        {"name": "order/paid", "data": {"id": 7, "euros": 5}},
        {"name": "order/paid", "data": {"order": "7", "euros": 5}, "v": "2"},
        {"name": "order/paid", "data": {"order": "7", "cents": 500, "currency": "EUR"}, "v": "3"},
    ],
    ids=["none", "2", "3"],
)
async def test_d_5_older_events_reach_the_handler_as_the_newest_version(event: Any) -> None:
    client = new_client()

    @client.create_function(fn_id="takes", trigger=Paid)
    async def takes(ctx: stepwell.Context[stepwell.Event[Paid]]) -> Any:
        return [ctx.event.v, ctx.event.data.model_dump()]

    async with running(client, takes) as engine:
        told = await result(engine, client, event)
    assert told == ["3", {"order": "7", "cents": 500, "currency": "EUR"}]


async def test_d_5_an_upcast_that_fails_is_told_like_an_event_that_does_not_fit() -> None:
    made = event_type("shop/made", schema=Paid, version="2")

    @made.upcast(from_version="1")
    def lift(data: dict[str, Any]) -> dict[str, Any]:
        return {"order": data["missing"]}

    client = new_client()

    @client.create_function(fn_id="takes", trigger=made)
    async def takes(ctx: stepwell.Context[stepwell.Event[Paid]]) -> None: ...

    async with running(client, takes) as engine:
        with pytest.raises(RunFailed, match=r"data: cannot be lifted from version .*: KeyError"):
            await result(engine, client, {"name": "shop/made", "v": "1"})


def test_d_5_upcasts_do_not_go_round_in_circles() -> None:
    made = event_type("shop/made", version="2")
    made.upcast(from_version="1")(dict)
    for source, target in (("2", "1"), ("2", "2")):
        with pytest.raises(EventSchemaError, match="lead back to it"):
            made.upcast(from_version=source, to_version=target)(dict)


def record(required: list[str], /, extra: bool = True, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": extra,
    }


TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
TREE = {
    "$ref": "#/$defs/T",
    "$defs": {"T": record([], kids={"type": "array", "items": {"$ref": "#/$defs/T"}})},
}
TREE_2 = json.loads(json.dumps(TREE).replace('"required": []', '"required": ["kids"]'))


@pytest.mark.parametrize(
    ("old", "new", "breaking"),
    [
        (record(["a"], a=TEXT), record(["a"], a=TEXT, b=TEXT), []),
        (record(["a"], a=TEXT), record([], a=TEXT), []),
        (record(["a"], a=TEXT), record(["a", "b"], a=TEXT, b=TEXT), ["data.b is required now"]),
        (record([], a=TEXT), record(["a"], a=TEXT), ["data.a is required now"]),
        (record([], a=TEXT), record([], a=WHOLE), ["data.a was text, is a whole number"]),
        (record([], a=WHOLE), record([], a=NUMBER), []),
        (record([], a=NUMBER), record([], a=WHOLE), ["data.a was a number, is a whole number"]),
        (record([], a=TEXT), record([]), []),
        (record([], a=TEXT), record([], extra=False), ["data.a is refused now"]),
        (
            record([], a={"enum": ["x", "y"]}),
            record([], a={"enum": ["y"]}),
            ["data.a takes 'x' no more"],
        ),
        (record([], a={"enum": ["x"]}), record([], a=TEXT), []),
        (record([], a=TEXT), record([], a={"enum": ["x"]}), ["data.a was text, is one of 'x'"]),
        (record([], a=TEXT), record([], a={"anyOf": [TEXT, {"type": "null"}]}), []),
        (
            record([], a={"anyOf": [TEXT, {"type": "null"}]}),
            record([], a=TEXT),
            ["data.a was null, is text"],
        ),
        (
            record([], a=TEXT),
            record([], a={**TEXT, "minLength": 2}),
            ["data.a has minLength 2 now"],
        ),
        (record([], a={**TEXT, "minLength": 2}), record([], a={**TEXT, "minLength": 1}), []),
        (
            record([], a={**WHOLE, "maximum": 5}),
            record([], a={**WHOLE, "maximum": 4}),
            ["data.a has maximum 4 instead of 5"],
        ),
        (
            record([], a={"type": "array", "items": TEXT}),
            record([], a={"type": "array", "items": WHOLE}),
            ["data.a[] was text, is a whole number"],
        ),
        (
            {"type": "object", "additionalProperties": TEXT},
            record([], a=WHOLE),
            ["data.a was text, is a whole number"],
        ),
        (
            record([], a=TEXT),
            {"type": "object", "additionalProperties": WHOLE},
            ["data.a was text, is a whole number"],
        ),
        (record([], a={}), record([], a=TEXT), ["data.a was anything, is text"]),
        (None, record(["a"], a=TEXT), ["data was anything, is an object"]),
        (record(["a"], a=TEXT), None, []),
        (TREE, TREE, []),
        (TREE, TREE_2, ["data.kids is required now"]),
    ],
)
def test_d_5_what_takes_less_than_before_is_breaking(
    old: Any, new: Any, breaking: list[str]
) -> None:
    before, after = ({} if one is None else {"data": one} for one in (old, new))
    found = changes({"a": before}, {"a": after})
    assert [f"{one.path} {one.text}" for one in found if one.breaking] == breaking
    assert bool(found) is (old != new)


def test_d_5_events_come_and_go() -> None:
    found = changes({"a": {}, "b": {}}, {"b": {}, "c": {}})
    assert [(one.event, one.text, one.breaking) for one in found] == [
        ("a", "is gone", True),
        ("c", "is new", False),
    ]
