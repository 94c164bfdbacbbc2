"""Delivery: what an answer means, when a send is repeated, what a failure is told as."""

import json

import pytest

from stepwell.sdk.errors import SendEventsError
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.send.delivery import (
    Delivery,
    EventBatch,
    HttpEventPort,
    Outcome,
    accepted_ids,
    read_answer,
    wait_before_retry,
)


def answer(status: int, body: object, **headers: str) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(HttpReply(status, {k.replace("_", "-"): v for k, v in headers.items()}, raw))


def test_accepted() -> None:
    delivery = answer(200, {"ids": ["a", "b"], "status": 200})
    assert (delivery.status, delivery.ids, delivery.error) == (200, ("a", "b"), None)
    assert accepted_ids(delivery, "x") == ["a", "b"]


def test_a_missing_status_is_no_error() -> None:
    assert answer(200, {"ids": ["a"]}).error is None


@pytest.mark.parametrize(
    ("status", "body", "told", "words"),
    [
        (200, {"ids": [], "status": 400, "error": "bad"}, 400, "bad"),
        (200, {"ids": ["a"], "error": "half"}, 200, "half"),
        (200, {"ids": [], "status": 401}, 401, "Event key Not Found"),
        (200, {}, 200, "no ids"),
        (200, b"<html>", 200, "not that of an event API"),
        (200, b"\xff", 200, "not that of an event API"),
        (400, {"error": "event name is empty"}, 400, "event name is empty"),
        (401, b"nope", 401, "Event key Not Found"),
        (404, b"", 404, "Event key not found"),
        (403, {}, 403, "Forbidden"),
        (406, b'["why"]', 406, "why"),
        (412, b"", 412, "Event transformation failed"),
        (413, b"", 413, "Event payload too large"),
        (500, b"", 500, "Internal server error"),
        (503, b"come back", 503, "come back"),
        (503, {}, 503, "HTTP status 503"),
    ],
)
def test_refused(status: int, body: object, told: int, words: str) -> None:
    delivery = answer(status, body)
    assert delivery.status == told
    with pytest.raises(SendEventsError, match=f"Inngest API Error: {told} .*{words}") as caught:
        accepted_ids(delivery, "x")
    assert caught.value.status_code == told
    assert caught.value.response_body == delivery.body


@pytest.mark.parametrize("status", [200, 400, 502])
@pytest.mark.parametrize("body", [b"", b" ", b"null", b"[]", b'"x"', b"{}", b"\xff", b'{"ids": 5}'])
def test_an_answer_that_is_none_is_an_error_of_sending(status: int, body: bytes) -> None:
    with pytest.raises(SendEventsError) as caught:
        accepted_ids(read_answer(HttpReply(status, {}, body)), "http://x")
    assert caught.value.status_code == status
    assert caught.value.ids == []


def test_who_was_told_no_server_learns_where_events_went() -> None:
    for where, told in (("https://inn.gs/", True), ("https://shop.test/", False)):
        with pytest.raises(SendEventsError) as lost:
            accepted_ids(NetworkError("no such host"), where)
        assert ("set INNGEST_BASE_URL to its address" in str(lost.value)) is told
        with pytest.raises(SendEventsError) as refused:
            accepted_ids(answer(401, b""), where)
        assert ("set INNGEST_BASE_URL to its address" in " ".join(refused.value.__notes__)) is told


def test_what_was_accepted_before_the_bad_one_is_kept() -> None:
    delivery = answer(400, {"ids": ["a", ""], "status": 400, "error": "bad"})
    with pytest.raises(SendEventsError) as caught:
        accepted_ids(delivery, "x")
    assert caught.value.ids == ["a"]


def test_nobody_listens_where_a_development_server_would() -> None:
    for trouble, where, told in (
        ("refused", "http://localhost:8288/", True),
        ("refused", "http://other.test/", False),
        ("timeout", "http://127.0.0.1:8288/", False),
    ):
        with pytest.raises(SendEventsError) as caught:
            accepted_ids(NetworkError("x", trouble), where)  # type: ignore[arg-type]
        assert ("start one with `stepwell dev`" in str(caught.value)) is told


def test_no_answer_at_all() -> None:
    trouble = NetworkError("POST u: refused", "refused")
    with pytest.raises(SendEventsError, match=r"Failed to send events to u: POST u: refused") as e:
        accepted_ids(trouble, "u")
    assert e.value.__cause__ is trouble
    assert e.value.status_code is None


LOST = NetworkError("x", "lost")
REFUSED = NetworkError("x", "refused")


@pytest.mark.parametrize(
    ("outcome", "attempt", "wait"),
    [
        (REFUSED, 0, 0.15),
        (REFUSED, 1, 0.25),
        (REFUSED, 2, 0.45),
        (REFUSED, 3, 0.85),
        (REFUSED, 4, None),
        (LOST, 0, 0.0),
        (LOST, 1, 0.25),
        (Delivery(500, (), "x"), 0, 0.15),
        (Delivery(503, (), "x"), 3, 0.85),
        (Delivery(429, (), "x"), 0, 0.15),
        (Delivery(429, (), "x", "", 7.0), 0, 7.0),
        (Delivery(400, (), "x"), 0, None),
        (Delivery(404, (), "x"), 0, None),
        (Delivery(200, (), "x"), 0, None),
        (Delivery(200, ("a",)), 0, None),
    ],
)
def test_what_is_repeated_and_when(outcome: Outcome, attempt: int, wait: float | None) -> None:
    assert wait_before_retry(outcome, attempt, 5, 0.5) == (
        None if wait is None else pytest.approx(wait)
    )


def test_retry_after_is_read() -> None:
    assert answer(429, {}, retry_after="3").retry_after_seconds == 3.0
    assert answer(429, {}, retry_after="soon").retry_after_seconds is None


class Recorder:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes | None]] = []

    async def request(self, method, url, *, headers, body, timeout_seconds) -> HttpReply:  # type: ignore[no-untyped-def]
        return self.request_sync(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )

    def request_sync(self, method, url, *, headers, body, timeout_seconds) -> HttpReply:  # type: ignore[no-untyped-def]
        assert timeout_seconds == 9
        self.seen.append((method, url, dict(headers), body))
        return HttpReply(200, {}, b'{"ids":["a"],"status":200}')


async def test_the_http_port_in_both_colours() -> None:
    http = Recorder()
    port = HttpEventPort(lambda: http, "http://h/e/k", {"x-inngest-env": "main"}, 9)
    batch = EventBatch(b"[]", 1, "1,x")
    assert await port.deliver(batch) == port.deliver_sync(batch)
    expected = {"x-inngest-env": "main", "x-inngest-event-id-seed": "1,x"}
    assert http.seen == [("POST", "http://h/e/k", expected, b"[]")] * 2
    port.deliver_sync(EventBatch(b"[]", 1, "1,x", "staging"))
    assert http.seen[-1][2]["x-inngest-env"] == "staging"
