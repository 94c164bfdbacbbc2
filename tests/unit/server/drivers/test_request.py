"""What a call tells the function, compared with what the official server told."""

import json
from pathlib import Path
from typing import Any

import rfc8785

from stepwell.server.drivers.request import call_headers, call_request, item_key, within_limit
from stepwell.server.engine.name.lease_id import PLANNED
from stepwell.server.store.port import CallState
from stepwell.wire.execution import CallRequest, encode_call
from stepwell.wire.identifier import function_uuid
from tests.unit.server.drivers.sample import EVENT, LEASE_ID, RUN_ID, job, listing, state

TRANSCRIPT = Path(__file__).parents[3] / "transcripts/python-http/two-steps.json"


def body(call: CallRequest) -> Any:
    return json.loads(encode_call(call))


def shape(value: Any) -> Any:
    """The names in a value and the types behind them."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


def test_the_body_has_the_official_shape() -> None:
    exchange = json.loads(TRANSCRIPT.read_text())["exchange"]
    recorded = next(e for e in exchange if e["from"] == "server")
    actual = body(call_request(job(), state(), listing(retries=0)))
    actual["event"]["data"] = actual["events"][0]["data"] = {}
    # Ours: the official server rounds large numbers, and says nothing of it.
    assert actual.pop("exact_numbers") is True
    # Ours, too: what functions log is kept here.
    assert actual.pop("keeps_logs") is True
    assert shape(actual) == shape(recorded["request_body"])
    headers = call_headers(call_request(job(), state(), listing()), "step")
    assert recorded["request_headers"].keys() - headers.keys() == {"host", "tracestate"}


def test_the_body_is_canonical() -> None:
    call = call_request(job(), state(b=b'{"data":2}', a=b"null"), listing())
    encoded = encode_call(call)
    assert rfc8785.dumps(json.loads(encoded)) == encoded


def test_what_the_function_is_told() -> None:
    made = job(version=2, attempt=1, force_plan=True)
    told = body(call_request(made, state(b=b'{"data":2}', a=b"null"), listing(retries=3)))
    ctx = told["ctx"]
    assert (ctx["attempt"], ctx["max_attempts"], ctx["generation_id"]) == (1, 4, 2)
    assert (ctx["run_id"], ctx["request_id"]) == (RUN_ID, LEASE_ID)
    assert ctx["fn_id"] == function_uuid("shop-a")
    assert ctx["disable_immediate_execution"] is True
    assert ctx["stack"] == {"current": 2, "stack": ["b", "a"]}
    assert told["steps"] == {"a": None, "b": {"data": 2}}
    assert told["event"] == told["events"][0] == json.loads(EVENT)
    assert (told["version"], told["use_api"], ctx["use_api"], ctx["step_id"]) == (
        2,
        False,
        False,
        "step",
    )


def test_a_call_for_one_step_says_its_name() -> None:
    planned = PLANNED + b"charge the card"
    assert call_request(job("h1", detail=planned), state(), listing()).step_name == (
        "charge the card"
    )
    assert call_request(job(detail=planned), state(), listing()).step_name == ""


def test_a_job_keeps_its_id_over_its_attempts_and_the_next_has_another() -> None:
    def job_id(**changed: Any) -> str:
        steps = changed.pop("steps", {})
        return call_request(job(**changed), state(**steps), listing()).ctx.job_id

    first = job_id()
    assert job_id(attempt=1) == first
    assert len({first, job_id(steps={"a": b"1"}), job_id(key="h1"), job_id(key="h2")}) == 4


def test_the_item_of_a_checkpoint_is_found_again() -> None:
    for key in ("", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", "a::b"):
        assert item_key(call_request(job(key), state(), listing()).ctx.qi_id) == key
    for foreign in ("", "?", "bm9wZQ==", "/////w=="):
        assert item_key(foreign) is None


def test_the_headers_of_a_call() -> None:
    call = call_request(job("h1", version=2), state(), listing())
    headers = call_headers(call, "h1")
    assert headers["x-inngest-req-version"] == "2"
    assert headers["x-inngest-step-id"] == "h1"
    assert headers["x-run-id"] == RUN_ID
    assert headers["x-request-id"] == LEASE_ID
    assert headers["x-inngest-job-id"] == call.ctx.job_id
    assert headers["x-inngest-generation-id"] == "1"
    assert headers["user-agent"] == "Inngest"
    other = call_headers(call_request(job(), state(), listing()), "step")
    assert headers["traceparent"] == other["traceparent"]
    assert len(headers["traceparent"]) == 55


def test_e_98_state_beyond_the_limit_is_left_to_be_fetched() -> None:
    small = call_request(job(), state(a=b'"x"'), listing())
    assert within_limit(small) is small
    large = call_request(job(), state(a=b'"' + b"x" * 2_200_000 + b'"', b=b"1"), listing())
    assert within_limit(large) is large
    larger = call_request(
        job(), state(**dict.fromkeys("abc", b'"' + b"x" * 2_000_000 + b'"')), listing()
    )
    told = body(within_limit(larger))
    assert (told["steps"], told["use_api"], told["ctx"]["use_api"]) == ({}, True, True)
    assert len(told["events"]) == 1
    assert len(told["ctx"]["stack"]["stack"]) == 3


def test_events_beyond_the_limit_are_left_to_be_fetched_too() -> None:
    event = b'{"data":{"x":"' + b"y" * 1_000_000 + b'"},"id":"e","name":"x","ts":1,"user":{}}'
    call = call_request(job(), CallState((event,) * 8, ()), listing())
    told = body(within_limit(call))
    assert (told["events"], told["use_api"]) == ([], True)
    assert told["event"]["name"] == "x"
    assert len(encode_call(within_limit(call))) < 4 * 1024 * 1024


def test_no_body_is_over_the_limit_by_a_little() -> None:
    """Many steps count by their keys as well."""
    steps = {f"{n:040x}": b"1" for n in range(45_000)}
    call = within_limit(call_request(job(), state(**steps), listing()))
    assert call.use_api is True
