"""Questions and spans made to take long: GraphQL, the protocol of tools, OpenTelemetry."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from stepwell.server.api.graphql import answer as graphql
from stepwell.server.api.graphql.bounds import FIELDS_MAX, TOKENS_MAX
from stepwell.server.api.routing.route import BODY_BYTES_DEFAULT
from stepwell.server.api.v1 import otlp_protobuf, userland
from stepwell.server.api.v1.otlp_protobuf import MalformedSpans, decode_protobuf
from stepwell.wire import otlp
from stepwell.wire.limit import (
    REGISTRATION_BYTES_MAX,
    USER_SPANS_REQUEST_MAX,
    USER_SPANS_VALUES_MAX,
)
from tests.unit.server.api.harness import Api, serving

PATH = "/v1/traces/userland"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as served:
        yield served


def fragments(count: int, each: str) -> str:
    made = " ".join(f"fragment f{n} on Query {{ {each.format(n + 1)} }}" for n in range(count))
    return f"{{ ...f0 }} {made} fragment f{count} on Query {{ apps {{ name }} }}"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (fragments(40, "...f{0} ...f{0}"), f"over {FIELDS_MAX} fields"),
        (fragments(1_000, "...f{0}"), None),
        ("{ apps " * 2_000 + "{ name }" + "}" * 2_000, "nested too deeply"),
        ("{ " + "... { " * 2_000 + "apps { name }" + "}" * 2_001, "nested too deeply"),
        ("{ app(id: " + "[" * 3_000 + "]" * 3_000 + ") { name } }", "nested too deeply"),
        ("{ " + " ".join(f"a{n}: apps {{ name }}" for n in range(3_000)) + "}", "tokens"),
        ("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", "Cannot spread"),
        ("{ runs(first: " + "9" * 5_000 + ", orderBy: []) { edges { cursor } } }", None),
    ],
    ids=["bomb", "chain", "fields", "inline", "lists", "aliases", "circle", "digits"],
)
async def test_a_question_made_to_take_long_is_refused(
    api: Api, query: str, said: str | None
) -> None:
    answer = await api.http.post("/v0/gql", json={"query": query})
    assert answer.status_code == 422, answer.text[:300]
    if said is not None:
        assert said in answer.text


async def test_others_have_their_turn_while_a_long_answer_is_put_together(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def page(info: object, **given: object) -> dict[str, Any]:
        return {"edges": [{"node": {"id": f"{number}"}} for number in range(399)]}

    monkeypatch.setitem(graphql.QUERY, "runs", page)
    fields = " ".join(f"a{number}: id" for number in range(48))
    asking = 'runs(first: 399, orderBy: [], filter: {from: "2026-01-01T00:00:00Z"})'
    query = f"{{ {asking} {{ edges {{ node {{ {fields} }} }} }} }}"
    asked = asyncio.create_task(api.http.post("/v0/gql", json={"query": query}))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    edges = (await asked).json()["data"]["runs"]["edges"]
    assert [edge["node"]["a47"] for edge in edges] == [f"{number}" for number in range(399)]
    assert turns > 399 // graphql.LISTED_AT_ONCE


async def test_a_question_is_read_beside_the_loop(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To compare thousands of fields of one name with each other takes seconds."""
    threads: list[int] = []

    def watched(read: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            threads.append(threading.get_ident())
            return read(*given, **named)

        return noted

    for step in ("parse", "validate", "excess"):
        monkeypatch.setattr(graphql, step, watched(getattr(graphql, step)))
    answer = await api.http.post("/v0/gql", json={"query": "{ apps { name } }"})
    assert answer.json() == {"data": {"apps": []}}
    assert len(threads) == 3
    assert threading.get_ident() not in threads
    assert TOKENS_MAX <= 10_000


@pytest.mark.parametrize(
    "path", ["/v0/gql", "/mcp", "/v2/keys", "/v1/cancellations", "/v1/realtime/token"]
)
async def test_bodies_that_hold_no_data_are_short(api: Api, path: str) -> None:
    """What is built of them is built in one go."""
    long = b'{"query":"{ apps { name } }","variables":{"a":[' + b"[]," * 100_000 + b"0]}}"
    assert len(long) > BODY_BYTES_DEFAULT
    answer = await api.http.post(path, content=long, headers={"content-type": "application/json"})
    assert answer.status_code == 413, answer.text[:300]


@pytest.mark.logs("a registration was refused: the request body is over")
async def test_a_registration_is_not_read_without_end(api: Api) -> None:
    answer = await api.http.post("/fn/register", content=b" " * (REGISTRATION_BYTES_MAX + 1))
    assert answer.status_code == 413


async def test_a_message_to_tools_is_not_deep(api: Api) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    deep = json.dumps(message).encode().replace(b"{}}", b"[" * 9_000 + b"]" * 9_000 + b"}")
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    answer = await api.http.post("/mcp", content=deep, headers=headers)
    assert answer.status_code == 400, answer.text[:300]
    assert "250 levels" in answer.text


# -- spans of user code ---------------------------------------------------------------------------


def export(spans: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


async def test_spans_are_counted_before_they_are_looked_at(api: Api) -> None:
    span = {"traceId": "", "spanId": "a"}
    many = await api.http.post(PATH, json=export([span] * (USER_SPANS_REQUEST_MAX + 1)))
    assert many.status_code == 413
    assert f"at most {USER_SPANS_REQUEST_MAX}" in many.text
    values = [{"key": "k", "value": {"intValue": 1}}] * (USER_SPANS_VALUES_MAX // 3)
    large = await api.http.post(PATH, json=export([{**span, "attributes": values}]))
    assert large.status_code == 413
    assert "values" in large.text


def test_empty_spans_in_protobuf_are_not_made_into_ours() -> None:
    spans = b"\x12\x00" * (USER_SPANS_REQUEST_MAX + 1)
    scope = b"\x12" + _varint(len(spans)) + spans
    with pytest.raises(MalformedSpans, match="at most"):
        decode_protobuf(b"\x0a" + _varint(len(scope)) + scope)


@pytest.mark.parametrize(
    ("numbers", "empty"),
    [((1,), b"\x12\x00"), ((1, 2), b"\x12\x00"), ((1, 2, 2), b"\x4a\x00"), ((), b"\x0a\x00")],
    ids=["scopes", "spans", "attributes", "resources"],
)
def test_fields_in_protobuf_are_counted_before_they_are_read(
    numbers: tuple[int, ...], empty: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_protobuf, "ExportTraceServiceRequest", _Unread)
    body = empty * (otlp_protobuf.FIELDS_MAX + 1)
    for number in reversed(numbers):
        body = bytes([number << 3 | 2]) + _varint(len(body)) + body
    with pytest.raises(MalformedSpans, match="fields"):
        decode_protobuf(body)


class _Unread:
    DESCRIPTOR = otlp_protobuf.ExportTraceServiceRequest.DESCRIPTOR

    @staticmethod
    def FromString(body: bytes) -> None:
        raise AssertionError("it was read whole")


def test_a_long_body_with_few_fields_is_read() -> None:
    request = otlp_protobuf.ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="n")
    span.start_time_unix_nano = 1
    attribute = span.attributes.add(key="prompt")
    attribute.value.string_value = "a" * (otlp_protobuf.UNCOUNTED_BYTES_MAX + 1)
    span.attributes.add(key="score").value.double_value = 1.5
    (told,) = decode_protobuf(request.SerializeToString()).resource_spans[0].scope_spans[0].spans
    assert len(told.attributes[0].value.string_value or "") > otlp_protobuf.UNCOUNTED_BYTES_MAX


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def test_of_a_long_chain_of_spans_each_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    named = userland._named

    def counted(one: Any) -> Any:
        nonlocal looks
        looks += 1
        return named(one)

    monkeypatch.setattr(userland, "_named", counted)
    count = 2_000
    told = [
        otlp.OtlpSpan(trace_id="t", span_id=f"{n}", parent_span_id=f"{(n + 1) % count}")
        for n in range(count)
    ]
    circle = otlp.Export((otlp.ResourceSpans(scope_spans=(otlp.ScopeSpans(spans=tuple(told)),)),))
    kept, rejected = userland._sorted_out(circle)
    assert (kept, rejected) == ({}, count)
    assert looks == count
