"""Every kind of answer an app can give, and what the server makes of it."""

import json

import pytest

from stepwell.server.drivers.reply import read_reply, unreachable
from stepwell.server.engine.message.input import Broke, Outcome, Progressed, Returned
from stepwell.wire.operation import StepRun

NOW = 1_700_000_000_000
SDK = {"x-inngest-sdk": "inngest-py:v0.5.19", "x-inngest-req-version": "2"}
STEP = b'[{"id":"a1","op":"StepRun","name":"a","data":{"z":1,"a":2}}]'


def read(status: int, body: bytes, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_reply(status, {**SDK, **named}, body, NOW)


def broke(outcome: Outcome) -> Broke:
    assert isinstance(outcome, Broke)
    json.loads(outcome.output)
    return outcome


def test_a_return_value_ends_the_run() -> None:
    assert read(200, b'{"b":1, "a":[2]}') == Returned(b'{"a":[2],"b":1}', 2)


@pytest.mark.parametrize(
    ("body", "output"), [(b"", b"null"), (b" \n", b"null"), (b"hi", b'"hi"'), (b"<p>", b'"<p>"')]
)
def test_what_is_no_json_is_kept_as_a_text(body: bytes, output: bytes) -> None:
    assert read(200, body) == Returned(output, 2)


def test_operations_are_progress() -> None:
    outcome = read(206, STEP)
    assert isinstance(outcome, Progressed)
    (operation,) = outcome.operations
    assert isinstance(operation, StepRun)
    assert bytes(operation.data) == b'{"a":2,"z":1}'
    assert (outcome.version, outcome.delay_ms, outcome.no_retry) == (2, None, False)


def test_an_empty_list_is_progress_of_nothing() -> None:
    assert read(206, b"[]") == Progressed((), 2)


def test_a_missing_or_odd_version_means_legacy_scheduling() -> None:
    for named in ({}, {"x-inngest-req-version": "new"}):
        outcome = read_reply(206, {"x-inngest-sdk": "go:v0", **named}, STEP, NOW)
        assert isinstance(outcome, Progressed)
        assert outcome.version == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "error reading generator opcode response"),
        (b"[null]", "error reading generator opcode response"),
        (b'[{"id":"x","op":"StepNotFound"}]', "StepNotFound"),
        (b'[{"id":"x","op":"InvokeFunction","opts":{"function_id":"f"}}]', "payload"),
    ],
)
def test_operations_nobody_can_act_upon_are_a_failed_attempt(body: bytes, said: str) -> None:
    outcome = broke(read(206, body))
    assert said in outcome.failure.message
    assert outcome.no_retry is False


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503, 202])
def test_the_header_alone_decides_about_another_try(status: int) -> None:
    body = b'{"name":"ValueError","message":"nope","stack":"s","code":"x"}'
    again = broke(read(status, body))
    assert (again.failure.name, again.failure.message) == ("ValueError", "nope")
    assert again.no_retry is False
    assert again.reason == f"invalid status code: {status}"
    assert json.loads(again.output)["code"] == "x"
    assert broke(read(status, body, x_inngest_no_retry="true")).no_retry is True
    assert broke(read(status, body, x_inngest_no_retry="True")).no_retry is False


def test_an_error_that_is_no_json_is_kept() -> None:
    outcome = broke(read(500, b"it broke"))
    assert outcome.failure.message == "it broke"
    assert outcome.output == b'"it broke"'


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("2", 2_000),
        ("0", 1_000),
        ("9999999", 86_400_000),
        ("2023-11-14T22:13:30Z", 10_000),
        ("Tue, 14 Nov 2023 22:13:25 GMT", 5_000),
        ("2001-01-01T00:00:00Z", 1_000),
        ("whenever", None),
    ],
)
def test_retry_after_is_a_delay_between_a_second_and_a_day(text: str, delay: int | None) -> None:
    assert broke(read(500, b"{}", retry_after=text)).delay_ms == delay
    outcome = read(206, STEP, retry_after=text, x_inngest_no_retry="true")
    assert isinstance(outcome, Progressed)
    assert (outcome.delay_ms, outcome.no_retry) == (delay, True)


def test_a_page_in_place_of_the_sdk_is_named_and_kept() -> None:
    outcome = broke(read_reply(200, {"content-type": "text/html"}, b"<html>hi</html>", NOW))
    assert "did not come from an Inngest SDK" in outcome.failure.message
    assert json.loads(outcome.output) == "<html>hi</html>"
    assert outcome.no_retry is False


def test_a_gateways_error_page_is_told_with_its_status() -> None:
    outcome = broke(read_reply(504, {}, b"<h1>timeout</h1>", NOW))
    assert outcome.failure.name == "Server returned a fatal error"
    assert outcome.failure.message == "Your server returned HTTP 504 before the SDK responded."
    assert outcome.failure.stack == "<h1>timeout</h1>"
    assert json.loads(outcome.output)["stack"] == "<h1>timeout</h1>"


def test_who_takes_no_body_so_large_is_told_what_to_raise() -> None:
    message = broke(read_reply(413, {}, b"too large", NOW)).failure.message
    assert message.startswith("Your server returned HTTP 413 before the SDK responded. It, or a")
    assert "takes no bodies as large as this run's state: raise its limit" in message


def test_no_retry_of_a_stranger_is_not_believed() -> None:
    assert broke(read_reply(500, {"x-inngest-no-retry": "true"}, b"", NOW)).no_retry is False


def test_a_body_beyond_the_limit_ends_the_run() -> None:
    outcome = broke(read(200, b'"' + b"x" * (8 * 1024 * 1024) + b'"'))
    assert outcome.failure.name == "output_too_large"
    assert "8388610 bytes, at most 8388608" in outcome.failure.message
    assert outcome.no_retry is True


def envelope(status: int, body: object, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return b"   \n " + json.dumps({"status": status, "headers": named, "body": body}).encode()


def test_a_streamed_answer_counts_as_if_it_had_come_directly() -> None:
    assert read(201, envelope(200, '{"a":1}')) == Returned(b'{"a":1}', 2)
    assert read(201, envelope(200, {"a": 1})) == Returned(b'{"a":1}', 2)
    progressed = read(201, envelope(206, STEP.decode(), X_Inngest_Req_Version="1"))
    assert isinstance(progressed, Progressed)
    assert progressed.version == 1
    failed = broke(read(201, envelope(500, '{"message":"x"}', x_inngest_no_retry="true")))
    assert (failed.failure.message, failed.no_retry) == ("x", True)


def test_a_streamed_answer_cut_short_is_a_failed_attempt() -> None:
    assert "no envelope" in broke(read(201, b"     ")).failure.message
    assert "no envelope" in broke(read(201, b'  {"status":200,"bo')).failure.message
    assert broke(read(201, b'{"status":200,"error":"timed out"}')).failure.message == "timed out"
    nested = envelope(201, envelope(200, "1").decode())
    assert "holds another one" in broke(read(201, nested)).failure.message


def test_a_streamed_answer_of_a_stranger_is_no_answer() -> None:
    outcome = broke(read_reply(201, {}, envelope(200, "1"), NOW))
    assert "did not come from an Inngest SDK" in outcome.failure.message


def test_no_answer_at_all_is_worth_another_try() -> None:
    outcome = unreachable("Unable to reach http://x: connection refused", "ConnectionRefusedError")
    assert (outcome.no_retry, outcome.delay_ms) == (False, None)
    assert json.loads(outcome.output)["message"].startswith("Unable to reach http://x")


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"a":1e999}', b"[" * 100_000, b"nul"])
def test_no_body_makes_the_server_stumble(body: bytes) -> None:
    for status in (200, 201, 206, 400, 500):
        for headers in ({}, SDK):
            assert read_reply(status, headers, body, NOW) is not None


def test_an_app_that_takes_no_large_bodies_is_told_what_to_do() -> None:
    """Features E.1, item 7."""
    outcome = read_reply(413, {}, b"<h1>Request Entity Too Large</h1>", NOW)
    assert isinstance(outcome, Broke)
    assert "HTTP 413" in outcome.failure.message
    assert "raise its limit" in outcome.failure.message
    assert "return less from steps" in outcome.failure.message


CUT_STEP = "0123456789abcdef0123456789abcdef01234567"
LONG = "é" * 9_000_000


def test_an_error_that_is_too_long_is_an_error_as_any_other() -> None:
    told = {"name": "ValueError", "message": f"first {LONG}", "stack": "s"}
    outcome = read_reply(500, {"x-inngest-sdk": "x"}, json.dumps(told).encode(), 0)
    assert isinstance(outcome, Broke)
    assert not outcome.no_retry
    assert outcome.failure.name == "ValueError"
    assert outcome.failure.message.startswith("first é")
    assert "shortened" in outcome.failure.message
    assert len(outcome.output) < 300_000


@pytest.mark.parametrize("kind", ["StepError", "StepFailed"])
def test_a_step_whose_error_is_too_long_is_a_step_that_failed(kind: str) -> None:
    error = {"name": "ValueError", "message": LONG}
    body = json.dumps([{"id": CUT_STEP, "op": kind, "error": error}]).encode()
    cut = body[: 8 * 1024 * 1024 + 1]
    outcome = read_reply(206, {"x-inngest-sdk": "x"}, cut, 0)
    assert isinstance(outcome, Progressed)
    (operation,) = outcome.operations
    assert (operation.id, operation.op) == (CUT_STEP, kind)
    assert operation.failure.name == "ValueError"  # type: ignore[union-attr]


def test_a_large_error_is_kept_with_its_texts_shortened() -> None:
    told = {"name": "ValueError", "message": "x" * 5_000_000}
    outcome = read_reply(500, {"x-inngest-sdk": "x"}, json.dumps(told).encode(), 0)
    assert isinstance(outcome, Broke)
    assert len(outcome.output) < 300_000
    assert json.loads(outcome.output)["name"] == "ValueError"
