"""Intake of events: every rule, limit and message; and how events travel."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import event as events
from stepwell.wire import limit
from stepwell.wire.event import Event, decode_event, decode_events, encode_event, is_internal_event

NOW = 1_795_381_027_215


def decode(body: object, **options: int) -> events.Decoded:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_events(raw, "application/json", NOW, **options)


def accepted(body: object) -> list[dict[str, object]]:
    decoded = decode(body)
    assert decoded.problem is None
    return [json.loads(encode_event(event, with_user=False)) for event in decoded.events]


def refused(body: object, **options: int) -> tuple[int, str]:
    """How many were accepted, and what was said about the next one."""
    decoded = decode(body, **options)
    assert decoded.problem is not None
    assert decoded.problem.index == len(decoded.events)
    return len(decoded.events), decoded.problem.message


def test_one_event_with_everything() -> None:
    given_event = {
        "name": "shop/order",
        "data": {"b": 1, "a": {"x": [1.0, None]}},
        "id": "order-1",
        "ts": 1_700_000_000_000,
        "v": "2024-01-01",
        "user": {"id": 5},
        "meta": {"sessions": {"chat": "c1"}},
    }
    assert accepted(given_event) == [given_event]


def test_a_list_keeps_its_order() -> None:
    names = [f"e/{n}" for n in range(100)]
    assert [one["name"] for one in accepted([{"name": name} for name in names])] == names


def test_defaults() -> None:
    assert accepted({"name": "a"}) == [{"name": "a", "data": {}, "ts": NOW}]
    nulls = dict.fromkeys(["data", "id", "ts", "v", "user", "meta"])
    assert accepted({"name": "a", **nulls}) == [{"name": "a", "data": {}, "ts": NOW}]
    assert accepted({"name": "a", "ts": 0, "id": ""}) == [{"name": "a", "data": {}, "ts": NOW}]


def test_unknown_fields_are_dropped() -> None:
    assert accepted({"name": "a", "ts": NOW, "extra": 1}) == [{"name": "a", "data": {}, "ts": NOW}]


@pytest.mark.parametrize("body", [b"", b"  \n", b"[]", b" [ ] "])
def test_nothing_is_no_error(body: bytes) -> None:
    assert decode(body) == events.Decoded()


def test_payloads_become_canonical() -> None:
    body = b'[ {"name":"a", "data":{ "b":1.0,"a":"\\u00e9", "big":12345678901234567890} } ]'
    (event,) = decode(body).events
    assert bytes(event.data) == '{"a":"é","b":1.0,"big":12345678901234567890}'.encode()


def test_internal_data_cannot_be_forged() -> None:
    sent = {"name": "a", "data": {"_inngest": {"fn_id": "x"}, "b": {"_inngest": 1}}, "ts": NOW}
    assert accepted(sent) == [{"name": "a", "data": {"b": {"_inngest": 1}}, "ts": NOW}]
    escaped = b'{"name":"a","ts":1795381027215,"data":{"\\u005finngest":{},"b":"\\"_inngest\\":"}}'
    assert accepted(escaped)[0]["data"] == {"b": '"_inngest":'}


def test_lone_surrogates_are_replaced() -> None:
    assert accepted(b'{"name":"a","data":{"x":"\\ud800y"}}')[0]["data"] == {"x": "\ufffdy"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": ""}, "event name is empty"),
        ({"data": {}}, "event name is empty"),
        ({"name": None}, "event name is empty"),
        ({"name": "inngest/foo"}, "event name is reserved for internal use: inngest/foo"),
        ({"name": "InnGest/foo"}, "event name is reserved for internal use: InnGest/foo"),
        ({"name": "a", "ts": 1}, "timestamp is before Jan 1, 1980"),
        ({"name": "a", "ts": -1}, "timestamp is before Jan 1, 1980"),
        ({"name": "a", "ts": 4_102_444_800_001}, "timestamp is after Jan 1, 2100"),
        ({"name": "a", "ts": 10**30}, "timestamp is after Jan 1, 2100"),
    ],
)
def test_refusals_in_the_protocols_words(body: object, message: str) -> None:
    assert refused(body) == (0, message)
    assert refused([{"name": "good"}, body, {"name": "never seen"}]) == (1, message)


@pytest.mark.parametrize("body", [b'"text"', b"5", b"null", b"x=1", b"<html>"])
def test_neither_object_nor_list(body: bytes) -> None:
    message = "Request body must contain an event object or an array of event objects"
    assert refused(body) == (0, message)


@pytest.mark.parametrize("item", [1, "a", None, ["a"]])
def test_lists_of_something_else(item: object) -> None:
    message = "Request body must contain an event object or an array of event objects"
    assert refused([{"name": "a"}, item]) == (1, message)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_forms_are_told_to_send_json(kind: str) -> None:
    problem = decode_events(b"name=a", kind, NOW).problem
    assert problem is not None
    assert "send JSON" in problem.fix


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ts", "soon", 'event field "ts" must be an integer, milliseconds since 1970, got "soon"'),
        ("ts", 1.5, "got 1.5"),
        ("ts", True, "got true"),
        ("name", ["a"], 'event field "name" must be a string, got ["a"]'),
        ("id", 5, 'event field "id" must be a string, got 5'),
        ("v", 5, 'event field "v" must be a string, got 5'),
        ("data", [1], 'event field "data" must be a JSON object, got [1]'),
        ("data", "x", 'event field "data" must be a JSON object, got "x"'),
        ("user", [], 'event field "user" must be a JSON object, got []'),
    ],
)
def test_wrong_types_name_field_value_and_fix(field: str, value: object, words: str) -> None:
    count, message = refused([{"name": "a"}, {"name": "a", field: value}])
    assert count == 1
    assert words in message


@pytest.mark.parametrize(
    ("body", "count", "words"),
    [
        (b"{bad", 0, "invalid JSON in event 1"),
        (b'[{"name":"a"},{]', 1, "invalid JSON in event 2"),
        (b'[{"name":"a"} {"name":"b"}]', 1, "expected a comma"),
        (b'[{"name":"a"}', 1, "expected a comma or ]"),
        (b'[{"name":"a"},]', 1, "invalid JSON in event 2"),
        (b"[,]", 0, "invalid JSON in event 1"),
        (b'{"name":"a"}{"name":"b"}', 1, "as one array"),
        (b'[{"name":"a"}]x', 1, "as one array"),
        (b'{"name":"a","data":{"x":NaN}}', 0, "NaN"),
        (b'{"name":"a","data":{"x":1e400}}', 0, "beyond the range"),
        (b'{"name":"\xff"}', 0, "not UTF-8"),
        (b'{"name":"a","data":{"x":"\xff"}}', 0, ""),
        (b"[" * 100_000, 0, "nested too deeply"),
        # How deep the decoder itself goes is for Python to say.
        (b'{"name":"a","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 0, "nested"),
        (b'[{"name":"a"},{"name":"b","data":{"x":' + b"[" * 2000, 1, ""),
    ],
)
def test_broken_json_keeps_what_came_before(body: bytes, count: int, words: str) -> None:
    accepted_count, message = refused(body)
    assert accepted_count == count
    assert message
    assert words in message


def test_too_many_events() -> None:
    message = "Cannot have more than 5000 events in a batch"
    most = [{"name": "a"}] * limit.EVENTS_PER_REQUEST_MAX
    assert len(decode(most).events) == limit.EVENTS_PER_REQUEST_MAX
    assert decode(most).problem is None
    assert refused([*most, {"name": "a"}]) == (5000, message)
    assert refused(json.dumps(most).encode()[:-1] + b",{bad") == (5000, message)


def test_large_events() -> None:
    big = {"name": "a", "data": {"x": "y" * 200}, "ts": NOW}
    size = len(json.dumps(big, separators=(",", ":")))
    assert decode(big, event_bytes_max=size).problem is None
    expected = f"Event is over the max size: Max {size - 1} bytes / Size {size} bytes"
    assert refused([{"name": "b"}, big], event_bytes_max=size - 1) == (1, expected)
    assert refused({"name": "a" * limit.EVENT_BYTES_MAX})[1].startswith(
        "Event is over the max size: Max 3145728 bytes / Size 31"
    )


def test_many_small_events_may_be_large_together() -> None:
    body = [{"name": "a", "data": {"x": "y" * 100}}] * 20
    assert decode(body, event_bytes_max=500).problem is None


def sessions(meta: object) -> object:
    (event,) = accepted({"name": "a", "meta": meta})
    meta_kept = event.get("meta")
    return meta_kept["sessions"] if isinstance(meta_kept, dict) else None


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({}, None),
        ({"sessions": {}}, None),
        ({"other": 1}, None),
        (
            {"sessions": {"a": "x", "n": 5, "f": 1.5, "w": 2.0}},
            {"a": "x", "f": "1.5", "n": "5", "w": "2"},
        ),
        ({"sessions": {"a": None}}, None),
        ({"propagated_sessions": {"a": "x"}}, {"a": "x"}),
        (
            {"sessions": {"a": "own"}, "propagated_sessions": {"a": "x", "b": "y"}},
            {"a": "own", "b": "y"},
        ),
        ({"sessions": {"a": None}, "propagated_sessions": {"a": "x", "b": "y"}}, {"b": "y"}),
        ({"sessions": None, "propagated_sessions": {"a": "x"}}, None),
        (
            {"sessions": {"z": "1", "y": "2"}, "propagated_sessions": dict.fromkeys("fedcba", "p")},
            {"a": "p", "b": "p", "c": "p", "y": "2", "z": "1"},
        ),
    ],
)
def test_sessions(meta: object, expected: object) -> None:
    assert sessions(meta) == expected


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"sessions": {"k": True}}, 'event session "k" must be a string, number, or null'),
        ({"sessions": {"k": {}}}, 'event session "k" must be a string, number, or null'),
        ({"sessions": {"k": "x" * 513}}, "over 512 bytes"),
        ({"sessions": {"k" * 129: "x"}}, "128 bytes"),
        ({"sessions": {"": "x"}}, "128 bytes"),
        ({"sessions": dict.fromkeys("abcdef", "x")}, "6 sessions: at most 5"),
        ({"sessions": 5}, 'event field "meta"'),
        ([], 'event field "meta"'),
        ({"x": "y" * 40_000}, "event meta is over the max size"),
    ],
)
def test_bad_sessions(meta: object, words: str) -> None:
    assert words in refused({"name": "a", "meta": meta})[1]


@pytest.mark.parametrize("name", ["inngest/x", "INNGEST/x", "inngest/"])
def test_internal_names(name: str) -> None:
    assert is_internal_event(name)


@pytest.mark.parametrize("name", ["inngest", "inngest.x", "x/inngest/", ""])
def test_ordinary_names(name: str) -> None:
    assert not is_internal_event(name)


def test_functions_see_a_user() -> None:
    event = Event("a", ts=5, id="i")
    assert encode_event(event) == b'{"data":{},"id":"i","name":"a","ts":5,"user":{}}'
    assert encode_event(event, with_user=False) == b'{"data":{},"id":"i","name":"a","ts":5}'


NAMES = st.text(st.characters(codec="utf-8"), min_size=1)
PIECES = st.none() | st.sampled_from([msgspec.Raw(b"{}"), msgspec.Raw(b'{"a":[1]}')])


@given(
    st.builds(
        Event,
        name=NAMES,
        data=st.sampled_from([msgspec.Raw(b"{}"), msgspec.Raw(b'{"x":"y"}')]),
        id=st.text(st.characters(codec="utf-8")),
        ts=st.integers(0, 4_102_444_800_000),
        v=st.none() | NAMES,
        user=PIECES,
        meta=PIECES,
    )
)
def test_events_round_trip(event: Event) -> None:
    assert decode_event(encode_event(event, with_user=False)) == event


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"x", b'{"name":5}'])
def test_what_is_no_event(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not an event"):
        decode_event(raw)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,name12 \\u', max_size=60).map(str.encode))
def test_no_body_makes_intake_raise(body: bytes) -> None:
    decoded = decode_events(body, None, NOW)
    assert decoded.problem is None or decoded.problem.message
