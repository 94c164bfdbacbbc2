"""What a function answered, as the reply that travels. Protocol section 7.3; W-17."""

import pytest

from stepwell.sdk.connect.answer import reply_to
from stepwell.wire import header
from stepwell.wire.connect_word import ExecutorRequest, ReplyStatus
from stepwell.wire.execution import CallResponse

REQUEST = ExecutorRequest(
    *("R1", "acct", "env", "app-id", "app", "fn", "slug", "step", b"{}", b'{"s":1}', b'{"u":1}'),
    run_id="run",
    lease_id="lease",
)


def response(status: int, body: bytes = b"1", **headers: str) -> CallResponse:
    return CallResponse(status, body, {name.replace("_", "-"): v for name, v in headers.items()})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, ReplyStatus.DONE),
        (206, ReplyStatus.NOT_COMPLETED),
        *((bad, ReplyStatus.ERROR) for bad in (201, 400, 401, 403, 404, 410, 413, 500, 503)),
    ],
)
def test_w17_only_200_is_done_and_only_206_goes_on(status: int, expected: ReplyStatus) -> None:
    """Whatever else it is, read as done it would turn bad input into a run that succeeded."""
    reply = reply_to(REQUEST, response(status))
    assert reply.status is expected


def test_w17_a_failure_that_is_not_to_be_tried_again_says_so_and_when_otherwise() -> None:
    failed = reply_to(REQUEST, response(400, x_inngest_no_retry="true"))
    assert (failed.status, failed.no_retry, failed.retry_after) == (ReplyStatus.ERROR, True, None)
    later = reply_to(REQUEST, response(500, retry_after="30"))
    assert (later.no_retry, later.retry_after) == (False, "30")
    step = reply_to(REQUEST, response(206, x_inngest_no_retry="true"))
    assert (step.status, step.no_retry) == (ReplyStatus.NOT_COMPLETED, True)


def test_w17_what_is_done_never_says_that_it_failed() -> None:
    """A server reads either on a finished call as a failure."""
    done = reply_to(REQUEST, response(200, x_inngest_no_retry="true", retry_after="30"))
    assert (done.status, done.no_retry, done.retry_after) == (ReplyStatus.DONE, False, None)


def test_w17_a_reply_echoes_who_asked_and_is_never_without_body_or_trace() -> None:
    reply = reply_to(REQUEST, response(200, b""))
    told = (reply.request_id, reply.account_id, reply.env_id, reply.app_id, reply.run_id)
    assert told == ("R1", "acct", "env", "app-id", "run")
    assert (reply.system_trace, reply.user_trace, reply.body) == (b'{"s":1}', b'{"u":1}', b"null")
    assert reply.sdk_version.startswith("inngest-py:v")
    assert reply.request_version == header.REQUEST_VERSION
    bare = ExecutorRequest(
        *("R1", "", "", "", "app", "", "slug", None, b"{}", b"", b""), run_id="", lease_id=""
    )
    empty = reply_to(bare, response(200))
    assert (empty.system_trace, empty.user_trace) == (b"{}", b"{}")
    versioned = reply_to(REQUEST, response(200, x_inngest_req_version="1"))
    assert versioned.request_version == 1
