"""The only place that knows one call of a function: what the server asks, what the SDK answers.

The server builds a call from pieces that are canonical already (events, memos), so a call is
written without looking inside them; the SDK reads it without decoding what it does not need.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from stepwell.wire import header
from stepwell.wire.long_json import Turns, decoding, done
from stepwell.wire.outside import decode, has_more_values

NULL = msgspec.Raw(b"null")

TARGET_DISCOVERY = "step"
"""The `stepId` of a call that is not for one step."""

STATUS_DONE = 200
STATUS_STREAMED = 201
STATUS_OPERATIONS = 206
STATUS_FAILED_FOR_GOOD = 400
STATUS_FAILED = 500


class Stack(msgspec.Struct, frozen=True):
    """Hashed ids of memoised steps in the order they ended; `current` is how many there were."""

    stack: tuple[str, ...] = ()
    current: int = 0


class CallContext(msgspec.Struct, frozen=True, kw_only=True):
    """`ctx` of a call. `attempt` counts from 0; `max_attempts` is retries + 1, None if unknown."""

    run_id: str = ""
    fn_id: str = ""
    attempt: int = 0
    max_attempts: int | None = None
    disable_immediate_execution: bool = False
    env: str = ""
    stack: Stack | None = None
    job_id: str = ""
    qi_id: str = ""
    request_id: str = ""
    generation_id: int = 0


class CallRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A call. `event` and `events` are as functions see them; `steps` is the memo.

    With `use_api` the steps (and the events, if the list is empty) are to be fetched.
    `target` travels in the URL, not in the body: a hashed step id, or `step` for a discovery.
    `exact_numbers` is a server's word that it keeps numbers as they are written; others keep
    doubles. `keeps_logs` is its word that it keeps lines that functions write. `step_name` is what
    the one step asked for was called when it was planned; others do not say it. `step_names` is
    what the known ones are called, by their hashed ids: told to code that is not the one they ended
    in.
    """

    ctx: CallContext
    event: msgspec.Raw
    events: tuple[msgspec.Raw, ...] = ()
    steps: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict[str, msgspec.Raw])
    defers: dict[str, bool] = msgspec.field(default_factory=dict[str, bool])
    use_api: bool = False
    version: int = header.REQUEST_VERSION_UNKNOWN
    exact_numbers: bool = False
    keeps_logs: bool = False
    step_name: str = ""
    step_names: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class CallResponse(msgspec.Struct, frozen=True):
    """What an SDK answers: status, body, and headers by their lower-case names."""

    status: int
    body: bytes = b"null"
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class _Context(msgspec.Struct):
    """`ctx` in canonical order."""

    attempt: int
    disable_immediate_execution: bool
    env: str
    fn_id: str
    generation_id: int
    job_id: str
    max_attempts: int | msgspec.UnsetType
    qi_id: str
    request_id: str
    run_id: str
    stack: dict[str, "int | tuple[str, ...]"]
    step_id: str
    use_api: bool


class _Call(msgspec.Struct):
    """The body in canonical order."""

    ctx: _Context
    defers: dict[str, dict[str, bool]]
    event: msgspec.Raw
    events: tuple[msgspec.Raw, ...]
    exact_numbers: bool | msgspec.UnsetType
    keeps_logs: bool | msgspec.UnsetType
    step_name: str | msgspec.UnsetType
    step_names: dict[str, str] | msgspec.UnsetType
    steps: dict[str, msgspec.Raw]
    use_api: bool
    version: int


_ENCODER = msgspec.json.Encoder(order="deterministic")


def _context(ctx: CallContext, *, use_api: bool) -> _Context:
    stack = ctx.stack or Stack()
    return _Context(
        ctx.attempt,
        ctx.disable_immediate_execution,
        ctx.env,
        ctx.fn_id,
        ctx.generation_id,
        ctx.job_id,
        msgspec.UNSET if ctx.max_attempts is None else ctx.max_attempts,
        ctx.qi_id,
        ctx.request_id,
        ctx.run_id,
        {"current": stack.current, "stack": stack.stack},
        TARGET_DISCOVERY,
        use_api,
    )


def encode_call(call: CallRequest) -> bytes:
    """The body of a call, canonical if `event`, `events` and `steps` are. Sign these very bytes.

    It does not judge the size: see `limit.CALL_BODY_BYTES_MAX` and `without_state`.
    """
    return _ENCODER.encode(
        _Call(
            _context(call.ctx, use_api=call.use_api),
            {key: {"abortable": abortable} for key, abortable in call.defers.items()},
            call.event,
            call.events,
            call.exact_numbers or msgspec.UNSET,
            call.keeps_logs or msgspec.UNSET,
            call.step_name or msgspec.UNSET,
            call.step_names or msgspec.UNSET,
            call.steps,
            call.use_api,
            call.version,
        )
    )


def without_state(call: CallRequest, *, keep_events: bool) -> CallRequest:
    """The call that tells the SDK to fetch the steps, and the events unless `keep_events`."""
    return msgspec.structs.replace(
        call, steps={}, events=call.events if keep_events else (), use_api=True
    )


class _IncomingStack(msgspec.Struct):
    stack: tuple[str, ...] | None = None
    current: int = 0


class _IncomingContext(msgspec.Struct):
    run_id: str | None = None
    fn_id: str | None = None
    attempt: int | None = None
    max_attempts: int | None = None
    disable_immediate_execution: bool | None = None
    env: str | None = None
    stack: _IncomingStack | None = None
    job_id: str | None = None
    qi_id: str | None = None
    request_id: str | None = None
    generation_id: int | None = None
    use_api: bool | None = None


class _IncomingDefer(msgspec.Struct):
    abortable: bool = False


class _IncomingCall(msgspec.Struct):
    ctx: _IncomingContext
    event: msgspec.Raw = NULL
    events: tuple[msgspec.Raw, ...] | None = None
    steps: dict[str, msgspec.Raw] | None = None
    defers: dict[str, _IncomingDefer] | None = None
    use_api: bool | None = None
    version: int | None = None
    exact_numbers: bool | None = None
    keeps_logs: bool | None = None
    step_name: str | None = None
    step_names: dict[str, str] | None = None


class MalformedCall(ValueError):
    """The body of a call that cannot be understood; the text names the field."""


def _is_null(raw: msgspec.Raw) -> bool:
    return len(raw) == 4 and bytes(raw) == b"null"


_DECODER = msgspec.json.Decoder(_IncomingCall)


def decode_call(body: bytes) -> CallRequest:
    """The call in a request's body; unknown fields are ignored, most fields may be missing.

    `event` falls back to the first of `events` and the other way round. The pieces refer to `body`
    and keep it alive. Raises MalformedCall.
    """
    try:
        incoming = decode(body, _DECODER)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise MalformedCall(f"the request body is not a call: {problem}") from None
    use_api = bool(incoming.use_api or incoming.ctx.use_api)
    listed = incoming.events or ()
    event = listed[0] if listed and _is_null(incoming.event) else incoming.event
    if not use_api:
        if _is_null(event):
            raise MalformedCall('the request body is not a call: the field "event" is missing')
        listed = listed or (event,)
    return CallRequest(
        ctx=_read_context(incoming.ctx),
        event=event,
        events=listed,
        steps=incoming.steps or {},
        defers={key: defer.abortable for key, defer in (incoming.defers or {}).items()},
        use_api=use_api,
        version=header.REQUEST_VERSION_UNKNOWN if incoming.version is None else incoming.version,
        exact_numbers=bool(incoming.exact_numbers),
        keeps_logs=bool(incoming.keeps_logs),
        step_name=incoming.step_name or "",
        step_names=incoming.step_names or {},
    )


def _read_context(ctx: _IncomingContext) -> CallContext:
    stack = None
    if ctx.stack is not None and ctx.stack.stack is not None:
        stack = Stack(ctx.stack.stack, ctx.stack.current)
    return CallContext(
        run_id=ctx.run_id or "",
        fn_id=ctx.fn_id or "",
        attempt=ctx.attempt or 0,
        max_attempts=ctx.max_attempts,
        disable_immediate_execution=bool(ctx.disable_immediate_execution),
        env=ctx.env or "",
        stack=stack,
        job_id=ctx.job_id or "",
        qi_id=ctx.qi_id or "",
        request_id=ctx.request_id or "",
        generation_id=ctx.generation_id or 0,
    )


_STEPS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_EVENTS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])


def decode_steps(body: bytes) -> dict[str, msgspec.Raw]:
    """The memo map that `GET /v0/runs/{id}/actions` answers with. Raises MalformedCall."""
    try:
        return decode(body, _STEPS)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise MalformedCall(f"the steps of the run are no JSON object: {problem}") from None


def decode_batch(body: bytes) -> tuple[msgspec.Raw, ...]:
    """The events that `GET /v0/runs/{id}/batch` answers with. Raises MalformedCall."""
    try:
        return decode(body, _EVENTS)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise MalformedCall(f"the events of the run are no JSON list: {problem}") from None


def encode_steps(steps: Mapping[str, msgspec.Raw]) -> bytes:
    """A memo map as that API answers it."""
    return _ENCODER.encode(dict(steps))


MemoKind: TypeAlias = Literal["data", "error", "input", "value"]


class Memo(msgspec.Struct, frozen=True):
    """A memoised step, classified. `value` is what stands inside the wrapper, or all of it.

    `data` is a result and `error` a failure; `input` means not memoised, run it with these
    arguments; `value` is a value without a wrapper (a sleep's null, a wait's event).
    """

    kind: MemoKind
    value: msgspec.Raw


_WRAPPERS: tuple[MemoKind, ...] = ("error", "input", "data")
_WRAPPER_KEYS = frozenset({"data", "error", "input"})


def classify_memo(raw: msgspec.Raw) -> Memo:
    """A memo by the wrapper rule.

    An object with no other keys than `data`, `error` and `input` is a wrapper, everything else is
    the value itself. For a wait for an event do not ask: its event is the memo.
    """
    form = bytes(raw).lstrip(b" \t\r\n")
    if form[:1] != b"{":
        return Memo("value", msgspec.Raw(form))
    fields = msgspec.json.decode(form, type=dict[str, msgspec.Raw])
    if not fields or not _WRAPPER_KEYS.issuperset(fields):
        return Memo("value", msgspec.Raw(form))
    for kind in _WRAPPERS:
        value = fields.get(kind)
        if value is not None and not (kind == "error" and bytes(value) == b"null"):
            return Memo(kind, value)
    return Memo("data", fields.get("data", NULL))


def data_memo(data: msgspec.Raw) -> msgspec.Raw:
    """A step's result as it is memoised: `{"data":…}`. Canonical if `data` is."""
    return msgspec.Raw(b'{"data":' + bytes(data) + b"}")


def input_memo(arguments: msgspec.Raw) -> msgspec.Raw:
    """New arguments (an array) for a step that is to run again: `{"input":[…]}`."""
    return msgspec.Raw(b'{"input":' + bytes(arguments) + b"}")


def signal_memo(signal: str, data: msgspec.Raw) -> msgspec.Raw:
    """A wait for a signal that was answered."""
    name = msgspec.json.encode(signal)
    return msgspec.Raw(b'{"data":{"data":' + bytes(data) + b',"signal":' + name + b"}}")


class _Envelope(msgspec.Struct):
    status: int
    body: msgspec.Raw = NULL
    headers: msgspec.Raw = NULL
    error: str | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_HEADERS = msgspec.json.Decoder(dict[str, str | list[str]] | None)
_HEADERS_MAX = 1_000


def decode_streamed(body: bytes) -> CallResponse:
    """The answer inside the envelope of a 201. Raises ValueError.

    Leading keep-alive spaces are skipped; the inner body may be JSON text or inline JSON; header
    names come out in lower case.
    """
    return done(decoding_streamed(body))


def decoding_streamed(body: bytes) -> Turns[CallResponse]:
    """The same with pauses, if the body is long."""
    try:
        envelope = yield from decoding(body.strip(), _ENVELOPE)
        if has_more_values(envelope.headers, _HEADERS_MAX):
            raise ValueError(f"the streamed reply has more than {_HEADERS_MAX} headers")
        given = _HEADERS.decode(envelope.headers)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"the streamed reply is no envelope: {problem}") from None
    if envelope.error:
        raise ValueError(envelope.error)
    inner = bytes(envelope.body)
    if inner[:1] == b'"':
        inner = msgspec.json.decode(inner, type=str).encode()
    headers = {
        name.lower(): value if isinstance(value, str) else ", ".join(value)
        for name, value in (given or {}).items()
    }
    return CallResponse(envelope.status, inner, headers)


def encode_streamed(response: CallResponse) -> bytes:
    """An answer as the envelope of a 201."""
    text = response.body.decode()
    return msgspec.json.encode(
        {"status": response.status, "headers": response.headers, "body": text}
    )
