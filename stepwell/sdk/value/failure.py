"""Exceptions as they travel, and back: the only place that turns one into the other.

Law: nothing here raises for any exception or any text, and chains of causes end.
"""

from collections.abc import Collection, Mapping
from typing import cast

import msgspec

from stepwell.sdk.errors import (
    Error,
    FailedStep,
    RetryAfterError,
    StepError,
    failed_step,
    stack_of,
    text_of,
)
from stepwell.sdk.value.reraised import attributes_of, plain, reraised
from stepwell.wire import limit
from stepwell.wire.failure import Failure, decode_failure, shortened
from stepwell.wire.outside import decode

MARK = "__serialized"
SERIALIZE_FAILED = "Could not serialize source error"
DESERIALIZE_FAILED = "Unknown error; could not reserialize"


def serialize_error(error: object) -> dict[str, object]:
    """An exception as an object with `name`, `message`, `stack`, `__serialized` and its `cause`.

    The members of an exception group come under `errors`, notes at the end of the message. What is
    serialised already passes unchanged; what is no exception becomes an error with its text.
    """
    if is_serialized_error(error):
        return _as_object(error)
    try:
        return _serialized(error, limit.ERROR_CAUSES_MAX, set())
    except Exception:  # noqa: BLE001 - an exception may break when looked at; it must still travel
        return {"name": "Error", "message": SERIALIZE_FAILED, "stack": "", MARK: True}


def is_serialized_error(value: object) -> bool:
    """Is this what `serialize_error` returned, or its JSON text?"""
    try:
        found = _as_object(value)
    except (TypeError, ValueError):
        return False
    return found.get(MARK) is True and "name" in found and "message" in found


_OBJECT = msgspec.json.Decoder(dict[str, object])


def _as_object(value: object) -> dict[str, object]:
    if isinstance(value, str):
        return decode(value.encode(errors="replace"), _OBJECT)
    if isinstance(value, Mapping):
        return dict(cast(Mapping[str, object], value))
    raise TypeError("no object")


def _serialized(error: object, depth: int, seen: set[int]) -> dict[str, object]:
    if not isinstance(error, BaseException):
        message = shortened(str(error), limit.ERROR_MESSAGE_CHARS_MAX)
        return {"name": "Error", "message": message, "stack": "", MARK: True}
    seen.add(id(error))
    out: dict[str, object] = {
        "name": _name(error),
        "message": _message(error),
        "stack": _stack(error),
        MARK: True,
    }
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    if cause is not None and depth > 1 and id(cause) not in seen:
        out["cause"] = _serialized(cause, depth - 1, seen)
    if isinstance(error, BaseExceptionGroup) and depth > 1:
        members = cast(BaseExceptionGroup[BaseException], error).exceptions
        shown = members[: limit.ERROR_CAUSES_MAX]
        out["errors"] = [_serialized(e, depth - 1, seen) for e in shown if id(e) not in seen]
    return out


def _name(error: BaseException) -> str:
    if isinstance(error, StepError):
        return failed_step(error).name  # its attributes may be the user's
    return error.name if isinstance(error, Error) else type(error).__name__


def _message(error: BaseException) -> str:
    notes: list[str] = getattr(error, "__notes__", [])
    if isinstance(error, StepError):
        text, hint = failed_step(error).message, None
    else:
        # The hint is for terminals, not for the wire.
        text, hint = text_of(error), error.hint if isinstance(error, Error) else None
    told = "\n".join([text, *(str(note) for note in notes if note != hint)])
    return shortened(told, limit.ERROR_MESSAGE_CHARS_MAX)


def _stack(error: BaseException, *, chain: bool = False) -> str:
    if isinstance(error, StepError):
        stack = failed_step(error).stack or ""
    elif isinstance(error, Error) and not error.include_stack:
        stack = error.stack or ""
    else:
        stack = stack_of(error, chain=chain)
    return shortened(stack, limit.ERROR_STACK_CHARS_MAX)


def failure_of(error: BaseException, *, carried: Collection[str] = ()) -> Failure:
    """An exception as the wire carries it. Its causes are told twice: as errors, and in its stack,
    as official SDKs do.

    Of those whose classes `carried` names, the attributes travel, too.
    """
    found = serialize_error(error)
    cause: object = found.get("cause")
    if "errors" in found:
        members = {"name": "errors", "message": "", "errors": found["errors"], MARK: True}
        cause = cause if cause is not None else members
    return Failure(
        name=_text(found["name"]),
        message=_text(found["message"]),
        stack=_text(_stack(error, chain=True)) if found.get("stack") else "",
        cause=None if cause is None else _short(cause),
        data=attributes_of(error) if type(error).__name__ in carried else None,
        retry_scope=(error.scope or "") if isinstance(error, RetryAfterError) else "",
    )


def _short(cause: object) -> msgspec.Raw:
    """A cause as JSON; alone, without its own, if that would be too much."""
    raw = _encoded(cause)
    if len(raw) > limit.ERROR_CAUSE_BYTES_MAX and isinstance(cause, dict):
        told = cast(dict[str, object], cause)
        raw = _encoded(
            {key: told[key] for key in ("name", "message", "stack", MARK) if key in told}
        )
    return msgspec.Raw(raw)


def _text(value: object) -> str:
    """Text that can be written as UTF-8: without lone surrogates."""
    return str(value).encode(errors="replace").decode()


def _encoded(value: object) -> bytes:
    # Text that is no UTF-8 (lone surrogates) cannot be written; it is shown instead.
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(str(value).encode(errors="replace").decode())


def step_error(
    failure: Failure,
    *,
    step_id: str | None = None,
    kinds: Mapping[str, type[StepError]] | None = None,
) -> StepError:
    """What user code catches for a failed step: the original's name, message and stack, chained.

    `kinds` are the classes, by name, it may be one of besides: see `reraised.also`.
    """
    kind = None if kinds is None else kinds.get(failure.name)
    failed = FailedStep(failure.name, failure.message, failure.stack or None, step_id)
    error = plain(failed) if kind is None else reraised(kind, failed, failure.data)
    # Past the class, which may forbid it: those of frozen dataclasses do.
    object.__setattr__(error, "__cause__", _cause(failure.cause, limit.ERROR_CAUSES_MAX))
    return error


def _cause(raw: msgspec.Raw | None, depth: int) -> BaseException | None:
    if raw is None or depth <= 0:
        return None
    if bytes(raw)[:1] != b"{":
        return StepError(bytes(raw).decode(errors="replace").strip('"'), "Error", None)
    failure = decode_failure(raw)
    error = StepError(failure.message, failure.name, failure.stack or None)
    error.__cause__ = _cause(failure.cause, depth - 1)
    return error


def deserialize_error(value: object) -> StepError:
    """A serialised error (object or JSON text) as an exception with its chain of causes.

    What lacks `name` or `message` becomes an error that says so, without a stack.
    """
    try:
        found = _as_object(value)
        if not isinstance(found["name"], str) or "message" not in found:
            raise TypeError("no error")
        return step_error(decode_failure(msgspec.json.encode(found)))
    except (TypeError, ValueError, KeyError):
        return StepError(DESERIALIZE_FAILED, "Error", None)
