"""`POST /e/{key}`: events come in. The hottest path of the API, so plain ASGI without a framework.

Law: what a 200 lists is stored. Events before a bad one of the same request are stored too, and
listed in the 400.
"""

from collections.abc import Iterable, Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import BODY_BYTES_MAX, as_problem
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.run import EventRow
from stepwell.server.intake import Refused, received
from stepwell.server.turns import in_turns
from stepwell.wire import header
from stepwell.wire.event import Event, decoding_events, not_events
from stepwell.wire.identifier import FIRST_SEEDED, parse_seed, seeded_ulid

PATH = "/e/"
CORS_AGE_S = 3600
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")

_SEED = header.EVENT_ID_SEED.encode()
_REFUSED: Mapping[str, tuple[int, str, str]] = {
    "missing": (401, "Event key is required: POST to /e/<your event key>", ""),
    "unknown": (
        401,
        "Event key not found",
        "this server was not started with the key in the path: set INNGEST_EVENT_KEY to one it has",
    ),
    "closed": (
        503,
        "Event keys are required to process events securely: start with --event-key",
        "",
    ),
}


class _Answer(msgspec.Struct, omit_defaults=True):
    ids: tuple[str, ...]
    status: int
    error: str | None = None


class _Unknown(msgspec.Struct):
    status: int
    message: str
    error: str


_ENCODER = msgspec.json.Encoder()
Headers = Iterable[tuple[bytes, bytes]]


class EventsEndpoint:
    """An ASGI app for paths that begin with `/e/`."""

    def __init__(self, deps: ApiDeps) -> None:
        """What it stands on."""
        self._deps = deps
        self._kind = (header.SERVER_KIND.encode(), deps.config.kind.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        status, body, more = await self._answer(scope, receive, headers)
        length = (b"content-length", str(len(body)).encode())
        answered = [length, self._kind, *more]
        if (origin := headers.get(b"origin")) is not None:
            answered += ((b"access-control-allow-origin", origin), (b"vary", b"Origin"))
        start = {"type": "http.response.start", "status": status, "headers": answered}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> tuple[int, bytes, Headers]:
        method: str = scope["method"]
        if method == "OPTIONS":
            return 200, b"", _preflight(headers)
        if method != "POST":
            refused = _Unknown(405, "", f"{method} is not allowed here: POST events")
            return 405, _ENCODER.encode(refused), (_JSON, (b"allow", b"POST, OPTIONS"))
        verdict = self._deps.access.may_send(scope["path"][len(PATH) :].strip("/"))
        if verdict != "welcome":
            status, error, fix = _REFUSED[verdict]
            return status, _ENCODER.encode(_Unknown(status, fix, error)), (_JSON,)
        raw = await _body(receive)
        if raw is None:
            error = f"the request body is over {BODY_BYTES_MAX} bytes: send fewer events at once"
            return 413, _ENCODER.encode(_Answer((), 413, error)), (_TEXT,)
        answer = await self._receive(raw, headers)
        return answer.status, _ENCODER.encode(answer), (_TEXT,)

    async def _receive(self, raw: bytes, headers: Mapping[bytes, bytes]) -> _Answer:
        now_ms = self._deps.clock.now_ms()
        kind = headers.get(b"content-type")
        content_type = None if kind is None else kind.decode("latin-1")
        decoded = await in_turns(decoding_events(raw, content_type, now_ms))
        problem = None if decoded.problem is None else decoded.problem.told
        if not decoded.events:
            if problem is None and not raw.strip():
                problem = not_events().told
            return _Answer((), 200 if problem is None else 400, problem)
        rows, fresh = self._rows(decoded.events, headers.get(_SEED), now_ms)
        try:
            ids = await received(self._deps.ledger, rows, fresh=fresh)
        except Refused as refused:
            told = as_problem(refused.reason)
            return _Answer(refused.ids, told.status, told.message)
        return _Answer(ids, 200 if problem is None else 400, problem)

    def _rows(
        self, events: tuple[Event, ...], seed_text: bytes | None, now_ms: int
    ) -> tuple[list[EventRow], bool]:
        """Ids are drawn here, and nowhere later; a seed makes them the same for a request that is
        repeated."""
        seed = None if seed_text is None else parse_seed(seed_text.decode("latin-1"))
        if seed is None:
            fresh = self._deps.fresh_id
            ids = [fresh(now_ms) for _ in events]
        else:
            ids = [seeded_ulid(seed, place) for place, _ in enumerate(events, FIRST_SEEDED)]
        rows = [event_row(id_, event, now_ms) for event, id_ in zip(events, ids, strict=True)]
        return rows, seed is None


async def _body(receive: Receive) -> bytes | None:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= BODY_BYTES_MAX else None
    chunks = bytearray(body)
    while message.get("more_body", False):
        message = await receive()
        chunks += message.get("body", b"")
        # Who left in the middle must not have half of what was sent taken for the whole.
        if len(chunks) > BODY_BYTES_MAX or message["type"] == "http.disconnect":
            return None
    return bytes(chunks)


def _preflight(headers: Mapping[bytes, bytes]) -> Headers:
    """A browser asks before it sends: any page may send events, to whom it knows a key for."""
    asked = headers.get(b"access-control-request-headers", b"*")
    return (
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", str(CORS_AGE_S).encode()),
    )
