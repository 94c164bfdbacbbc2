"""`POST /v2/apps/{app}/functions/{function}/invoke`: a function is started."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Body
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import JsonObject, RunStarted, answered
from stepwell.server.engine.message.input import Done, InvokeAsked, Verdict
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.flow import DropReason
from stepwell.server.turns import in_turns
from stepwell.wire.event import decoding_events
from stepwell.wire.lifecycle import Invocation, function_invoked
from stepwell.wire.limit import REPLY_BODY_BYTES_MAX

_FIX = 'send {"data": {"id": 1}, "idempotencyKey": "order-1"}; the key may be left out'
CONFLICT = "idempotency_conflict"
DEBOUNCED = "function_debounced"
SKIPPED = "function_skipped"
_REFUSED = {
    DropReason.RATE_LIMIT: "rate_limited",
    DropReason.IDEMPOTENCY: "rate_limited",
    DropReason.DEBOUNCE: DEBOUNCED,
    DropReason.DEBOUNCE_OLD: DEBOUNCED,
}


class InvokeBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to start a function with: `data`, `user` and `meta` as those of an event."""

    data: JsonObject
    idempotency_key: str = ""
    user: JsonObject | msgspec.UnsetType = msgspec.UNSET
    meta: JsonObject | msgspec.UnsetType = msgspec.UNSET


INVOKE = Body(InvokeBody, _FIX, REPLY_BODY_BYTES_MAX)


async def invoke(deps: ApiDeps, request: Request) -> Response:
    """Start a run with `data` and tell its id. An `idempotencyKey` counts once in 24 hours: who
    repeats it gets 409 and the id of the run there is. Where flow control starts no run, or none
    yet, the answer is 422 and says why."""
    function = name.function(deps, request)
    asked = await INVOKE.read(request)
    now_ms = deps.clock.now_ms()
    given = {"name": "invoked", "data": asked.data, "user": asked.user, "meta": asked.meta}
    body = msgspec.json.encode({k: v for k, v in given.items() if v is not msgspec.UNSET})
    decoded = await in_turns(decoding_events(body, None, now_ms))
    if decoded.problem is not None:
        raise Problem(400, f"{decoded.problem.told}; {_FIX}", "invalid_field_format")
    (event,) = decoded.events
    event_id = deps.fresh_id(now_ms)
    about = Invocation(function.slug)
    sent = function_invoked(
        event_id, now_ms, about, data=event.data, user=event.user, meta=event.meta
    )
    row = msgspec.structs.replace(event_row(event_id, sent, now_ms), key=asked.idempotency_key)
    answer = await deps.ledger.submit(InvokeAsked(row, function.slug))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Function not found")
    if answer.verdict is Verdict.ALREADY:
        message = f"idempotencyKey {asked.idempotency_key!r} started run {answer.subject} before"
        raise Problem(409, message, CONFLICT, {"runId": answer.subject})
    if answer.verdict is Verdict.REFUSED:
        dropped = deps.reader.dropped(event_id)
        code = _REFUSED.get(dropped[0].reason, SKIPPED) if dropped else SKIPPED
        raise Problem(422, answer.reason, code, {"eventId": event_id})
    if not answer.subject:
        message = "the invocation was accepted; flow control has put its run off"
        raise Problem(422, message, DEBOUNCED, {"eventId": event_id})
    return answered(deps, RunStarted(answer.subject))
