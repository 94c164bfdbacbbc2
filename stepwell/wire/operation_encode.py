"""The only place that writes the operations of a reply, as an SDK does."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from stepwell.wire import operation as ops
from stepwell.wire.failure import encode_failure
from stepwell.wire.log import encode_lines
from stepwell.wire.operation import Operation


class _Outgoing(msgspec.Struct, omit_defaults=True):
    """An operation as SDKs write it."""

    id: str
    op: str
    name: str | None = None
    display_name: str | None = msgspec.field(name="displayName", default=None)
    opts: dict[str, dict[str, str] | str | msgspec.Raw | None] | None = None
    userland: dict[str, str | int] | None = None
    data: msgspec.Raw | None = None
    error: msgspec.Raw | None = None
    timing: dict[str, int] | None = None
    metadata: msgspec.Raw | None = None


_Value: TypeAlias = dict[str, str] | str | msgspec.Raw | None
_Written: TypeAlias = dict[str, _Value]
_WITH_RESULT = (ops.LegacyStep, ops.StepRun, ops.RunComplete, ops.SyncRunComplete)


def _step_options(
    operation: ops.StepRun | ops.StepError | ops.StepFailed | ops.StepPlanned,
) -> _Written:
    written: _Written = {}
    if operation.input is not None:
        written["input"] = operation.input
    if operation.type:
        written["type"] = operation.type
    limits = operation.limits if isinstance(operation, ops.StepPlanned) else operation.used
    if limits:
        written["limits"] = msgspec.Raw(msgspec.json.encode(limits))
    return written


def _present(**fields: _Value) -> _Written:
    return {name: value for name, value in fields.items() if value not in ("", None)}


def _invoke_options(operation: ops.InvokeFunction) -> _Written:
    payload = {"data": operation.data, "user": operation.user, "meta": operation.meta}
    fields: dict[str, str | msgspec.Raw] = {k: v for k, v in payload.items() if v is not None}
    if operation.v is not None:
        fields["v"] = operation.v
    return {
        "function_id": operation.function_id,
        "payload": msgspec.Raw(msgspec.json.encode(fields)),
        **_present(timeout=operation.timeout),
    }


def _options(operation: Operation) -> _Written:
    match operation:
        case ops.StepRun() | ops.StepError() | ops.StepFailed() | ops.StepPlanned():
            return _step_options(operation)
        case ops.WaitForEvent():
            found = _present(timeout=operation.timeout)
            if operation.look_back:
                found["lookBack"] = msgspec.Raw(b"true")
            return found | ({"if": operation.condition} if operation.condition else {})
        case ops.WaitForSignal():
            named = {"signal": operation.signal, "conflict": operation.conflict}
            return {**named, **_present(timeout=operation.timeout)}
        case ops.InvokeFunction():
            return _invoke_options(operation)
        case ops.GatewayCall():
            where = {"url": operation.url, "method": operation.method}
            return {**where, "headers": dict(operation.headers), "body": operation.body}
        case ops.AiGatewayCall():
            return {
                "type": operation.type or "step.ai.infer",
                "url": operation.url,
                "format": operation.format,
                "auth_key": operation.auth_key,
                "headers": dict(operation.headers),
                "body": operation.body,
            }
        case ops.DeferAdd():
            what: _Written = {"fn_slug": operation.function_slug, "input": operation.input}
            return what | _present(meta=operation.meta)
        case ops.DeferAbort():
            return {"target_hashed_id": operation.target_id}
        case ops.Logs():
            return {"lines": encode_lines(operation.lines)}
        case _:
            return {}


def _name(operation: Operation) -> str:
    """The field that old readers take the duration or the event's name from."""
    if isinstance(operation, ops.Sleep):
        return operation.until
    if isinstance(operation, ops.WaitForEvent):
        return operation.event
    return operation.name or operation.display_name


def _written(operation: Operation) -> _Outgoing:
    options = _options(operation)
    if operation.parallel_mode:
        options["parallelMode"] = operation.parallel_mode
    who, timing = operation.userland, operation.timing
    result: msgspec.Raw | None = None
    if isinstance(operation, _WITH_RESULT):
        result = operation.data
    error: msgspec.Raw | None = None
    if isinstance(operation, ops.StepError | ops.StepFailed):
        error = msgspec.Raw(encode_failure(operation.failure))
    return _Outgoing(
        operation.id,
        operation.op,
        _name(operation) or None,
        operation.display_name or None,
        options,
        ({"id": who.id, "index": who.index} if who.index else {"id": who.id}) if who.id else None,
        result,
        error,
        None if timing is None else {"a": timing.start_ns, "b": timing.duration_ns},
        operation.metadata,
    )


def encode_operations(operations: Iterable[Operation]) -> bytes:
    """Operations as the JSON array of a 206 answer. Never send an empty one."""
    return msgspec.json.encode([_written(operation) for operation in operations])
