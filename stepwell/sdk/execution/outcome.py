"""What happened in a call, as the answer the server gets. Pure.

The only place that decides between StepError and StepFailed, and which headers say what.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from stepwell.sdk.step.asked import Met
from stepwell.wire import header
from stepwell.wire.execution import (
    STATUS_DONE,
    STATUS_FAILED,
    STATUS_OPERATIONS,
    CallResponse,
)
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.identifier import step_hash
from stepwell.wire.named_limit import LimitUsed
from stepwell.wire.operation import (
    Operation,
    RunComplete,
    StepError,
    StepFailed,
    StepRun,
    Timing,
    Userland,
)
from stepwell.wire.operation_encode import encode_operations

RetryAfter = dt.timedelta | dt.datetime

RUN_COMPLETE = "complete"
"""What the function's return is called where it accompanies other operations."""

_SECOND = dt.timedelta(seconds=1)
_HEADERS = {header.CONTENT_TYPE: header.JSON, header.REQ_VERSION: str(header.REQUEST_VERSION)}


def step_ran(
    met: Met,
    data: msgspec.Raw,
    timing: Timing | None,
    given: msgspec.Raw | None,
    used: tuple[LimitUsed, ...] = (),
    said: msgspec.Raw | None = None,
) -> StepRun:
    """A step that ran well. `given` are its arguments, a JSON array, if they can be shown; `used`
    what it used of limits, where that is not what it took; `said` its metadata."""
    name = met.name
    return StepRun(
        id=name.hashed,
        name=met.title,
        display_name=met.title,
        userland=Userland(name.id, name.index),
        parallel_mode=met.ask.mode,
        type=met.ask.kind,
        timing=timing,
        data=data,
        input=given,
        used=used,
        metadata=said,
    )


def step_broke(
    met: Met,
    failure: Failure,
    *,
    final: bool,
    timing: Timing | None,
    given: msgspec.Raw | None,
    used: tuple[LimitUsed, ...] = (),
    said: msgspec.Raw | None = None,
) -> StepError | StepFailed:
    """A step that raised: to be tried again, or failed for good if `final`."""
    name = met.name
    return (StepFailed if final else StepError)(
        id=name.hashed,
        name=met.title,
        display_name=met.title,
        userland=Userland(name.id, name.index),
        parallel_mode=met.ask.mode,
        type=met.ask.kind,
        timing=timing,
        failure=failure,
        input=given,
        used=used,
        metadata=said,
    )


def is_final(*, retriable: bool, attempt: int, max_attempts: int | None) -> bool:
    """Has a failure used up its tries? Without knowing `max_attempts`, the server judges."""
    return not retriable or (max_attempts is not None and attempt + 1 >= max_attempts)


def returned(data: msgspec.Raw) -> CallResponse:
    """The function returned; the run ends."""
    return CallResponse(STATUS_DONE, bytes(data), dict(_HEADERS))


def reported(
    operations: Sequence[Operation], retry_after: RetryAfter | None = None
) -> CallResponse:
    """The function got further; the server calls again when it is time. Never an empty list."""
    assert operations, "an empty report would make the server call again at once, for ever"
    return CallResponse(
        STATUS_OPERATIONS, encode_operations(operations), _with_retry_after(retry_after)
    )


def accompanied(answer: CallResponse, lazy: Sequence[Operation]) -> CallResponse:
    """An answer with operations that accompany others; one that failed can carry none."""
    if answer.status == STATUS_FAILED:
        return answer
    if answer.status == STATUS_DONE:
        end = RunComplete(id=step_hash(RUN_COMPLETE), data=msgspec.Raw(answer.body))
        return CallResponse(STATUS_OPERATIONS, encode_operations((*lazy, end)), answer.headers)
    # A report is a list that is not empty.
    body = answer.body[:-1] + b"," + encode_operations(lazy)[1:]
    return CallResponse(answer.status, body, answer.headers)


def broke(
    failure: Failure,
    *,
    retriable: bool,
    retry_after: RetryAfter | None = None,
) -> CallResponse:
    """The function itself failed, outside any step. What caused that stands in the stack alone."""
    headers = _with_retry_after(retry_after)
    headers[header.NO_RETRY] = "false" if retriable else "true"
    body = encode_failure(msgspec.structs.replace(failure, cause=None))
    if not failure.stack:
        body = body[:-1] + b',"stack":null}'  # which official peers look for
    return CallResponse(STATUS_FAILED, body, headers)


def _with_retry_after(retry_after: RetryAfter | None) -> dict[str, str]:
    headers = dict(_HEADERS)
    if isinstance(retry_after, dt.datetime):
        headers[header.RETRY_AFTER] = retry_after.astimezone(dt.UTC).isoformat()
    elif retry_after is not None:
        headers[header.RETRY_AFTER] = str(max(0, -((-retry_after) // _SECOND)))
    return headers
