"""The only place that judges what an app answered: status, headers and body become an outcome.

Pure, and the same for HTTP, for the worker connection and for functions of this process. Whatever
comes is an outcome, nothing raises: a peer that answers nonsense has failed one attempt.
"""

import re
from collections.abc import Mapping

import msgspec

from stepwell.server.engine.message.input import Broke, Outcome, Progressed, Returned
from stepwell.wire import header, limit
from stepwell.wire.duration import parse_retry_after
from stepwell.wire.execution import (
    STATUS_DONE,
    STATUS_OPERATIONS,
    STATUS_STREAMED,
    CallResponse,
    decoding_streamed,
)
from stepwell.wire.failure import Failure, decoding_failure, encode_failure
from stepwell.wire.log import lines_in_error
from stepwell.wire.long_json import Turns, canonicalizing, done
from stepwell.wire.operation import MalformedOperation
from stepwell.wire.operation_decode import decoding_operations

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
_ERROR_BYTES_KEPT = limit.ERROR_CAUSE_BYTES_MAX
"""Errors up to this size are kept as they came, larger ones with their texts shortened."""
STACK_CHARS_MAX = 10_000
"""How much of a foreign page is kept for whoever looks for the cause."""


def read_reply(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Outcome:
    """What a call was answered.

    `headers` have lower-case names; `body` is decompressed; `now_ms` is when it arrived, for a
    Retry-After that is a date.
    """
    return done(reading_reply(status, headers, body, now_ms))


def reading_reply(
    status: int, headers: Mapping[str, str], body: bytes, now_ms: int
) -> Turns[Outcome]:
    """The same with pauses, if the body is long."""
    if len(body) > limit.REPLY_BODY_BYTES_MAX:
        return (yield from _too_large(status, headers, body, now_ms))
    reply = CallResponse(status, body, dict(headers))
    if status == STATUS_STREAMED:
        inner = yield from _unpacked(reply)
        if isinstance(inner, Broke):
            return inner
        reply = inner
    return (yield from _classified(reply, now_ms))


def unreachable(message: str, reason: str = "") -> Broke:
    """No answer came. `message` is told to whoever reads the run, `reason` is the machine's own
    word for it. Another attempt may do better."""
    failure = Failure(name="Unable to reach SDK URL", message=message, stack=reason)
    return Broke(failure, encode_failure(failure), reason=message)


def _classified(reply: CallResponse, now_ms: int) -> Turns[Outcome]:
    if not reply.headers.get(header.SDK):
        return (yield from _stranger(reply))
    if reply.status == STATUS_DONE:
        return Returned((yield from _json_of(reply.body)), _version(reply))
    if reply.status == STATUS_OPERATIONS:
        return (yield from _progressed(reply, now_ms))
    return (yield from _failed(reply, now_ms))


def _unpacked(reply: CallResponse) -> Turns[CallResponse | Broke]:
    """The answer inside a streamed one. Its headers count; the outer ones say who spoke."""
    if not reply.headers.get(header.SDK):
        return (yield from _stranger(reply))
    try:
        inner = yield from decoding_streamed(reply.body)
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


def _progressed(reply: CallResponse, now_ms: int) -> Turns[Outcome]:
    try:
        operations = yield from decoding_operations(reply.body)
    except MalformedOperation as problem:
        # Another attempt counts as any failure does: a function never hangs for what it says.
        return _broke(Failure(message=str(problem), stack=_text(reply.body)), reason=str(problem))
    return Progressed(
        operations,
        _version(reply),
        _delay(reply, now_ms),
        header.is_no_retry(reply.headers.get(header.NO_RETRY)),
    )


def _failed(reply: CallResponse, now_ms: int) -> Turns[Broke]:
    body, logs = lines_in_error(reply.body)
    failure = yield from decoding_failure(body)
    kept = encode_failure(failure)
    if len(body) <= _ERROR_BYTES_KEPT:
        kept = yield from _json_of(body)
    return Broke(
        failure,
        kept,
        _delay(reply, now_ms),
        header.is_no_retry(reply.headers.get(header.NO_RETRY)),
        f"invalid status code: {reply.status}",
        logs,
    )


def _stranger(reply: CallResponse) -> Turns[Broke]:
    """Somebody answered who is no SDK: a proxy, a platform's error page, another program."""
    reason = f"invalid status code: {reply.status}"
    if 200 <= reply.status < 300:
        failure = Failure(message=NOT_AN_SDK, stack=_text(reply.body))
        return Broke(failure, (yield from _json_of(reply.body)), reason=NOT_AN_SDK)
    message = f"Your server returned HTTP {reply.status} before the SDK responded."
    if reply.status == PAYLOAD_TOO_LARGE:
        message += TOO_LARGE_FOR_THE_APP
    return _broke(Failure(FATAL_NAME, message, _text(reply.body)), reason=reason)


def _too_large(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Turns[Outcome]:
    """An answer of which the end was not read. An error's text was too long: that is no reason to
    fail for good, and what can be read of it is kept."""
    yield
    told = _beginning_of_error(body)
    if told is not None and headers.get(header.SDK):
        step = _STEP_ID.search(body) if status == STATUS_OPERATIONS else None
        kind = _STEP_KIND.search(body)
        if step is not None and kind is not None:
            error = {"name": told.name, "message": told.message, "stack": ""}
            operation = {"id": step[1].decode(), "op": kind[1].decode(), "error": error}
            short = msgspec.json.encode([operation])
            return (yield from _progressed(CallResponse(status, short, dict(headers)), now_ms))
        if status >= _ERRORS_FROM:
            short = encode_failure(told)
            return (yield from _failed(CallResponse(status, short, dict(headers)), now_ms))
    size = len(body)
    most = limit.REPLY_BODY_BYTES_MAX
    message = (
        f"The reply has {size} bytes, at most {most} are allowed: return less, or store what is"
        " large elsewhere and return where it is."
    )
    failure = Failure("output_too_large", message)
    # The next attempt would be as large.
    return Broke(failure, encode_failure(failure), no_retry=True, reason="output_too_large")


_ERRORS_FROM = 400
_STEP_ID = re.compile(rb'"id":\s*"([0-9a-f]{40})"')
_STEP_KIND = re.compile(rb'"op":\s*"(StepError|StepFailed)"')
_NAMED = re.compile(rb'"name":\s*"([A-Za-z_][\w.:]{0,200})"')
_SAID = re.compile(rb'"message":\s*"((?:[^"\\]|\\.){1,%d})' % limit.ERROR_MESSAGE_CHARS_MAX)


def _unescaped(text: bytes) -> str:
    """What JSON text says that may be cut off within an escape, or a pair of them."""
    for end in range(len(text), max(len(text) - 13, 0), -1):
        try:
            return msgspec.json.decode(b'"' + text[:end] + b'"', type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return text.decode(errors="replace")


def _beginning_of_error(body: bytes) -> Failure | None:
    """What an error that is cut off says of itself; None if it is none, or says nothing yet."""
    said = _SAID.search(body)
    if said is None:
        return None
    message = _unescaped(said[1])
    named = _NAMED.search(body)
    return Failure(
        "Error" if named is None else named[1].decode(),
        f"{message}\n[shortened: the answer had more than {limit.REPLY_BODY_BYTES_MAX} bytes]",
    )


def _broke(failure: Failure, *, reason: str = "") -> Broke:
    return Broke(failure, encode_failure(failure), reason=reason or failure.message)


def _version(reply: CallResponse) -> int:
    return header.request_version(reply.headers.get(header.REQ_VERSION))


def _delay(reply: CallResponse, now_ms: int) -> int | None:
    due_ms = parse_retry_after(reply.headers.get(header.RETRY_AFTER), now_ms)
    return None if due_ms is None else due_ms - now_ms


def _json_of(body: bytes) -> Turns[bytes]:
    """The body as JSON: as it is, nothing as null, anything else as a text."""
    if not body.strip():
        return b"null"
    try:
        return (yield from canonicalizing(body))
    except ValueError:
        return msgspec.json.encode(body.decode(errors="replace"))


def _text(body: bytes) -> str:
    return body[:STACK_CHARS_MAX].decode(errors="replace")
