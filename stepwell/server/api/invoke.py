"""`POST /invoke/{slug}`: a function is started by its id. Source: server.md 1.8.

Unlike the official server, a function nobody has registered is told at once.
"""

from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Problem, as_json, body_of
from stepwell.server.engine.event_row import event_row
from stepwell.server.engine.input import Done, InvokeAsked, Verdict
from stepwell.wire import header
from stepwell.wire.canonical import canonical
from stepwell.wire.identifier import function_uuid, parse_seed, seeded_ulid
from stepwell.wire.lifecycle import Invocation, function_invoked


class _Invocation(msgspec.Struct):
    """The part of an event-like body that counts; its name is replaced."""

    data: dict[str, msgspec.Raw] | None = None
    user: dict[str, msgspec.Raw] | None = None
    v: str | None = None
    ts: int | None = None


class _Started(msgspec.Struct):
    id: str
    run_id: str
    status: int = 200


async def invoke(deps: ApiDeps, request: Request) -> Response:
    """Start a function with the body's `data` and tell the ids of its event and run."""
    now_ms = deps.clock.now_ms()
    slug = slug_of(deps, unquote(request.path_params["slug"]))
    asked = _decoded(await body_of(request))
    seed = parse_seed(request.headers.get(header.EVENT_ID_SEED))
    event_id = deps.fresh_id(now_ms) if seed is None else seeded_ulid(seed, 0)
    event = function_invoked(
        event_id,
        asked.ts or now_ms,
        Invocation(slug),
        data=_canonical(asked.data or {}),
        user=None if asked.user is None else _canonical(asked.user),
        v=asked.v,
    )
    given = InvokeAsked(event_row(event_id, event, now_ms), slug)
    answer = await deps.ledger.submit(given)
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, answer.reason)
    return as_json(_Started(event_id, answer.subject))


def slug_of(deps: ApiDeps, name: str) -> str:
    """A function's composite id, given as that or as its UUID."""
    if deps.ledger.catalog.listing(name) is not None:
        return name
    for slug in deps.ledger.catalog.listings:
        if function_uuid(slug) == name:
            return slug
    return name


def _decoded(body: bytes) -> _Invocation:
    if not body.strip():
        return _Invocation()
    try:
        return msgspec.json.decode(body, type=_Invocation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fix = 'send an object such as {"data": {"id": 1}}'
        raise Problem(400, f"the request body cannot be used: {error}; {fix}") from None


def _canonical(fields: dict[str, msgspec.Raw]) -> msgspec.Raw:
    try:
        return msgspec.Raw(canonical(msgspec.json.encode(fields)))
    except ValueError as error:
        raise Problem(400, f"the request body cannot be used: {error}") from None
