"""The only place that reads the operations of a reply, as the server does."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypedDict, cast, get_args

import msgspec

from stepwell.wire import limit
from stepwell.wire import operation as ops
from stepwell.wire.canonical import Loose, canonical
from stepwell.wire.failure import Failure, decode_failure, decoding_failure
from stepwell.wire.log import decode_lines
from stepwell.wire.long_json import (
    AT_ONCE_BYTES,
    WITH_OTHERS_BYTES,
    Turns,
    canonicalizing,
    done,
    pieces_of_list,
)
from stepwell.wire.named_limit import LimitUsed, StepLimit, key_problems, step_problems
from stepwell.wire.operation import MalformedOperation, Operation
from stepwell.wire.outside import decode, has_more_values

_NULL = b"null"
_LIMITS_VALUES_MAX = 1_000
_LATEST_NS = limit.EVENT_TS_MS_MAX * 1_000_000


class _Incoming(msgspec.Struct):
    """The fields all operations share; only `op` must have its type, the rest is read later."""

    op: str = ""
    id: Loose = None
    name: Loose = None
    display_name: Loose = msgspec.field(name="displayName", default=None)
    opts: msgspec.Raw = ops.NULL
    data: msgspec.Raw = ops.NULL
    error: msgspec.Raw = ops.NULL
    userland: Loose = None
    timing: Loose = None
    metadata: msgspec.Raw = ops.NULL


class _Long(msgspec.Struct):
    """The same of an operation that is long: whatever may be, is not looked into."""

    op: str = ""
    id: msgspec.Raw = ops.NULL
    name: msgspec.Raw = ops.NULL
    display_name: msgspec.Raw = msgspec.field(name="displayName", default=ops.NULL)
    opts: msgspec.Raw = ops.NULL
    data: msgspec.Raw = ops.NULL
    error: msgspec.Raw = ops.NULL
    userland: msgspec.Raw = ops.NULL
    timing: msgspec.Raw = ops.NULL
    metadata: msgspec.Raw = ops.NULL


_Known = TypedDict(
    "_Known",
    {
        "input": msgspec.Raw,
        "type": msgspec.Raw,
        "limits": msgspec.Raw,
        "parallelMode": msgspec.Raw,
        "duration": msgspec.Raw,
        "event": msgspec.Raw,
        "timeout": msgspec.Raw,
        "if": msgspec.Raw,
        "lookBack": msgspec.Raw,
        "signal": msgspec.Raw,
        "conflict": msgspec.Raw,
        "payload": msgspec.Raw,
        "data": msgspec.Raw,
        "user": msgspec.Raw,
        "v": msgspec.Raw,
        "meta": msgspec.Raw,
        "function_id": msgspec.Raw,
        "url": msgspec.Raw,
        "method": msgspec.Raw,
        "headers": msgspec.Raw,
        "body": msgspec.Raw,
        "format": msgspec.Raw,
        "auth_key": msgspec.Raw,
        "fn_slug": msgspec.Raw,
        "target_hashed_id": msgspec.Raw,
        "lines": msgspec.Raw,
    },
    total=False,
)
"""All options, and those of a payload: others are passed over."""


class _Head(TypedDict):
    """The shared fields, read."""

    id: str
    name: str
    display_name: str
    userland: ops.Userland
    parallel_mode: str
    timing: ops.Timing | None
    metadata: msgspec.Raw | None


def _malformed(op: str, where: str, value: bytes | None, wanted: str) -> MalformedOperation:
    got = "nothing" if value is None else value[:80].decode(errors="replace")
    return MalformedOperation(f"operation {op}: {where} must be {wanted}, got {got}")


class _Options:
    """`opts` of one operation, read field by field with errors that name op, field and value."""

    def __init__(self, op: str, raw: msgspec.Raw, forms: "_Forms") -> None:
        self.op = op
        self.forms = forms
        self.fields: dict[str, msgspec.Raw] = {}
        if len(raw) <= 4 and bytes(raw) in (_NULL, b"{}"):
            return
        try:
            self.fields = cast("dict[str, msgspec.Raw]", _OPTIONS.decode(raw))
        except msgspec.DecodeError:
            raise _malformed(op, "opts", bytes(raw), "an object") from None

    def malformed(self, field: str, wanted: str) -> MalformedOperation:
        value = self.fields.get(field)
        return _malformed(self.op, f"opts.{field}", None if value is None else bytes(value), wanted)

    def raw(self, field: str) -> msgspec.Raw | None:
        """The canonical value of a field; None if it is absent or null."""
        value = self.fields.get(field)
        if value is None or bytes(value) == _NULL:
            return None
        return msgspec.Raw(self.forms.form(value))

    def text(self, field: str, fallback: str = "") -> str:
        value = self.fields.get(field)
        if value is None or bytes(value) == _NULL:
            return fallback
        try:
            return msgspec.json.decode(value, type=str)
        except msgspec.DecodeError:
            raise self.malformed(field, "a string") from None

    def display_text(self, field: str) -> str:
        """Text that only people read: anything else counts as absent."""
        value = self.fields.get(field)
        return self.text(field) if value is not None and bytes(value)[:1] == b'"' else ""

    def required(self, field: str, fallback: str = "") -> str:
        value = self.text(field) or fallback
        if not value:
            raise self.malformed(field, "a string that is not empty")
        return value

    def object(self, field: str) -> msgspec.Raw:
        value = self.raw(field)
        if value is not None and bytes(value)[:1] != b"{":
            raise self.malformed(field, "an object")
        return ops.EMPTY_OBJECT if value is None else value

    def headers(self) -> tuple[tuple[str, str], ...]:
        if has_more_values(self.fields.get("headers", ops.NULL), limit.STEP_HEADERS_MAX):
            raise self.malformed("headers", f"at most {limit.STEP_HEADERS_MAX} of them")
        try:
            return tuple(msgspec.json.decode(self.object("headers"), type=dict[str, str]).items())
        except msgspec.DecodeError:
            raise self.malformed("headers", "an object of strings") from None

    def limits(self) -> tuple[StepLimit, ...]:
        """The named limits a step stands under."""
        if "limits" not in self.fields:
            return ()
        if has_more_values(self.fields["limits"], _LIMITS_VALUES_MAX):
            raise self.malformed("limits", f"at most {limit.NAMED_LIMITS_MAX} limits")
        try:
            found = msgspec.json.decode(self.fields["limits"], type=tuple[StepLimit, ...] | None)
        except msgspec.DecodeError as error:
            wanted = f'a list of limits such as [{{"name":"openai","weight":1}}] ({error})'
            raise self.malformed("limits", wanted) from None
        if found is not None and len(found) > limit.NAMED_LIMITS_MAX:
            raise self.malformed("limits", f"at most {limit.NAMED_LIMITS_MAX} limits")
        for index, one in enumerate(found or ()):
            for problem in step_problems(f"opts.limits[{index}].", one):
                raise MalformedOperation(f"operation {self.op}: {problem}")
        return found or ()

    def used(self) -> tuple[LimitUsed, ...]:
        """What a step used of limits, as the difference to what it had taken."""
        if "limits" not in self.fields:
            return ()
        if has_more_values(self.fields["limits"], _LIMITS_VALUES_MAX):
            raise self.malformed("limits", f"at most {limit.NAMED_LIMITS_MAX} limits")
        try:
            found = msgspec.json.decode(self.fields["limits"], type=tuple[LimitUsed, ...] | None)
        except msgspec.DecodeError as error:
            wanted = f'a list such as [{{"name":"openai","by":40}}] ({error})'
            raise self.malformed("limits", wanted) from None
        for index, one in enumerate(found or ()):
            for problem in key_problems(f"opts.limits[{index}].key", one.key):
                raise MalformedOperation(f"operation {self.op}: {problem}")
        return found or ()

    def array(self, field: str) -> msgspec.Raw | None:
        value = self.raw(field)
        if value is not None and bytes(value)[:1] != b"[":
            raise self.malformed(field, "an array")
        return value


class _Forms(NamedTuple):
    """How values are brought into the form that is kept."""

    form: Callable[[msgspec.Raw], bytes]
    failure: Callable[[msgspec.Raw], Failure]


_Reader: TypeAlias = Callable[[_Head, _Options, _Incoming], Operation]


def _data(options: _Options, incoming: _Incoming) -> msgspec.Raw:
    return msgspec.Raw(options.forms.form(incoming.data))


def _step_run(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    given, kind = options.array("input"), options.display_text("type")
    return ops.StepRun(
        **head, data=_data(options, incoming), input=given, type=kind, used=options.used()
    )


def _step_planned(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    return ops.StepPlanned(
        **head,
        input=options.array("input"),
        type=options.display_text("type"),
        limits=options.limits(),
    )


def _step_error(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    if bytes(incoming.error) == _NULL:
        raise _malformed("StepError", "error", None, "an object")
    return ops.StepError(
        **head,
        failure=options.forms.failure(incoming.error),
        input=options.array("input"),
        type=options.display_text("type"),
        used=options.used(),
    )


def _step_failed(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    if bytes(incoming.error) == _NULL:
        raise _malformed("StepFailed", "error", None, "an object")
    return ops.StepFailed(
        **head,
        failure=options.forms.failure(incoming.error),
        input=options.array("input"),
        type=options.display_text("type"),
        used=options.used(),
    )


def _sleep(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    return ops.Sleep(**head, until=options.text("duration") or head["name"])


def _wait_event(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    return ops.WaitForEvent(
        **head,
        event=options.required("event", head["name"]),
        timeout=options.text("timeout"),
        condition=options.text("if"),
        look_back=bytes(options.raw("lookBack") or b"") == b"true",
    )


def _wait_signal(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    conflict = options.text("conflict") or ops.CONFLICT_FAIL
    if conflict not in (ops.CONFLICT_FAIL, ops.CONFLICT_REPLACE):
        raise options.malformed("conflict", "fail or replace")
    return ops.WaitForSignal(
        **head,
        signal=options.required("signal", head["name"]),
        timeout=options.text("timeout"),
        conflict=conflict,
    )


def _invoke(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    if options.raw("payload") is None:
        raise options.malformed("payload", 'an object such as {"data":{}}')
    payload = _Options("InvokeFunction", options.object("payload"), options.forms)
    user = payload.raw("user")
    return ops.InvokeFunction(
        **head,
        function_id=options.required("function_id"),
        data=payload.object("data"),
        user=None if user is None else payload.object("user"),
        v=payload.text("v") or None,
        meta=payload.raw("meta"),
        timeout=options.text("timeout"),
    )


def _gateway(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    return ops.GatewayCall(
        **head,
        url=options.required("url"),
        method=options.text("method").upper() or "POST",
        headers=options.headers(),
        body=options.text("body"),
    )


def _ai_gateway(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    return ops.AiGatewayCall(
        **head,
        url=options.required("url"),
        format=options.text("format"),
        auth_key=options.text("auth_key"),
        headers=options.headers(),
        body=options.raw("body") or ops.EMPTY_OBJECT,
        type=options.display_text("type"),
    )


def _defer_add(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    return ops.DeferAdd(
        **head,
        function_slug=options.required("fn_slug"),
        input=options.object("input"),
        meta=options.raw("meta"),
    )


def _defer_abort(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    return ops.DeferAbort(**head, target_id=options.required("target_hashed_id"))


def _logs(head: _Head, options: _Options, incoming: _Incoming) -> Operation:
    raw = options.raw("lines") or ops.EMPTY_LIST
    try:
        return ops.Logs(**head, lines=decode_lines(bytes(raw)))
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        wanted = f"a list of lines ({problem})"
        raise options.malformed("lines", wanted) from None


_READERS: dict[str, _Reader] = {
    "none": lambda head, options, incoming: ops.Nothing(**head),
    "step": lambda head, options, incoming: ops.LegacyStep(**head, data=_data(options, incoming)),
    "steprun": _step_run,
    "steperror": _step_error,
    "stepfailed": _step_failed,
    "stepplanned": _step_planned,
    "sleep": _sleep,
    "waitforevent": _wait_event,
    "waitforsignal": _wait_signal,
    "invokefunction": _invoke,
    "gateway": _gateway,
    "aigateway": _ai_gateway,
    "runcomplete": lambda head, options, incoming: ops.RunComplete(
        **head, data=_data(options, incoming)
    ),
    "syncruncomplete": lambda head, options, incoming: ops.SyncRunComplete(
        **head, data=_data(options, incoming)
    ),
    "discoveryrequest": lambda head, options, incoming: ops.DiscoveryRequest(**head),
    "deferadd": _defer_add,
    "deferabort": _defer_abort,
    "logs": _logs,
}
_NEEDS_NO_ID = frozenset({"none", "runcomplete", "syncruncomplete", "discoveryrequest", "logs"})


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""


def _userland(value: Loose) -> ops.Userland:
    if not isinstance(value, dict):
        return ops.NO_USERLAND
    index = value.get("index")
    return ops.Userland(_words(value.get("id")), index if isinstance(index, int) else 0)


def _timing(value: Loose) -> ops.Timing | None:
    if not isinstance(value, dict):
        return None
    start, duration = value.get("a"), value.get("b")
    if not (isinstance(start, int) and isinstance(duration, int)):
        return None
    # What no clock has ever shown is not believed.
    known = 0 <= start < _LATEST_NS and 0 <= duration < _LATEST_NS
    return ops.Timing(start, duration) if known else None


def _head(incoming: _Incoming, options: _Options) -> _Head:
    mode = options.display_text("parallelMode") if options.fields else ""
    listed = bytes(incoming.metadata)[:1] == b"["
    return {
        "id": _words(incoming.id),
        "name": _words(incoming.name),
        "display_name": _words(incoming.display_name),
        "userland": _userland(incoming.userland),
        "parallel_mode": mode if mode in (ops.PARALLEL_WAIT, ops.PARALLEL_RACE) else "",
        "timing": _timing(incoming.timing),
        "metadata": msgspec.Raw(options.forms.form(incoming.metadata)) if listed else None,
    }


_SHORT = _Forms(canonical, decode_failure)


def _read(incoming: _Incoming, forms: _Forms = _SHORT) -> Operation:
    code = incoming.op.lower()
    reader = _READERS.get(code)
    if reader is None:
        known = ", ".join(kind.op for kind in get_args(Operation))
        raise MalformedOperation(f"operation {incoming.op[:80]!r} is unknown: use one of {known}")
    options = _Options(incoming.op, incoming.opts, forms)
    head = _head(incoming, options)
    if not head["id"] and code not in _NEEDS_NO_ID:
        raise _malformed(incoming.op, "id", None, "the hashed id of the step")
    return reader(head, options, incoming)


def _loose(raw: msgspec.Raw) -> Loose:
    """Nothing for what is too long to be what is asked for, which is a text or a few numbers."""
    if len(raw) > _LOOSE_BYTES_MAX and bytes(raw)[:1] != b'"':
        return None
    return _LOOSE.decode(raw)


def _reading_long(raw: bytes) -> Turns[Operation]:
    """One operation of canonical JSON that is long."""
    (item,) = _LONG_LIST.decode(raw)
    failure = Failure()
    if item.error is not ops.NULL:
        failure = yield from decoding_failure(bytes(item.error))
    incoming = _Incoming(
        item.op,
        _loose(item.id),
        _loose(item.name),
        _loose(item.display_name),
        item.opts,
        item.data,
        item.error,
        _loose(item.userland),
        _loose(item.timing),
        item.metadata,
    )

    def known(_: msgspec.Raw) -> Failure:
        return failure

    return _read(incoming, _Forms(bytes, known))


_LOOSE_BYTES_MAX = 4096
_LOOSE = msgspec.json.Decoder(Loose)
_LONG_LIST = msgspec.json.Decoder(list[_Long])
_OPTIONS = msgspec.json.Decoder(_Known)
_LIST = msgspec.json.Decoder(list[_Incoming])
_ONE = msgspec.json.Decoder(_Incoming)


def decode_operations(body: bytes | msgspec.Raw) -> tuple[Operation, ...]:
    """The operations of a reply with status 206: a list of them, or a single one.

    An empty list is returned as such. Raises MalformedOperation for anything the server could not
    act upon: no JSON, an unknown opcode, a missing or wrongly typed field.
    """
    return done(decoding_operations(body))


def decoding_operations(body: bytes | msgspec.Raw) -> Turns[tuple[Operation, ...]]:
    """The same with pauses, if the body is long."""
    raw = bytes(body)
    try:
        if len(raw) > AT_ONCE_BYTES:
            return (yield from _taken_apart(raw))
        if len(raw) > WITH_OTHERS_BYTES:
            yield
        listed = raw.lstrip(b" \t\r\n")[:1] == b"["
        incoming = decode(raw, _LIST) if listed else [decode(raw, _ONE)]
        return tuple([_read(item) for item in incoming])
    except MalformedOperation:
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise MalformedOperation(f"error reading generator opcode response: {problem}") from None


def _taken_apart(raw: bytes) -> Turns[tuple[Operation, ...]]:
    """Brought into form as a whole first: what stands in it is then not looked into again."""
    form = yield from canonicalizing(raw)
    pieces = yield from pieces_of_list(form if form[:1] == b"[" else b"[" + form + b"]")
    found: list[Operation] = []
    for piece in pieces:
        if len(piece) > AT_ONCE_BYTES:
            found.append((yield from _reading_long(piece)))
        else:
            found += [_read(item) for item in _LIST.decode(piece)]
        if len(found) > limit.OPERATIONS_PER_REPLY_MAX:
            most = limit.OPERATIONS_PER_REPLY_MAX
            raise MalformedOperation(f"a reply has at most {most} operations: start fewer at once")
        yield
    return tuple(found)
