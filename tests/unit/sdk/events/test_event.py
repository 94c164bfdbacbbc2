"""Events between user code and the wire."""

import datetime as dt
import json
from typing import Any

import msgspec
import pydantic
import pytest

import stepwell
from stepwell.sdk.events.event import Event, event_from_json, event_from_wire, event_to_wire
from stepwell.wire.event import decode_event, encode_event


def test_there_and_back() -> None:
    event = Event(
        name="a/b",
        data={"a": [1, None, {"b": "é"}]},
        id="x",
        ts=5,
        v="1",
        user={"id": 1},
        meta={"m": True},
    )
    assert event_from_wire(decode_event(encode_event(event_to_wire(event)))) == event


def test_what_is_absent_stays_absent() -> None:
    raw = json.dumps({"name": "a", "data": None}).encode()
    event = event_from_wire(decode_event(raw))
    assert (event.data, event.id, event.ts, event.v, event.user) == ({}, "", 0, None, None)


def test_data_that_is_no_json_is_named() -> None:
    event = Event.model_construct(name="a/b", data={"x": object()}, id="", ts=0)
    with pytest.raises(ValueError, match='event "a/b": data cannot be written as JSON'):
        event_to_wire(event)


def test_values_msgspec_knows_travel_as_text() -> None:
    event = Event.model_construct(name="a", data={"at": dt.date(2026, 1, 2)}, id="", ts=0)
    assert bytes(event_to_wire(event).data) == b'{"at":"2026-01-02"}'


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "e", "data": {}},
        {"name": "e", "data": {"n": 1}, "id": "i", "ts": 3, "v": "1", "user": {"a": 1}},
        {"received": 1, "name": "e", "data": {}, "meta": {"b": 2}, "more": [1]},
    ],
)
def test_events_of_a_call_are_what_pydantic_would_have_made(fields: dict[str, Any]) -> None:
    made = event_from_json(msgspec.json.encode(fields))
    usual = Event.model_construct(None, **fields)
    assert made == usual
    assert made.model_dump() == usual.model_dump()
    assert made.model_dump(exclude_unset=True) == fields
    assert list(made.model_dump()) == list(usual.model_dump())
    assert made.model_extra == usual.model_extra
    assert made.model_fields_set == usual.model_fields_set
    assert made.model_copy(update={"id": "x"}).id == "x"


def test_what_is_no_json_in_data_is_told_in_one_sentence() -> None:
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    with pytest.raises(pydantic.ValidationError) as raised:
        Event(name="a/b", data={"n": 1, "at": when})  # type: ignore[dict-item]
    (only,) = raised.value.errors()
    assert only["msg"].startswith("data.at = datetime.datetime(2026, 1, 2")
    assert "is a datetime, which is no JSON: give it as text" in only["msg"]


@pytest.mark.parametrize(
    ("fields", "place", "sentence"),
    [
        ({"name": 5}, ("name",), 'Event.name = 5: give text, such as "shop/order.paid"'),
        ({}, ("name",), 'Event.name is missing: give text, such as "shop/order.paid"'),
        ({"nam": "a"}, ("name",), "Event.name is missing (is nam meant for it?): give text"),
        ({"name": "a", "data": [1]}, ("data",), "Event.data = [1]: give an object, such as"),
        ({"name": "a", "data": {5: 1}}, ("data",), "data: the key 5 is a int: write keys as text"),
        ({"name": "a", "ts": "now"}, ("ts",), "Event.ts = 'now': give milliseconds since 1970"),
        (
            {"name": "a", "ts": dt.datetime(2026, 1, 2)},
            ("ts",),
            "Event.ts: 2026-01-02T00:00:00 has no time zone; use datetime.now(UTC)",
        ),
        ({"name": "a", "id": 5}, ("id",), 'Event.id = 5: give text, such as "order-1"'),
        ({"name": "a", "v": 5}, ("v",), "Event.v = 5: give text"),
        ({"name": "a", "user": 5}, ("user",), "Event.user = 5: give an object"),
        ({"name": "a", "meta": 5}, ("meta",), "Event.meta = 5: give an object"),
    ],
)
def test_what_is_wrong_with_an_event_is_one_sentence_with_path_value_and_fix(
    fields: dict[str, Any], place: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        Event(**fields)
    (only,) = raised.value.errors()
    assert only["loc"] == place
    assert only["msg"].startswith(sentence)
    assert "errors.pydantic.dev" not in str(raised.value)


def test_an_option_says_path_value_and_fix_in_one_sentence() -> None:
    for made, sentence in (
        (lambda: stepwell.TriggerEvent(event=5), "TriggerEvent.event = 5: "),  # type: ignore[call-overload]
        (lambda: stepwell.Batch(max_size=0), "Batch.max_size = 0: "),
        (lambda: stepwell.Concurrency(limit="x"), "Concurrency.limit = 'x': "),  # type: ignore[arg-type]
    ):
        with pytest.raises(stepwell.FunctionConfigInvalidError) as raised:
            made()
        assert str(raised.value).startswith(sentence)
        assert "\n" not in str(raised.value)
