"""The only place that knows an error as it travels: name, message, stack, cause.

Decoding is lenient, because nothing may be lost when something has already gone wrong: whatever
comes becomes a failure, and no input raises.
"""

import msgspec

from stepwell.wire import limit
from stepwell.wire.long_json import Turns, canonicalizing, done

NAME_UNKNOWN = "Error"
MESSAGE_UNKNOWN = "Unknown error"

# Names the server itself gives.
STEPS_OVERFLOWED = "InngestErrFunctionOverflowed"
STATE_OVERFLOWED = "InngestErrStateOverflowed"
TIMEOUT_TOO_LONG = "InngestErrTimeoutTooLong"
INVOKE_TIMEOUT = "InngestInvokeTimeoutError"
INVALID_EXPRESSION = "InvalidExpression"
FUNCTION_NOT_FOUND = "FunctionNotFound"  # ours
GATEWAY_ERROR = "GatewayError"
AI_GATEWAY_ERROR = "AIGatewayError"

SIGNAL_CONFLICT_MESSAGE = "Signal conflict; signal wait already exists for another run"
INVOKE_TIMEOUT_MESSAGE = "Timed out waiting for invoked function to complete"
INVOKE_RATE_LIMITED_MESSAGE = "invoked function is rate limited"


SCOPE_KEY = "key"

_NULL = msgspec.Raw(b"null")
_KEY = b'"key"'


class Failure(msgspec.Struct, frozen=True):
    """An error. `cause` is kept as it came; `no_retry` means another try would be in vain;
    `retry_scope` is `key` if whatever shares a key of flow control is to wait, too (ours). `code`
    is what an SDK says of one it writes; nobody reads it."""

    name: str = NAME_UNKNOWN
    message: str = MESSAGE_UNKNOWN
    stack: str = ""
    cause: msgspec.Raw | None = None
    data: msgspec.Raw | None = None
    no_retry: bool = False
    code: str = ""
    retry_scope: str = ""

    @property
    def told(self) -> str:
        """The error as people read it: name and message."""
        return f"{self.name}: {self.message}" if self.message else self.name


class _Incoming(msgspec.Struct):
    name: msgspec.Raw = _NULL
    message: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    stack: msgspec.Raw = _NULL
    cause: msgspec.Raw = _NULL
    data: msgspec.Raw = _NULL
    no_retry: msgspec.Raw = msgspec.field(name="noRetry", default=_NULL)
    retry_scope: msgspec.Raw = msgspec.field(name="retryScope", default=_NULL)


class _Outgoing(msgspec.Struct, omit_defaults=True):
    """Fields in canonical order; those that are empty are left out."""

    cause: msgspec.Raw | None = None
    code: str = ""
    data: msgspec.Raw | None = None
    error: str = ""
    message: str | None = None
    name: str | None = None
    no_retry: bool = msgspec.field(name="noRetry", default=False)
    retry_scope: str = msgspec.field(name="retryScope", default="")
    stack: str = ""


def _kept(raw: msgspec.Raw, bytes_max: int) -> msgspec.Raw | None:
    """A copy, which does not keep the rest of the body; none of null, or of what is too large."""
    if len(raw) > bytes_max:
        return None
    value = bytes(raw)
    return None if value == b"null" else msgspec.Raw(value)


def shortened(text: str, chars_max: int) -> str:
    """A text of which nobody chose the size: its beginning and its end, with a mark between."""
    if len(text) <= chars_max:
        return text
    mark = f"\n[shortened: {len(text)} characters]\n"
    end = chars_max // 4
    return text[: chars_max - end - len(mark)] + mark + text[-end:]


def _short_cause(raw: msgspec.Raw) -> msgspec.Raw | None:
    """A cause of a size that can be stored: alone, its texts shortened, if it is larger."""
    if len(raw) <= limit.ERROR_CAUSE_BYTES_MAX:
        return _kept(raw, limit.ERROR_CAUSE_BYTES_MAX)
    return msgspec.Raw(encode_failure(_of_form(bytes(raw), is_alone=True)))


def _text(raw: msgspec.Raw) -> str:
    """A value where text should be: text as it is, numbers and objects as their JSON."""
    value = bytes(raw)
    if value[:1] == b'"':
        return msgspec.json.decode(value, type=str)
    return "" if value == b"null" else value.decode()


def _from_object(form: bytes, *, is_alone: bool) -> Failure:
    incoming = msgspec.json.decode(form, type=_Incoming)
    name = _text(incoming.name) if bytes(incoming.name)[:1] == b'"' else ""
    message = _text(incoming.message) or _text(incoming.error)
    return Failure(
        shortened(name, limit.ERROR_MESSAGE_CHARS_MAX) or NAME_UNKNOWN,
        shortened(message, limit.ERROR_MESSAGE_CHARS_MAX) or MESSAGE_UNKNOWN,
        shortened(_text(incoming.stack), limit.ERROR_STACK_CHARS_MAX),
        None if is_alone else _short_cause(incoming.cause),
        None if is_alone else _kept(incoming.data, limit.ERROR_CAUSE_BYTES_MAX),
        bytes(incoming.no_retry) == b"true",
        retry_scope=SCOPE_KEY if bytes(incoming.retry_scope) == _KEY else "",
    )


def decode_failure(body: bytes | msgspec.Raw) -> Failure:
    """Any bytes as a failure: an error object, the JSON text of one, or plain text. Never raises.

    A missing name becomes `Error`; a missing message falls back to `error`, then `Unknown error`.
    Texts that nobody chose the size of are shortened, and say so.
    """
    return done(decoding_failure(bytes(body)))


def decoding_failure(body: bytes) -> Turns[Failure]:
    """The same with pauses, if the body is long."""
    try:
        form = yield from canonicalizing(body)
        if form[:1] == b'"' and (text := _text(msgspec.Raw(form))).lstrip()[:1] == "{":
            return (yield from decoding_failure(text.encode()))
        return _of_form(form, is_alone=False)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _from_text(body.decode(errors="replace"))


def _of_form(form: bytes, *, is_alone: bool) -> Failure:
    if form[:1] == b"{":
        return _from_object(form, is_alone=is_alone)
    return _from_text(_text(msgspec.Raw(form)))


def _from_text(text: str) -> Failure:
    told = MESSAGE_UNKNOWN if text in ("", "null") else text
    return Failure(message=shortened(told, limit.ERROR_MESSAGE_CHARS_MAX))


def encode_failure(failure: Failure, *, error: str = "") -> bytes:
    """A failure as canonical JSON.

    `error` is the server's own words (`invalid status code: 500`), told beside the SDK's.
    """
    return msgspec.json.encode(
        _Outgoing(
            failure.cause,
            failure.code,
            failure.data,
            error,
            failure.message,
            failure.name,
            failure.no_retry,
            failure.retry_scope,
            failure.stack,
        )
    )


def for_caller(body: bytes) -> bytes:
    """An encoded error as whoever called an endpoint is told of it: its name and message. Where
    it was raised, with what and why is for who runs the program."""
    failure = decode_failure(body)
    return msgspec.json.encode({"message": failure.message, "name": failure.name})


def encode_failure_memo(failure: Failure, *, error: str = "") -> msgspec.Raw:
    """A failed step as it is memoised: `{"error":{…}}` with the keys that survive."""
    return msgspec.Raw(b'{"error":' + encode_failure(failure, error=error) + b"}")


def invoke_timeout_memo() -> msgspec.Raw:
    """What an invocation that was not answered in time is memoised as."""
    failure = Failure(INVOKE_TIMEOUT, INVOKE_TIMEOUT_MESSAGE)
    return encode_failure_memo(failure, error=f"{INVOKE_TIMEOUT}: {INVOKE_TIMEOUT_MESSAGE}")


def unknown_function(function_id: str) -> Failure:
    """The failure of an invocation whose target nobody has registered."""
    return Failure(message=f"could not find function with ID: {function_id}")
