"""`POST /invoke/{slug}`: a function is started by its id.

A function nobody has registered is no error of the request: its end is told by an event, as a run's
is. The answer says so at once beside the id.
"""

from difflib import get_close_matches
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, as_json, body_of
from stepwell.server.api.routing.route import unknown_field
from stepwell.server.engine.message.input import Done, InvokeAsked, Verdict
from stepwell.server.engine.row.event import event_row
from stepwell.server.turns import in_turns
from stepwell.wire import header, limit
from stepwell.wire.event import Event, decoding_events
from stepwell.wire.identifier import parse_seed, seeded_ulid
from stepwell.wire.lifecycle import Invocation, function_invoked
from stepwell.wire.long_json import decoding
from stepwell.wire.operation import NULL

NEAR_MAX = 3
_FIELDS = ("data", "id", "ts", "user", "v", "meta", "name")
_FIX = 'send an object such as {"data": {"id": 1}}'


class _Asked(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the body may say. Looked into as an event is, whose name it does not choose."""

    data: msgspec.Raw = NULL
    id: msgspec.Raw = NULL
    ts: msgspec.Raw = NULL
    user: msgspec.Raw = NULL
    v: msgspec.Raw = NULL
    meta: msgspec.Raw = NULL
    name: msgspec.Raw = NULL


_ASKED = msgspec.json.Decoder(_Asked)


class _Started(msgspec.Struct):
    id: str
    run_id: str | msgspec.UnsetType = msgspec.UNSET
    status: int = 200
    error: str | msgspec.UnsetType = msgspec.UNSET


async def invoke(deps: ApiDeps, request: Request) -> Response:
    """Start a function with the body's `data` and tell the ids of its event and run. An `id` counts
    once, as that of an event does: who repeats it is told of the run there is. Where nobody has
    registered the function there is no run, and `error` names those that are near."""
    now_ms = deps.clock.now_ms()
    name = unquote(request.path_params["slug"])
    listing = deps.ledger.catalog.named(name)
    slug = name if listing is None else listing.slug
    asked = await _decoded(await body_of(request, limit.REPLY_BODY_BYTES_MAX), now_ms)
    seed = parse_seed(request.headers.get(header.EVENT_ID_SEED))
    event_id = deps.fresh_id(now_ms) if seed is None else seeded_ulid(seed, 0)
    event = function_invoked(
        event_id,
        asked.ts,
        Invocation(slug),
        data=asked.data,
        user=asked.user,
        v=asked.v,
        meta=asked.meta,
    )
    row = msgspec.structs.replace(event_row(event_id, event, now_ms), key=asked.id)
    answer = await deps.ledger.submit(InvokeAsked(row, slug))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        return as_json(_Started(event_id, error=f"{answer.reason}; {_known(deps, slug)}"))
    run = deps.reader.run(answer.subject) if answer.verdict is Verdict.ALREADY else None
    return as_json(_Started(run.event_ids[0] if run else event_id, answer.subject))


def _known(deps: ApiDeps, slug: str) -> str:
    """What somebody who named a function that is not there may have meant."""
    slugs = sorted(deps.ledger.catalog.listings)
    if not slugs:
        return "no app has registered any function yet"
    near = get_close_matches(slug, slugs, NEAR_MAX, cutoff=0.0)
    return f"use the id of a registered one, such as {', '.join(near)}"


async def _decoded(body: bytes, now_ms: int) -> Event:
    """The event-like body: what holds of events that are sent holds of it, its name aside."""
    try:
        asked = await in_turns(decoding(body.strip() or b"{}", _ASKED))
    except ValueError as error:
        if (said := unknown_field(error, _FIELDS)) != str(error):
            raise Problem(400, said) from None
        raise Problem(400, f"the request body cannot be used: {error}; {_FIX}") from None
    named = msgspec.structs.replace(asked, name=msgspec.Raw(b'"invoked"'))
    decoded = await in_turns(decoding_events(msgspec.json.encode(named), None, now_ms))
    if decoded.problem is not None:
        raise Problem(400, f"the request body cannot be used: {decoded.problem.told}; {_FIX}")
    (event,) = decoded.events
    return event
