"""Calls and their answers."""

import json

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import execution
from stepwell.wire.execution import (
    CallContext,
    CallRequest,
    CallResponse,
    MalformedCall,
    Memo,
    Stack,
    classify_memo,
    decode_call,
    encode_call,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
HASHES = st.text(alphabet="0123456789abcdef", min_size=1, max_size=8)
PIECES = st.sampled_from([msgspec.Raw(b'{"data":{},"name":"a"}'), msgspec.Raw(b'{"name":"b"}')])
MEMOS = st.sampled_from([msgspec.Raw(b"null"), msgspec.Raw(b'{"data":5}')])
COUNTS = st.integers(0, 1000)
STACKS = st.builds(Stack, st.lists(HASHES, max_size=3).map(tuple), COUNTS)
CONTEXTS = st.builds(
    CallContext,
    run_id=TEXT,
    fn_id=TEXT,
    attempt=COUNTS,
    max_attempts=st.none() | COUNTS,
    disable_immediate_execution=st.booleans(),
    env=TEXT,
    stack=STACKS,
    job_id=TEXT,
    qi_id=TEXT,
    request_id=TEXT,
    generation_id=COUNTS,
)
CALLS = st.builds(
    CallRequest,
    ctx=CONTEXTS,
    event=PIECES,
    events=st.lists(PIECES, min_size=1, max_size=3).map(tuple),
    steps=st.dictionaries(HASHES, MEMOS, max_size=4),
    defers=st.dictionaries(HASHES, st.booleans(), max_size=2),
    use_api=st.booleans(),
    version=st.integers(-1, 2),
)


@given(CALLS)
def test_calls_are_canonical_and_round_trip(call: CallRequest) -> None:
    body = encode_call(call)
    assert body == rfc8785.dumps(json.loads(body))
    assert decode_call(body) == call


def test_the_body_of_the_protocols_page() -> None:
    step = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
    event = b'{"data":{"k":1},"id":"01M8","name":"j/nock","ts":1795375478427,"user":{}}'
    call = CallRequest(
        ctx=CallContext(
            run_id="01M82BFDSEAXH732SHZM7R2J1X",
            fn_id="f08e3561-ac5f-5d43-92ae-a70a7846c762",
            max_attempts=4,
            stack=Stack((step,), 1),
            job_id="3bp8ovq46blc0",
            qi_id="M2JwOG92cTQ2YmxjMDo6ZGVmYXVsdA==",
            request_id="01M82BFDY04TWRV2JD7GFQ4CTC",
            generation_id=1,
        ),
        event=msgspec.Raw(event),
        events=(msgspec.Raw(event),),
        steps={step: msgspec.Raw(b'{"data":42}')},
        version=2,
    )
    assert encode_call(call) == (
        b'{"ctx":{"attempt":0,"disable_immediate_execution":false,"env":"",'
        b'"fn_id":"f08e3561-ac5f-5d43-92ae-a70a7846c762","generation_id":1,'
        b'"job_id":"3bp8ovq46blc0","max_attempts":4,"qi_id":"M2JwOG92cTQ2YmxjMDo6ZGVmYXVsdA==",'
        b'"request_id":"01M82BFDY04TWRV2JD7GFQ4CTC","run_id":"01M82BFDSEAXH732SHZM7R2J1X",'
        b'"stack":{"current":1,"stack":["' + step.encode() + b'"]},"step_id":"step",'
        b'"use_api":false},"defers":{},"event":'
        + event
        + b',"events":['
        + event
        + b'],"steps":{"'
        + step.encode()
        + b'":{"data":42}},"use_api":false,"version":2}'
    )


def test_the_least_a_call_may_hold() -> None:
    call = decode_call(b'{"ctx":{},"event":{"name":"a"}}')
    assert call == CallRequest(
        ctx=CallContext(),
        event=msgspec.Raw(b'{"name":"a"}'),
        events=(msgspec.Raw(b'{"name":"a"}'),),
    )
    assert call.ctx.stack is None
    assert call.ctx.max_attempts is None


def test_nulls_and_unknown_fields_are_borne() -> None:
    body = {
        "ctx": {"stack": None, "env": None, "attempt": None, "new": 1},
        "event": {"name": "a"},
        "events": None,
        "steps": None,
        "defers": None,
        "use_api": None,
        "version": None,
        "new": [],
    }
    assert decode_call(json.dumps(body).encode()).steps == {}


def test_the_event_may_stand_in_the_list_alone() -> None:
    call = decode_call(b'{"ctx":{},"event":null,"events":[{"name":"a"},{"name":"b"}]}')
    assert bytes(call.event) == b'{"name":"a"}'
    assert len(call.events) == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"ctx":{"use_api":true},"event":{"name":"a"}}',
        b'{"ctx":{},"use_api":true,"event":{"name":"a"},"events":[]}',
    ],
)
def test_use_api_in_either_place(body: bytes) -> None:
    call = decode_call(body)
    assert call.use_api
    assert call.events == ()


def test_with_use_api_even_the_event_may_be_missing() -> None:
    assert bytes(decode_call(b'{"ctx":{},"use_api":true}').event) == b"null"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not a call"),
        (b"[]", "not a call"),
        (b"{}", "ctx"),
        (b'{"ctx":{}}', '"event" is missing'),
        (b'{"ctx":{"attempt":"x"},"event":{}}', "attempt"),
        (b'{"ctx":{},"event":{},"steps":[]}', "steps"),
        (b'{"ctx":{},"event":' + b"[" * 50_000, "not a call"),
    ],
)
def test_what_is_no_call(body: bytes, words: str) -> None:
    with pytest.raises(MalformedCall, match=words):
        decode_call(body)


def test_large_state_is_left_out() -> None:
    event = msgspec.Raw(b'{"name":"a"}')
    call = CallRequest(
        ctx=CallContext(stack=Stack(("a",), 1)),
        event=event,
        events=(event, event),
        steps={"a": msgspec.Raw(b"null")},
    )
    lighter = execution.without_state(call, keep_events=True)
    assert (lighter.steps, lighter.events, lighter.use_api) == ({}, (event, event), True)
    lightest = json.loads(encode_call(execution.without_state(call, keep_events=False)))
    assert (lightest["events"], lightest["event"]) == ([], {"name": "a"})
    assert lightest["use_api"] and lightest["ctx"]["use_api"]
    assert lightest["ctx"]["stack"] == {"current": 1, "stack": ["a"]}


def test_fetched_state() -> None:
    steps = execution.decode_steps(b' {"b":null, "a":{"data":1}}')
    assert execution.encode_steps(steps) == b'{"a":{"data":1},"b":null}'
    assert execution.decode_batch(b'[{"name":"a"}]') == (msgspec.Raw(b'{"name":"a"}'),)
    for decode in (execution.decode_steps, execution.decode_batch):
        with pytest.raises(MalformedCall):
            decode(b'"x"')


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        (b'{"data":42}', "data", b"42"),
        (b' {"data": null} ', "data", b"null"),
        (b'{"data":{"data":1}}', "data", b'{"data":1}'),
        (b'{"error":{"name":"E"}}', "error", b'{"name":"E"}'),
        (b'{"data":null,"error":{"name":"E"}}', "error", b'{"name":"E"}'),
        (b'{"data":1,"error":null}', "data", b"1"),
        (b'{"error":null}', "data", b"null"),
        (b'{"input":[1]}', "input", b"[1]"),
        (b"null", "value", b"null"),
        (b"5", "value", b"5"),
        (b"[1]", "value", b"[1]"),
        (b'"x"', "value", b'"x"'),
        (b"{}", "value", b"{}"),
        (b'{"data":{},"name":"a"}', "value", b'{"data":{},"name":"a"}'),
        (b'{"other":1}', "value", b'{"other":1}'),
    ],
)
def test_memos(raw: bytes, kind: execution.MemoKind, value: bytes) -> None:
    assert classify_memo(msgspec.Raw(raw)) == Memo(kind, msgspec.Raw(value))


def test_memos_that_are_made() -> None:
    five = msgspec.Raw(b"5")
    assert classify_memo(execution.data_memo(five)) == Memo("data", five)
    assert classify_memo(execution.input_memo(msgspec.Raw(b"[5]"))).kind == "input"
    signal = json.loads(bytes(execution.signal_memo('a"b', five)))
    assert signal == {"data": {"signal": 'a"b', "data": 5}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":206,"headers":{"X-Inngest-Sdk":"x","multi":["a","b"]},"body":"[1]"}',
        b'     {"status":206,"headers":{"x-inngest-sdk":"x","multi":"a, b"},"body":[1]} ',
    ],
)
def test_streamed_answers(body: bytes) -> None:
    headers = {"x-inngest-sdk": "x", "multi": "a, b"}
    assert execution.decode_streamed(body) == CallResponse(206, b"[1]", headers)


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"{", b"[]", b'{"error":"boom","status":500}', b"\xff"]
)
def test_streams_that_broke(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"boom|envelope"):
        execution.decode_streamed(body)


def test_streamed_round_trip() -> None:
    response = CallResponse(200, b'"x"', {"x-inngest-sdk": "y"})
    assert execution.decode_streamed(execution.encode_streamed(response)) == response
