"""Events before they leave: what is accepted, what is refused in which words, the bytes sent."""

import datetime as dt
import decimal
import enum
import json
import uuid
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pydantic
import pytest

from stepwell.sdk.errors import EventValidationError, NaiveDatetimeWarning, SendEventsError
from stepwell.sdk.events.event import Event
from stepwell.sdk.send.outgoing import collect, encode

NOW = 1_700_000_000_000


def sent(*events: Any) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(encode(collect(list(events)), NOW).body)
    return read


def problems(*events: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(EventValidationError) as caught:
        encode(collect(list(events)), NOW)
    assert isinstance(caught.value, SendEventsError)
    assert caught.value.ids == []
    return caught.value.problems


def test_defaults_are_filled_and_empty_fields_left_out() -> None:
    assert sent(Event(name="a")) == [{"name": "a", "data": {}, "ts": NOW}]
    assert sent({"name": "a", "data": None, "id": "", "ts": 0}) == sent(Event(name="a"))


def test_everything_travels() -> None:
    whole = {"name": "a", "data": {"x": 1}, "id": "i", "ts": NOW - 1, "v": "2", "user": {"u": 1}}
    assert sent(whole, Event(**whole)) == [whole, whole]
    meta = {"sessions": {"k": "v"}}
    assert sent({"name": "a", "meta": meta})[0]["meta"] == meta


def test_what_may_be_passed() -> None:
    event = Event(name="a")
    assert collect(event) == [event]
    assert collect([]) == []
    assert [e.name for e in collect({"name": "b"})] == ["b"]
    assert [e.name for e in collect(e for e in (event, MappingProxyType({"name": "b"})))] == [
        "a",
        "b",
    ]


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Model(pydantic.BaseModel):
    when: dt.date = pydantic.Field(alias="When")


def test_values_beyond_json_have_a_form() -> None:
    key = uuid.UUID(int=7)
    data: dict[str, Any] = {
        "time": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "decimal": decimal.Decimal("1.10"),
        "uuid": key,
        "enum": Colour.RED,
        "bytes": b"\x00\xff",
        "set": {1},
        "frozen": frozenset({"a"}),
        "range": range(2),
        "point": Point(1),
        "model": Model(When=dt.date(2024, 1, 2)),
        "proxy": MappingProxyType({"a": None}),
        "view": memoryview(b"x"),
        1: "number as key",
        key: "uuid as key",
    }
    assert sent({"name": "a", "data": data})[0]["data"] == {
        "time": "2024-01-02T03:04:05Z",
        "decimal": "1.10",
        "uuid": str(key),
        "enum": "red",
        "bytes": "AP8=",
        "set": [1],
        "frozen": ["a"],
        "range": [0, 1],
        "point": {"x": 1},
        "model": {"When": "2024-01-02"},
        "proxy": {"a": None},
        "view": "eA==",
        "1": "number as key",
        str(key): "uuid as key",
    }


def test_models_and_dataclasses_as_data() -> None:
    assert sent({"name": "a", "data": Point(1)})[0]["data"] == {"x": 1}
    assert sent({"name": "a", "data": Model(When=dt.date(2024, 1, 2))})[0]["data"] == {
        "When": "2024-01-02"
    }


def loop() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    ("event", "path", "words"),
    [
        ({"data": {}}, "name", "None is not a text"),
        ({"name": 7}, "name", "7 is not a text"),
        ({"name": "inngest/x"}, "name", "reserved"),
        ({"name": "Inngest/x"}, "name", "reserved"),
        ({"name": "é" * 257}, "name", "512 bytes"),
        ({"name": "a", "data": [1]}, "data", "list is not an object; wrap it"),
        ({"name": "a", "data": "x"}, "data", "str is not an object"),
        ({"name": "a", "data": {"x": {"y": [1, float("nan")]}}}, "data.x.y.1", "nan"),
        ({"name": "a", "data": {"x": None, "y": float("inf")}}, "data.y", "inf"),
        ({"name": "a", "data": {"x": Point(float("-inf"))}}, "data.x.x", "-inf"),  # type: ignore[arg-type]
        ({"name": "a", "data": {"x": object()}}, "data.x", "object cannot be written"),
        ({"name": "a", "data": {"x": {(1, 2): 3}}}, "data.x", "the key (1, 2)"),
        ({"name": "a", "data": {"x": loop()}}, "data.x", "nested too deeply"),
        ({"name": "a", "user": 5}, "user", "int is not an object"),
        ({"name": "a", "ts": "now"}, "ts", "'now' is not an integer"),
        ({"name": "a", "ts": True}, "ts", "True is not an integer"),
        ({"name": "a", "ts": 1700000000}, "ts", "milliseconds since 1970"),
        ({"name": "a", "id": 5}, "id", "5 is not text"),
        ({"name": "a", "v": 5}, "v", "5 is not text"),
        ({"name": "a", "date": {}}, "date", "no such field"),
        ({"name": "a", "data": {"x": "y" * 3_200_000}}, "data", "at most 3145728"),
        ("a", "event", "str is no event"),
        (None, "event", "NoneType is no event"),
    ],
)
def test_refusals_name_the_place_and_the_reason(event: Any, path: str, words: str) -> None:
    found = problems(event)
    (index, where, _), *others = found
    assert (index, others) == (0, [])
    assert where == path or (words == "nested too deeply" and where.startswith(path))
    assert words in found[0][2]


def test_all_problems_of_all_events_are_told_at_once() -> None:
    found = problems(
        {"name": "ok"}, {"name": "", "ts": "x"}, Event.model_construct(name="b", data=3)
    )
    assert [(index, path) for index, path, _ in found] == [(1, "name"), (1, "ts"), (2, "data")]
    with pytest.raises(
        EventValidationError, match=r"Event\[1\] \"b\" is invalid: data: int is not"
    ):
        encode(collect([{"name": "a"}, {"name": "b", "data": 3}]), NOW)


def test_the_largest_event_is_known() -> None:
    body = encode(collect([{"name": "a"}, {"name": "b", "data": {"x": "y" * 99}}]), NOW)
    assert (body.count, body.largest_index) == (2, 1)
    assert 99 < body.largest_bytes < len(body.body)


def test_lone_surrogates_are_refused() -> None:
    assert "cannot be written as JSON" in problems({"name": "a", "data": {"x": "\ud800"}})[0][2]
    for field in ("name", "id", "v"):
        [(_, path, told)] = problems({"name": "ünï", field: "\ud800ü"})
        assert (path, told.partition(":")[0]) == (field, "'\\ud800ü' cannot be written as JSON")


# Instants and numbers of other kinds


def data_of(value: object) -> object:
    body = encode(collect({"name": "a/b", "data": {"x": value}}), NOW).body
    return json.loads(body)[0]["data"]["x"]


def test_datetimes_are_sent_in_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=2))
    assert data_of([dt.datetime(2026, 1, 2, 12, tzinfo=east)]) == ["2026-01-02T10:00:00Z"]
    assert data_of("T12:00:00 is text") == "T12:00:00 is text"


def test_a_datetime_without_a_zone_is_local_time_and_a_warning() -> None:
    local = dt.datetime(2026, 1, 2, 12)
    with pytest.warns(NaiveDatetimeWarning, match="has no time zone and is sent as local time"):
        sent = data_of(local)
    assert sent == local.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_decimals_that_are_no_numbers_are_refused(number: str) -> None:
    with pytest.raises(EventValidationError, match="is not a JSON number"):
        data_of(decimal.Decimal(number))
