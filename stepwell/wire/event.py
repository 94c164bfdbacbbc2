"""The only place that knows what an event is, how it travels, and which ones are refused.

What leaves `decode_events` holds canonical JSON in `data`, `user` and `meta`, so that later stages
embed these bytes without looking inside.
"""

import json
import re
from collections.abc import Generator

import msgspec

from stepwell.wire import limit
from stepwell.wire.canonical import repaired
from stepwell.wire.elements import TooLong, elements
from stepwell.wire.event_session import normal_meta
from stepwell.wire.long_json import WITH_OTHERS_BYTES, Turns, canonicalizing, done
from stepwell.wire.outside import has_more_values

FUNCTION_FAILED = "inngest/function.failed"
FUNCTION_FINISHED = "inngest/function.finished"
FUNCTION_CANCELLED = "inngest/function.cancelled"
FUNCTION_INVOKED = "inngest/function.invoked"
SCHEDULED_TIMER = "inngest/scheduled.timer"
DEFERRED_SCHEDULE = "inngest/deferred.schedule"
HTTP_REQUEST = "inngest/http.request"
INTERNAL_PREFIX = "inngest/"

NEVER_SENT = (
    'a wildcard stands at the end, after "/" or ".", as in "shop/*"; elsewhere it matches nothing'
)
"""What is wrong with a trigger that `never_matches`."""

EMPTY_OBJECT = msgspec.Raw(b"{}")
NULL = msgspec.Raw(b"null")

_NULL = b"null"
_SPACE = re.compile(r"[ \t\r\n]*")
_BLANK = re.compile(rb"[ \t\r\n]*")


class Event(msgspec.Struct, frozen=True):
    """Something that happened. `ts` is milliseconds since 1970; `id` is the sender's, or empty."""

    name: str
    data: msgspec.Raw = EMPTY_OBJECT
    id: str = ""
    ts: int = 0
    v: str | None = None
    user: msgspec.Raw | None = None
    meta: msgspec.Raw | None = None


class EventProblem(msgspec.Struct, frozen=True):
    """Why the event at `index` (from 0) was refused: in the protocol's words where it has some, and
    what to do about it where these do not say."""

    message: str
    index: int = 0
    fix: str = ""

    @property
    def told(self) -> str:
        """Both, and which of many events it is about."""
        text = f"{self.message}; {self.fix}" if self.fix else self.message
        if not self.index:
            return text
        return f"{text} (event {self.index + 1} of the request; those before it are accepted)"


class Decoded(msgspec.Struct, frozen=True):
    """The events before the first bad one, and what was wrong with that one, if any.

    Both are empty for an empty body or list, which is no error.
    """

    events: tuple[Event, ...] = ()
    problem: EventProblem | None = None


class _Refused(ValueError):
    """Carries the reason an event is refused to the one place that reports it."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


def _problem(error: ValueError, index: int) -> EventProblem:
    return EventProblem(str(error), index, error.fix if isinstance(error, _Refused) else "")


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON: send null or a string")


class _Incoming(msgspec.Struct, gc=False):
    """An event as it comes: null counts as absent, types are strict, unknown fields are dropped."""

    name: str | None = None
    data: msgspec.Raw = NULL
    id: str | None = None
    ts: int | None = None
    v: str | None = None
    user: msgspec.Raw = NULL
    meta: msgspec.Raw = NULL


_SCANNER = json.JSONDecoder(parse_constant=_refuse)
_LIST = msgspec.json.Decoder(list[_Incoming])
_ONE = msgspec.json.Decoder(_Incoming)
_ENCODER = msgspec.json.Encoder()


def never_matches(pattern: str) -> bool:
    """Does a trigger have a wildcard where none is understood?"""
    inside = pattern.removesuffix("*") if pattern.endswith(("/*", ".*")) else pattern
    return "*" in inside


def is_internal_event(name: str) -> bool:
    """Whether a name is reserved for the server's own events, whatever its case."""
    return name[:8].lower() == INTERNAL_PREFIX


def under_id(event: Event, event_id: str) -> Event:
    """An event as functions see it: under the sender's id if there is one, else under the server's
    own."""
    if event.id:
        return event
    return Event(event.name, event.data, event_id, event.ts, event.v, event.user, event.meta)


def encode_event(event: Event, *, with_user: bool = True) -> bytes:
    """An event as JSON, canonical if its pieces are.

    With `with_user` an absent `user` is written as `{}`, as functions expect it.
    """
    parts: list[bytes] = [b'{"data":', bytes(event.data)]
    if event.id:
        parts += (b',"id":', _ENCODER.encode(event.id))
    if event.meta is not None:
        parts += (b',"meta":', bytes(event.meta))
    parts += (b',"name":', _ENCODER.encode(event.name), b',"ts":%d' % event.ts)
    if event.user is not None:
        parts += (b',"user":', bytes(event.user))
    elif with_user:
        parts.append(b',"user":{}')
    if event.v is not None:
        parts += (b',"v":', _ENCODER.encode(event.v))
    parts.append(b"}")
    return b"".join(parts)


def decode_event(raw: bytes | msgspec.Raw) -> Event:
    """An event from a trusted peer: a call, an API answer, the store. Nothing is judged but types.

    Raises ValueError if it is no event.
    """
    try:
        incoming = _ONE.decode(raw)
    except msgspec.DecodeError as problem:
        raise ValueError(f"not an event: {problem}") from None
    if incoming.name is None:
        raise ValueError('not an event: the field "name" is missing')
    return Event(
        incoming.name,
        _detached(incoming.data) or EMPTY_OBJECT,
        incoming.id or "",
        incoming.ts or 0,
        incoming.v,
        _detached(incoming.user),
        _detached(incoming.meta),
    )


def _detached(raw: msgspec.Raw) -> msgspec.Raw | None:
    """A copy that does not keep the whole message alive; None for null."""
    value = bytes(raw)
    return None if value == _NULL else msgspec.Raw(value)


def _without_internal(data: bytes) -> bytes:
    """Object `data` without the key the server alone may set; `data` is canonical."""
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    fields.pop("_inngest", None)
    return msgspec.json.encode(fields)


def _object(field: str, raw: msgspec.Raw) -> Turns[bytes]:
    if has_more_values(raw, limit.EVENT_VALUES_MAX):
        raise _Refused(
            f'event field "{field}" holds more than {limit.EVENT_VALUES_MAX} values',
            "store what is large elsewhere and send where it is",
        )
    try:
        form = yield from canonicalizing(bytes(raw))
    except UnicodeDecodeError:
        raise _Refused(
            f'event field "{field}" is not UTF-8', "encode the request body so"
        ) from None
    except ValueError as problem:
        raise _Refused(f'event field "{field}": {str(problem).partition(" - at")[0]}') from None
    if form[:1] != b"{":
        got = form[:40].decode(errors="replace")
        raise _Refused(
            f'event field "{field}" must be a JSON object, got {got}:'
            f' wrap it, such as {{"{field}": {{"value": …}}}}'
        )
    return form


def _timestamp(ts: int | None, now_ms: int) -> int:
    if not ts:
        return now_ms
    if ts < limit.EVENT_TS_MS_MIN:
        raise _Refused(
            "timestamp is before Jan 1, 1980",
            f'event field "ts" is {ts}: send milliseconds since 1970, not seconds, or leave it out',
        )
    if ts > limit.EVENT_TS_MS_MAX:
        raise _Refused(
            "timestamp is after Jan 1, 2100",
            f'event field "ts" is {str(ts)[:20]}: send milliseconds since 1970, or leave it out',
        )
    return ts


def _accepting(incoming: _Incoming, now_ms: int) -> Turns[Event]:
    """One event within the rules of intake, or _Refused."""
    name = incoming.name
    if not name:
        raise _Refused(
            "event name is empty", 'give the field "name" a text, such as shop/order.placed'
        )
    if name[:8].lower() == INTERNAL_PREFIX:
        raise _Refused(
            f"event name is reserved for internal use: {name}",
            f"begin it with a word of your own in place of {name[:8]}",
        )
    ts = _timestamp(incoming.ts, now_ms)
    data = EMPTY_OBJECT
    if incoming.data is not NULL and bytes(incoming.data) != _NULL:
        form = yield from _object("data", incoming.data)
        data = msgspec.Raw(_without_internal(form) if b'"_inngest":' in form else form)
    if incoming.user is NULL and incoming.meta is NULL:
        return Event(name, data, incoming.id or "", ts, incoming.v)
    user = None if bytes(incoming.user) == _NULL else (yield from _object("user", incoming.user))
    meta = None if bytes(incoming.meta) == _NULL else normal_meta(incoming.meta)
    return Event(
        name,
        data,
        incoming.id or "",
        ts,
        incoming.v,
        None if user is None else msgspec.Raw(user),
        None if meta is None else msgspec.Raw(meta),
    )


def _check_size(event: Event, bytes_max: int) -> None:
    size = len(encode_event(event, with_user=False))
    if size > bytes_max:
        raise _too_large(bytes_max, size)


def _too_large(bytes_max: int, size: int | str) -> _Refused:
    return _Refused(
        f"Event is over the max size: Max {bytes_max} bytes / Size {size} bytes",
        "store what is large elsewhere and send where it is",
    )


def decode_events(
    body: bytes,
    content_type: str | None,
    now_ms: int,
    *,
    event_bytes_max: int = limit.EVENT_BYTES_MAX,
) -> Decoded:
    """The events of one request to `/e/{key}`: an object or a list of objects.

    Not atomic: the events before the first bad one are returned beside its problem. An absent or
    zero `ts` becomes `now_ms`. Ids are the caller's business: an event without one has `id == ""`.
    """
    return done(decoding_events(body, content_type, now_ms, event_bytes_max=event_bytes_max))


def decoding_events(
    body: bytes,
    content_type: str | None,
    now_ms: int,
    *,
    event_bytes_max: int = limit.EVENT_BYTES_MAX,
) -> Turns[Decoded]:
    """The same with pauses, if the body is long."""
    if len(body) > WITH_OTHERS_BYTES:
        yield
    begin = _BLANK.match(body, 0, _BLANK_BYTES_MAX)
    at = 0 if begin is None else begin.end()
    first = body[at : at + 1]
    if first not in (b"[", b"{"):
        return _no_events(body, content_type)
    large: EventProblem | None = None
    try:
        if len(body) > _AT_ONCE_BYTES:
            incoming, large = yield from _taken_apart(body[at:] if at else body, event_bytes_max)
        else:
            incoming = _LIST.decode(body) if first == b"[" else [_ONE.decode(body)]
    except (ValueError, RecursionError) as problem:
        if len(body) > _MENDED_BYTES_MAX:
            told = (
                f"nothing of the request was accepted, because it holds something wrong: {problem}"
            )
            return Decoded((), EventProblem(told, 0, "send fewer events at once to hear which"))
        return _decode_one_by_one(body, now_ms, event_bytes_max)
    events: list[Event] = []
    may_be_large = len(body) > event_bytes_max
    seen = 0
    try:
        for item in incoming[: limit.EVENTS_PER_REQUEST_MAX]:
            if may_be_large:
                seen += _raw_size(item, event_bytes_max)
            event = yield from _accepting(item, now_ms)
            if may_be_large:
                _check_size(event, event_bytes_max)
            events.append(event)
            if seen > _PART_BYTES:
                seen = 0
                yield
    except ValueError as problem:
        return Decoded(tuple(events), _problem(problem, len(events)))
    if len(incoming) > limit.EVENTS_PER_REQUEST_MAX:
        return Decoded(tuple(events), _too_many())
    return Decoded(tuple(events), large)


def _taken_apart(
    body: bytes, event_bytes_max: int
) -> Generator[None, None, tuple[list[_Incoming], EventProblem | None]]:
    """The events of a long request, found one after the other, and what is wrong with one that is
    longer than any may be. Raises ValueError for what is no JSON, or no event."""
    bytes_max = _SPREAD * event_bytes_max + _BESIDE_BYTES
    incoming: list[_Incoming] = []
    seen = 0
    try:
        if body[:1] == b"{":
            if len(body) > bytes_max:
                raise TooLong
            return [_ONE.decode(body)], None
        for element in elements(body, bytes_max):
            incoming.append(_ONE.decode(element))
            if len(incoming) > limit.EVENTS_PER_REQUEST_MAX:
                break
            seen += len(element)
            if seen > _PART_BYTES:
                seen = 0
                yield
    except TooLong:
        refused = _too_large(event_bytes_max, f"over {bytes_max}")
        return incoming, _problem(refused, len(incoming))
    return incoming, None


_AT_ONCE_BYTES = 4 * 1024 * 1024
"""A shorter body is looked through in one go, which takes some milliseconds."""
_BLANK_BYTES_MAX = 64 * 1024
"""How much white space may stand before a request."""
_BESIDE_BYTES = 64 * 1024
"""What an event of full size may have besides its data: a name, an id, fields nobody asked for."""
_PART_BYTES = 256 * 1024
_MENDED_BYTES_MAX = 1024 * 1024
"""A larger body with something wrong in it is refused as a whole: to find out what can be accepted
of it would take long."""
_SPREAD = 2
"""How much longer than its shortest form an event may be written."""


def _raw_size(item: _Incoming, bytes_max: int) -> int:
    """How long an event is as it was sent. Judged before anything of it is decoded."""
    size = len(bytes(item.data)) + len(bytes(item.user)) + len(bytes(item.meta))
    if size > _SPREAD * bytes_max:
        raise _too_large(bytes_max, size)
    return size


def _too_many() -> EventProblem:
    most = limit.EVENTS_PER_REQUEST_MAX
    message = f"Cannot have more than {most} events in a batch"
    return EventProblem(message, most, "send the others in another request")


def _no_events(body: bytes, content_type: str | None) -> Decoded:
    """A body that begins with neither an object nor a list."""
    if len(body) <= _BLANK_BYTES_MAX and not body.strip():
        return Decoded()
    return Decoded((), not_events(content_type))


def not_events(content_type: str | None = None) -> EventProblem:
    """What is told of a body that holds no events at all."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        message = (
            f"Request body must contain an event object or an array of event objects, got {kind}"
        )
    else:
        message = "Request body must contain an event object or an array of event objects"
    return EventProblem(message, 0, _FIX_BODY)


_FIX_BODY = 'send JSON such as {"name": "shop/order.placed", "data": {"id": 1}}'


def _decode_one_by_one(body: bytes, now_ms: int, event_bytes_max: int) -> Decoded:
    """The slow way, for bodies with something wrong: everything before it still counts."""
    events: list[Event] = []
    try:
        text = body.decode()
        position = _skip(text, 0)
        if text[position] == "[":
            end = _list_pieces(text, position + 1, events, now_ms, event_bytes_max)
        else:
            end = _one_piece(text, position, events, now_ms, event_bytes_max)
        if _skip(text, end) != len(text):
            raise _Refused("invalid JSON: there is more behind the events, send them as one array")
    except UnicodeDecodeError:
        return Decoded((), EventProblem("the request body is not UTF-8: encode it so"))
    except RecursionError:
        message = "the event is nested too deeply: flatten it"
        return Decoded(tuple(events), EventProblem(message, len(events)))
    except ValueError as problem:
        return Decoded(tuple(events), _problem(problem, len(events)))
    return Decoded(tuple(events))


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _list_pieces(
    text: str, position: int, events: list[Event], now_ms: int, event_bytes_max: int
) -> int:
    position = _skip(text, position)
    while True:
        if len(events) == limit.EVENTS_PER_REQUEST_MAX:
            raise _Refused(_too_many().message, _too_many().fix)
        position = _skip(text, _one_piece(text, position, events, now_ms, event_bytes_max))
        if text[position : position + 1] == "]":
            return position + 1
        if text[position : position + 1] != ",":
            raise _Refused(f"invalid JSON after event {len(events)}: expected a comma or ]")
        position = _skip(text, position + 1)


def _one_piece(
    text: str, position: int, events: list[Event], now_ms: int, event_bytes_max: int
) -> int:
    """Read one event at `position`, append it, and give the position behind it."""
    try:
        _, end = _SCANNER.raw_decode(text, position)
    except json.JSONDecodeError as problem:
        raise _Refused(f"invalid JSON in event {len(events) + 1}: {problem}") from None
    piece = text[position:end]
    if "\\ud" in piece.lower():
        piece = repaired(piece)
    try:
        event = done(_accepting(_ONE.decode(piece), now_ms))
    except msgspec.DecodeError as problem:
        raise _type_problem(piece, str(problem)) from None
    _check_size(event, event_bytes_max)
    events.append(event)
    return end


def _type_problem(piece: str, problem: str) -> _Refused:
    """What to tell about a field of the wrong type: its name, its value and the fix."""
    found = re.search(r"- at `\$\.(\w+)`", problem)
    if found is None:
        none = not_events()
        return _Refused(none.message, none.fix)
    field = found.group(1)
    fix = "an integer, milliseconds since 1970" if field == "ts" else "a string"
    value = json.dumps(json.loads(piece).get(field), ensure_ascii=False)[:80]
    return _Refused(f'event field "{field}" must be {fix}, got {value}')
