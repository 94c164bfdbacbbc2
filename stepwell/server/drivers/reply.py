"""The only place that judges what an app answered: status, headers and body become an outcome.

Pure, and the same for HTTP, for the worker connection and for functions of this process. Whatever
comes is an outcome, nothing raises: a peer that answers nonsense has failed one attempt.
Source: http.md 6.5 to 6.8 and 6.10, server.md 3.6.
"""

from collections.abc import Mapping

import msgspec

from stepwell.server.engine.input import Broke, Outcome, Progressed, Returned
from stepwell.wire import header, limit
from stepwell.wire.canonical import canonical
from stepwell.wire.duration import parse_retry_after
from stepwell.wire.execution import (
    STATUS_DONE,
    STATUS_OPERATIONS,
    STATUS_STREAMED,
    CallResponse,
    decode_streamed,
)
from stepwell.wire.failure import Failure, decode_failure, encode_failure
from stepwell.wire.operation import MalformedOperation
from stepwell.wire.operation_decode import decode_operations

NOT_AN_SDK = (
    "The response did not come from an Inngest SDK: the header x-inngest-sdk is missing. Check that"
    " the app's URL is its serve endpoint and that no proxy answers in its place."
)
PAYLOAD_TOO_LARGE = 413
TOO_LARGE_FOR_THE_APP = (
    " It, or a proxy before it, takes no bodies as large as this run's state: raise its limit for"
    " the endpoint, or return less from steps and keep what is large elsewhere."
)
FATAL_NAME = "Server returned a fatal error"
STACK_CHARS_MAX = 10_000
"""How much of a foreign page is kept for whoever looks for the cause."""


def read_reply(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Outcome:
    """What a call was answered.

    `headers` have lower-case names; `body` is decompressed; `now_ms` is when it arrived, for a
    Retry-After that is a date.
    """
    if len(body) > limit.REPLY_BODY_BYTES_MAX:
        return _too_large(len(body))
    reply = CallResponse(status, body, dict(headers))
    if status == STATUS_STREAMED:
        inner = _unpacked(reply)
        if isinstance(inner, Broke):
            return inner
        reply = inner
    return _classified(reply, now_ms)


def unreachable(message: str, reason: str = "") -> Broke:
    """No answer came. `message` is told to whoever reads the run, `reason` is the machine's own
    word for it. Another attempt may do better."""
    failure = Failure(name="Unable to reach SDK URL", message=message, stack=reason)
    return Broke(failure, encode_failure(failure), reason=message)


def _classified(reply: CallResponse, now_ms: int) -> Outcome:
    if not reply.headers.get(header.SDK):
        return _stranger(reply)
    if reply.status == STATUS_DONE:
        return Returned(_json_of(reply.body), _version(reply))
    if reply.status == STATUS_OPERATIONS:
        return _progressed(reply, now_ms)
    return _failed(reply, now_ms)


def _unpacked(reply: CallResponse) -> CallResponse | Broke:
    """The answer inside a streamed one. Its headers count; the outer ones say who spoke."""
    if not reply.headers.get(header.SDK):
        return _stranger(reply)
    try:
        inner = decode_streamed(reply.body)
    except ValueError as problem:
        return _broke(
            Failure(message=str(problem) or "the streamed reply is empty"), reason=str(problem)
        )
    named = {header.SDK: reply.headers[header.SDK]}
    if version := reply.headers.get(header.REQ_VERSION):
        named[header.REQ_VERSION] = version
    if inner.status == STATUS_STREAMED:
        return _broke(Failure(message="a streamed reply holds another one: answer 200 or 206"))
    return CallResponse(inner.status, inner.body, {**named, **inner.headers})


def _progressed(reply: CallResponse, now_ms: int) -> Outcome:
    try:
        operations = decode_operations(reply.body)
    except MalformedOperation as problem:
        # Another attempt counts as any failure does: a function never hangs for what it says.
        return _broke(Failure(message=str(problem), stack=_text(reply.body)), reason=str(problem))
    return Progressed(
        operations,
        _version(reply),
        _delay(reply, now_ms),
        header.is_no_retry(reply.headers.get(header.NO_RETRY)),
    )


def _failed(reply: CallResponse, now_ms: int) -> Broke:
    return Broke(
        decode_failure(reply.body),
        _json_of(reply.body),
        _delay(reply, now_ms),
        header.is_no_retry(reply.headers.get(header.NO_RETRY)),
        f"invalid status code: {reply.status}",
    )


def _stranger(reply: CallResponse) -> Broke:
    """Somebody answered who is no SDK: a proxy, a platform's error page, another program."""
    reason = f"invalid status code: {reply.status}"
    if 200 <= reply.status < 300:
        failure = Failure(message=NOT_AN_SDK, stack=_text(reply.body))
        return Broke(failure, _json_of(reply.body), reason=NOT_AN_SDK)
    message = f"Your server returned HTTP {reply.status} before the SDK responded."
    if reply.status == PAYLOAD_TOO_LARGE:
        message += TOO_LARGE_FOR_THE_APP
    return _broke(Failure(FATAL_NAME, message, _text(reply.body)), reason=reason)


def _too_large(size: int) -> Broke:
    most = limit.REPLY_BODY_BYTES_MAX
    message = (
        f"The reply has {size} bytes, at most {most} are allowed: return less, or store what is"
        " large elsewhere and return where it is."
    )
    failure = Failure("output_too_large", message)
    # The next attempt would be as large.
    return Broke(failure, encode_failure(failure), no_retry=True, reason="output_too_large")


def _broke(failure: Failure, *, reason: str = "") -> Broke:
    return Broke(failure, encode_failure(failure), reason=reason or failure.message)


def _version(reply: CallResponse) -> int:
    return header.request_version(reply.headers.get(header.REQ_VERSION))


def _delay(reply: CallResponse, now_ms: int) -> int | None:
    due_ms = parse_retry_after(reply.headers.get(header.RETRY_AFTER), now_ms)
    return None if due_ms is None else due_ms - now_ms


def _json_of(body: bytes) -> bytes:
    """The body as JSON: as it is, nothing as null, anything else as a text."""
    if not body.strip():
        return b"null"
    try:
        return canonical(body)
    except ValueError:
        return msgspec.json.encode(body.decode(errors="replace"))


def _text(body: bytes) -> str:
    return body[:STACK_CHARS_MAX].decode(errors="replace")
