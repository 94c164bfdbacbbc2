"""Operations: what SDKs send, what is refused, and the way there and back."""

import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import operation as ops
from stepwell.wire.failure import Failure
from stepwell.wire.log import LogLine
from stepwell.wire.operation import MalformedOperation, Operation
from stepwell.wire.operation_decode import decode_operations
from stepwell.wire.operation_encode import encode_operations

HASH = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def one(**fields: object) -> Operation:
    (operation,) = decode_operations(json.dumps({"id": HASH, **fields}).encode())
    return operation


def test_a_step_run_as_javascript_writes_it() -> None:
    body = (
        b'[{"id":"86f7","op":"StepRun","name":"a","displayName":"A","opts":{"input":[41],"type":'
        b'"step.sendEvent","parallelMode":"race"},"userland":{"id":"a","index":2},"data":42,'
        b'"timing":{"a":1795375478778000000,"b":47000000},"promise":{},"rawArgs":["a"],"mode":"x"}]'
    )
    assert decode_operations(body) == (
        ops.StepRun(
            id="86f7",
            name="a",
            display_name="A",
            userland=ops.Userland("a", 2),
            parallel_mode="race",
            timing=ops.Timing(1795375478778000000, 47000000),
            data=raw("42"),
            input=raw("[41]"),
            type="step.sendEvent",
        ),
    )


def test_a_step_run_as_python_writes_it() -> None:
    fields = {"name": "a", "displayName": "a", "opts": None, "userland": {"id": "a", "index": None}}
    expected = ops.StepRun(
        id=HASH, name="a", display_name="a", userland=ops.Userland("a"), data=raw("42")
    )
    assert one(op="StepRun", data=42, **fields) == expected


def test_results_become_canonical() -> None:
    body = b'{"id":"a","op":"StepRun","data":{"b":1.0,"a":[1e21,-0.0]}}'
    assert decode_operations(body) == (ops.StepRun(id="a", data=raw('{"a":[1e+21,-0.0],"b":1.0}')),)


@pytest.mark.parametrize("op", ["StepRun", "steprun", "STEPRUN"])
def test_opcodes_are_read_whatever_their_case(op: str) -> None:
    assert isinstance(one(op=op), ops.StepRun)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"op": "None", "id": ""}, ops.Nothing()),
        ({"op": "Step", "data": 5}, ops.LegacyStep(id=HASH, data=raw("5"))),
        ({"op": "StepRun"}, ops.StepRun(id=HASH)),
        ({"op": "RunComplete", "data": {"a": 1}, "id": ""}, ops.RunComplete(data=raw('{"a":1}'))),
        ({"op": "Sleep", "name": "1s"}, ops.Sleep(id=HASH, name="1s", until="1s")),
        (
            {"op": "Sleep", "name": "1s", "opts": {"duration": "2s"}},
            ops.Sleep(id=HASH, name="1s", until="2s"),
        ),
        ({"op": "WaitForEvent", "name": "e"}, ops.WaitForEvent(id=HASH, name="e", event="e")),
        (
            {"op": "WaitForEvent", "opts": {"event": "e", "timeout": "1s", "if": "x"}},
            ops.WaitForEvent(id=HASH, event="e", timeout="1s", condition="x"),
        ),
        (
            {"op": "WaitForSignal", "opts": {"signal": "s", "conflict": "replace"}},
            ops.WaitForSignal(id=HASH, signal="s", conflict="replace"),
        ),
        (
            {
                "op": "InvokeFunction",
                "opts": {"function_id": "a-b", "payload": {"data": None, "v": None}},
            },
            ops.InvokeFunction(id=HASH, function_id="a-b"),
        ),
        (
            {
                "op": "InvokeFunction",
                "opts": {
                    "function_id": "a-b",
                    "payload": {"data": {"x": 1}, "user": {"u": 1}, "v": "2", "name": "ignored"},
                    "timeout": "1m",
                },
            },
            ops.InvokeFunction(
                id=HASH,
                function_id="a-b",
                data=raw('{"x":1}'),
                user=raw('{"u":1}'),
                v="2",
                timeout="1m",
            ),
        ),
        (
            {
                "op": "Gateway",
                "opts": {"url": "u", "method": "get", "headers": {"a": "b"}, "body": ""},
            },
            ops.GatewayCall(id=HASH, url="u", method="GET", headers=(("a", "b"),)),
        ),
        (
            {
                "op": "AIGateway",
                "opts": {"url": "u", "format": "gemini", "auth_key": "k", "body": {"m": 1}},
            },
            ops.AiGatewayCall(id=HASH, url="u", format="gemini", auth_key="k", body=raw('{"m":1}')),
        ),
        ({"op": "AiGateway", "opts": {"url": "u"}}, ops.AiGatewayCall(id=HASH, url="u")),
        (
            {"op": "DeferAdd", "opts": {"fn_slug": "a-b", "input": {"x": 1}}},
            ops.DeferAdd(id=HASH, function_slug="a-b", input=raw('{"x":1}')),
        ),
        (
            {"op": "DeferAbort", "opts": {"target_hashed_id": "t"}},
            ops.DeferAbort(id=HASH, target_id="t"),
        ),
        (
            {"op": "Logs", "id": "", "opts": {"lines": [{"at": 1, "level": "info", "text": "t"}]}},
            ops.Logs(lines=(LogLine(1, "info", "t"),)),
        ),
        (
            {"op": "StepError", "error": {"name": "N", "message": "m"}, "data": None},
            ops.StepError(id=HASH, failure=Failure("N", "m")),
        ),
        (
            {"op": "StepFailed", "error": {"name": "N", "message": "m"}, "data": {"x": 1}},
            ops.StepFailed(id=HASH, failure=Failure("N", "m")),
        ),
        ({"op": "StepPlanned", "opts": {"parallelMode": "odd"}}, ops.StepPlanned(id=HASH)),
        ({"op": "StepPlanned", "opts": {"parallelMode": 5, "type": 5}}, ops.StepPlanned(id=HASH)),
        (
            {"op": "StepRun", "timing": {"a": "x"}, "userland": "x", "metadata": "x"},
            ops.StepRun(id=HASH),
        ),
    ],
)
def test_reading(fields: dict[str, object], expected: Operation) -> None:
    assert one(**fields) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "error reading generator opcode response"),
        (b"<html>", "error reading generator opcode response"),
        (b"[null]", "got `null`"),
        (b"5", "error reading generator opcode response"),
        (b'[{"id":"a","op":"StepNotFound"}]', "'StepNotFound' is unknown: use one of None, Step"),
        (b'[{"id":"a"}]', "'' is unknown"),
        (b'[{"id":"a","op":5}]', "Expected `str`, got `int`"),
        (b'{"op":"StepRun"}', "operation StepRun: id must be the hashed id of the step"),
        (
            b'{"id":"a","op":"StepError"}',
            "operation StepError: error must be an object, got nothing",
        ),
        (b'{"id":"a","op":"StepFailed","error":null}', "error must be an object"),
        (b'{"id":"a","op":"StepRun","opts":5}', "operation StepRun: opts must be an object, got 5"),
        (b'{"id":"a","op":"StepRun","opts":{"input":5}}', "opts.input must be an array, got 5"),
        (b'{"id":"a","op":"Sleep","opts":{"duration":5}}', "opts.duration must be a string, got 5"),
        (b'{"id":"a","op":"WaitForEvent"}', "opts.event must be a string that is not empty"),
        (b'{"id":"a","op":"WaitForSignal"}', "opts.signal must be a string that is not empty"),
        (
            b'{"id":"a","op":"WaitForSignal","opts":{"signal":"s","conflict":"x"}}',
            'opts.conflict must be fail or replace, got "x"',
        ),
        (b'{"id":"a","op":"InvokeFunction","opts":{"function_id":"x"}}', "opts.payload must be"),
        (b'{"id":"a","op":"InvokeFunction","opts":{"payload":{}}}', "opts.function_id must be"),
        (
            b'{"id":"a","op":"InvokeFunction","opts":{"function_id":"x","payload":{"data":[1]}}}',
            "opts.data must be an object, got [1]",
        ),
        (
            b'{"id":"a","op":"Gateway","opts":{"url":"u","body":{"a":1}}}',
            'operation Gateway: opts.body must be a string, got {"a":1}',
        ),
        (b'{"id":"a","op":"Gateway","opts":{"url":"u","headers":{"a":1}}}', "an object of strings"),
        (b'{"id":"a","op":"StepRun","data":1e999}', "beyond the range of a double"),
        (b'{"id":"a","op":"StepRun","data":' + b"[" * 50_000, "error reading"),
    ],
)
def test_refusals_name_operation_field_and_value(body: bytes, words: str) -> None:
    with pytest.raises(MalformedOperation) as caught:
        decode_operations(body)
    assert words in str(caught.value)


def test_an_empty_list_is_returned_as_such() -> None:
    assert decode_operations(b" []") == ()


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,opidStepRun', max_size=60).map(str.encode))
def test_no_body_raises_anything_else(body: bytes) -> None:
    try:
        decode_operations(body)
    except MalformedOperation as problem:
        assert str(problem)  # noqa: PT017 - either outcome is fine, any other exception is not


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
WORD = TEXT.filter(bool)
OBJECT = st.sampled_from([raw("{}"), raw('{"a":[1,null]}')])
ANY = st.sampled_from([raw("null"), raw("5"), raw('"x"'), raw('{"a":1}')])
INPUT = st.none() | st.just(raw("[1]"))
HEAD = {
    "id": WORD,
    "display_name": TEXT,
    "userland": st.builds(ops.Userland, WORD, st.integers(0, 5)),
    "parallel_mode": st.sampled_from(["", "wait", "race"]),
    "timing": st.none() | st.builds(ops.Timing, st.integers(0, 2**60), st.integers(0, 2**40)),
    "metadata": st.none() | st.just(raw('[{"kind":"x"}]')),
}
FAILURE = st.builds(Failure, WORD, WORD, TEXT)
HEADERS = st.dictionaries(WORD, TEXT, max_size=2).map(
    lambda headers: tuple(sorted(headers.items()))
)
LINES = st.builds(LogLine, st.integers(0, 2**50), WORD, TEXT, WORD, WORD)
FIELDS: dict[type, dict[str, st.SearchStrategy[object]]] = {
    ops.Nothing: {},
    ops.LegacyStep: {"data": ANY},
    ops.StepRun: {"data": ANY, "input": INPUT, "type": TEXT},
    ops.StepError: {"failure": FAILURE, "input": INPUT, "type": TEXT},
    ops.StepFailed: {"failure": FAILURE, "input": INPUT, "type": TEXT},
    ops.StepPlanned: {"input": INPUT, "type": TEXT},
    ops.Sleep: {"until": WORD},
    ops.WaitForEvent: {"event": WORD, "timeout": TEXT, "condition": TEXT},
    ops.WaitForSignal: {
        "signal": WORD,
        "timeout": TEXT,
        "conflict": st.sampled_from(["fail", "replace"]),
    },
    ops.InvokeFunction: {
        "function_id": WORD,
        "data": OBJECT,
        "user": st.none() | OBJECT,
        "v": st.none() | WORD,
        "meta": st.none() | OBJECT,
        "timeout": TEXT,
    },
    ops.GatewayCall: {"url": WORD, "method": st.just("GET"), "headers": HEADERS, "body": TEXT},
    ops.AiGatewayCall: {
        "url": WORD,
        "format": TEXT,
        "auth_key": TEXT,
        "headers": HEADERS,
        "body": OBJECT,
        "type": WORD,
    },
    ops.RunComplete: {"data": ANY},
    ops.SyncRunComplete: {"data": ANY},
    ops.DiscoveryRequest: {},
    ops.DeferAdd: {"function_slug": WORD, "input": OBJECT, "meta": st.none() | OBJECT},
    ops.DeferAbort: {"target_id": WORD},
    ops.Logs: {"lines": st.lists(LINES, max_size=2).map(tuple)},
}
OPERATIONS = st.one_of(*[st.builds(kind, **HEAD, **fields) for kind, fields in FIELDS.items()])


def nameless(operation: Operation) -> Operation:
    """`name` is written for old readers even where it was empty."""
    return msgspec.structs.replace(operation, name="")


@given(st.lists(OPERATIONS, min_size=1, max_size=3))
def test_round_trip(operations: list[Operation]) -> None:
    read = decode_operations(encode_operations(operations))
    assert [nameless(operation) for operation in read] == operations


def test_every_operation_is_generated() -> None:
    assert set(FIELDS) == set(get_args(Operation))


def test_written_forms() -> None:
    written = encode_operations(
        [
            ops.Sleep(id="a", display_name="nap", userland=ops.Userland("nap"), until="1m"),
            ops.StepError(id="b", failure=Failure("N", "m")),
            ops.InvokeFunction(id="c", function_id="x-y"),
        ]
    )
    assert json.loads(written) == [
        {
            "id": "a",
            "op": "Sleep",
            "name": "1m",
            "displayName": "nap",
            "opts": {},
            "userland": {"id": "nap"},
        },
        {
            "id": "b",
            "op": "StepError",
            "opts": {},
            "error": {"name": "N", "message": "m"},
        },
        {
            "id": "c",
            "op": "InvokeFunction",
            "opts": {"function_id": "x-y", "payload": {"data": {}}},
        },
    ]


def test_labels() -> None:
    assert ops.label(ops.StepRun(id="a", name="b", display_name="c")) == "c"
    assert ops.label(ops.StepRun(id="a", name="b")) == "b"
    assert ops.label(ops.StepRun(id="a")) == "a"


def test_lazy_operations() -> None:
    assert ops.is_lazy(ops.DeferAdd(id="a", function_slug="x"))
    assert ops.is_lazy(ops.DeferAbort(id="a", target_id="x"))
    assert ops.is_lazy(ops.Logs())
    assert not ops.is_lazy(ops.StepRun(id="a"))


@pytest.mark.parametrize(
    ("start", "duration", "believed"),
    [
        (1_795_375_478_778_000_000, 47_000_000, True),
        (0, 0, True),
        (-1, 5, False),
        (5, -1, False),
        (10**30, 5, False),
        (5, 10**30, False),
        (2**63, 0, False),
    ],
)
def test_times_no_clock_ever_showed_are_not_believed(
    start: int, duration: int, believed: bool
) -> None:
    body = b'[{"op":"StepRun","id":"x","timing":{"a":%d,"b":%d}}]' % (start, duration)
    (found,) = decode_operations(body)
    assert found.timing == (ops.Timing(start, duration) if believed else None)
