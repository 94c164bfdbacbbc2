"""Spans of user code: taken in as exporters send them, shown where they belong."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from stepwell.wire.identifier import step_hash
from stepwell.wire.limit import USER_SPANS_REQUEST_BYTES_MAX
from tests.unit.server.api.harness import Api, function, serving, text
from tests.unit.server.api.test_annotations import begun, charged

UNKNOWN = "01JQDAE4RQ0000000000000009"
PATH = "/v1/traces/userland"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"))
        yield made


def span(id_: str, parent: str = "", **attributes: Any) -> dict[str, Any]:
    """A span as an exporter writes it."""
    told = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    return {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": id_,
        "parentSpanId": parent,
        "name": f"span {id_}",
        "kind": 3,
        "startTimeUnixNano": "1743130137367000000",
        "endTimeUnixNano": "1743130137369000000",
        "attributes": told,
        "status": {},
    }


def sent(*spans: dict[str, Any]) -> dict[str, Any]:
    service = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    scope = {"scope": {"name": "httpx", "version": "1"}, "spans": spans}
    return {"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [scope]}]}


async def trace(api: Api, run_id: str) -> Any:
    return (await api.http.get(f"/v2/runs/{run_id}/trace")).json()["data"]["rootSpan"]


async def test_spans_stand_under_their_step_and_within_each_other(api: Api) -> None:
    job = await begun(api)
    await api.answer(job, charged())
    run_id = job.run.id
    named = {"inngest.run.id": run_id, "inngest.step.id": "charge"}
    count = {"key": "n", "value": {"intValue": "7"}}
    deep = {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": True}, {}]}}}
    inner = span("c", "b")
    inner["attributes"] = [count, deep]
    inner["status"] = {"code": 2, "message": "no route"}
    of_run = span("d", **{"sdk.run.id": run_id})
    answer = await api.http.post(PATH, json=sent(span("b", "above", **named), inner, of_run))
    assert (answer.status_code, answer.json()) == (200, {})
    root = await trace(api, run_id)
    charge, *_, beside = root["children"]
    (outer,) = charge["children"]
    (within,) = outer["children"]
    assert (outer["name"], outer["status"], outer["durationMs"]) == ("span b", "COMPLETED", 2)
    assert "attempt" not in outer
    told = outer["userland"]
    assert (told["spanKind"], told["serviceName"], told["scopeName"]) == ("CLIENT", "shop", "httpx")
    assert told["spanAttrs"] == named
    assert told["resourceAttrs"] == {"service.name": "shop"}
    assert (within["status"], within["detail"]) == ("FAILED", "no route")
    assert within["userland"]["spanAttrs"] == {"n": 7, "l": [True, None]}
    assert beside["name"] == "span d"
    # A span that is sent again is the same one; code that ran in spans is counted once.
    await api.http.post(PATH, json=sent(span("b", "above", **named)))
    assert len((await trace(api, run_id))["children"][0]["children"]) == 1
    timeline = (await api.http.get(f"/v1/runs/{run_id}/timeline")).json()["data"]
    assert timeline["children"][0]["children"][0]["kind"] == "userland"


async def test_graphql_tells_them_as_user_code(api: Api) -> None:
    job = await begun(api)
    await api.answer(job, charged())
    named = {"inngest.run.id": job.run.id, "inngest.step.hash": step_hash("charge")}
    await api.http.post(PATH, json=sent(span("b", **named)))
    question = (
        "query ($id: String!) { runTrace(runID: $id) { childrenSpans { attempts childrenSpans {"
        " isUserland userlandSpan { spanName serviceName spanAttrs } } } } }"
    )
    body = {"query": question, "variables": {"id": job.run.id}}
    told = (await api.http.post("/v0/gql", json=body)).json()["data"]["runTrace"]
    (user,) = told["childrenSpans"][0]["childrenSpans"]
    assert user["isUserland"]
    assert user["userlandSpan"]["spanName"] == "span b"
    assert '"inngest.run.id"' in user["userlandSpan"]["spanAttrs"]


async def test_spans_of_no_run_are_counted_as_refused(api: Api) -> None:
    job = await begun(api)
    mine = span("a", **{"inngest.run.id": job.run.id})
    circle = [span("x", "y"), span("y", "x")]
    other = span("z", **{"sdk.run.id": UNKNOWN})
    answer = await api.http.post(PATH, json=sent(mine, *circle, other))
    told = answer.json()["partialSuccess"]
    assert told == {"rejectedSpans": "3", "errorMessage": f"run {UNKNOWN}: no such run"}
    assert [one["name"] for one in (await trace(api, job.run.id))["children"]][-1] == "span a"


async def test_spans_that_name_each_other_as_parents_are_shown(api: Api) -> None:
    job = await begun(api)
    named = {"inngest.run.id": job.run.id}
    await api.http.post(PATH, json=sent(span("x", "y", **named), span("y", "x", **named)))
    assert (await trace(api, job.run.id))["name"] == "shop-a"


async def test_a_tower_of_spans_is_shown_as_far_as_anybody_looks(api: Api) -> None:
    job = await begun(api)
    named = {"inngest.run.id": job.run.id}
    tower = [span(f"s{n}", f"s{n - 1}" if n else "", **named) for n in range(2_000)]
    assert (await api.http.post(PATH, json=sent(*tower))).json() == {}
    told = (await trace(api, job.run.id))["children"][-1]
    depth = 0
    while told["children"]:
        (told,) = told["children"]
        depth += 1
    assert depth == 49


async def test_a_packed_body_is_unpacked_up_to_a_bound(api: Api) -> None:
    job = await begun(api)
    body = text(sent(span("a", **{"inngest.run.id": job.run.id}))).encode()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    packed = gzip.compress(body)
    assert (await api.http.post(PATH, content=packed, headers=headers)).json() == {}
    bomb = gzip.compress(b" " * (USER_SPANS_REQUEST_BYTES_MAX + 1))
    answer = await api.http.post(PATH, content=bomb, headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"{", "application/json", 400, "the spans cannot be read"),
        (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}',
            "application/json",
            400,
            "traceId",
        ),
        (b"\x1f\x8bnothing", "application/json", 400, "cannot be read"),
        (b"{}", "text/plain", 415, "send OTLP as application/json or application/x-protobuf"),
        (b"{", "application/x-protobuf", 400, "the spans cannot be read"),
    ],
)
async def test_what_is_no_export(api: Api, body: bytes, kind: str, status: int, said: str) -> None:
    answer = await api.http.post(PATH, content=body, headers={"content-type": kind})
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text


async def test_a_run_holds_so_many_spans(api: Api) -> None:
    job = await begun(api)
    named = {"inngest.run.id": job.run.id, "big": "x" * 60_000}
    answers = [
        (
            await api.http.post(PATH, json=sent(*(span(f"{n}-{i}", **named) for i in range(20))))
        ).json()
        for n in range(5)
    ]
    assert answers[:3] == [{}, {}, {}]
    assert "at most 4194304 are allowed" in answers[-1]["partialSuccess"]["errorMessage"]


async def test_spans_in_protobuf_are_those_in_json(api: Api) -> None:
    """As most exporters send them."""
    job = await begun(api)
    await api.answer(job, charged())
    run_id = job.run.id
    request = trace_service_pb2.ExportTraceServiceRequest()
    made = request.resource_spans.add()
    made.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = made.scope_spans.add()
    scope.scope.name, scope.scope.version = "httpx", "1"
    sent_span = scope.spans.add(
        trace_id=bytes.fromhex("0af7651916cd43dd8448eb211c80319c"),
        span_id=bytes.fromhex("b7ad6b7169203331"),
        parent_span_id=bytes.fromhex("00f067aa0ba902b7"),
        name="GET",
        kind=3,
        start_time_unix_nano=1743130137367000000,
        end_time_unix_nano=1743130137369000000,
    )
    sent_span.status.code, sent_span.status.message = 2, "no route"
    sent_span.attributes.add(key="inngest.run.id").value.string_value = run_id
    sent_span.attributes.add(key="inngest.step.hash").value.string_value = step_hash("charge")
    sent_span.attributes.add(key="n").value.int_value = 7
    sent_span.attributes.add(key="d").value.double_value = 0.5
    sent_span.attributes.add(key="b").value.bytes_value = b"x"
    sent_span.attributes.add(key="none")
    listed = sent_span.attributes.add(key="l").value.array_value.values
    listed.add().bool_value = True
    within = sent_span.attributes.add(key="o").value.kvlist_value.values
    within.add(key="k").value.string_value = "v"
    scope.spans.add(span_id=b"12345678", name="of no run")
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    body = gzip.compress(request.SerializeToString())
    answer = await api.http.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    told = trace_service_pb2.ExportTraceServiceResponse.FromString(answer.content)
    assert told.partial_success.rejected_spans == 1
    assert "name no run" in told.partial_success.error_message
    (shown,) = (await trace(api, run_id))["children"][0]["children"]
    assert (shown["name"], shown["status"], shown["detail"]) == ("GET", "FAILED", "no route")
    assert shown["durationMs"] == 2
    user = shown["userland"]
    assert (user["spanKind"], user["serviceName"], user["scopeName"]) == ("CLIENT", "shop", "httpx")
    attributes = user["spanAttrs"]
    assert {key: attributes[key] for key in ("n", "d", "b", "none", "l", "o")} == {
        "n": 7,
        "d": 0.5,
        "b": "eA==",
        "none": None,
        "l": [True],
        "o": {"k": "v"},
    }
