"""`POST /v2/events`: one event comes in, judged more strictly than at `/e/`.

Source: server.md 6.4.
"""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Problem
from stepwell.server.api.route import Body
from stepwell.server.api.v2.answer import answered
from stepwell.server.engine.event_row import event_row
from stepwell.server.engine.input import Accepted, EventsReceived
from stepwell.wire.event import decode_events
from stepwell.wire.limit import EVENT_NAME_BYTES_MAX

_FIX = 'send {"name": "shop/order.placed", "data": {"id": 1}}'
_NAMED = {"minLength": 1, "maxLength": EVENT_NAME_BYTES_MAX}

_Object = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": ["object", "null"]})]


class EventBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One event; `id` makes it count once, `ts` (milliseconds since 1970) says when it happened."""

    name: Annotated[str, msgspec.Meta(extra_json_schema=_NAMED)] = ""
    data: _Object | msgspec.UnsetType = msgspec.UNSET
    user: _Object | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    ts: int | msgspec.UnsetType = msgspec.UNSET
    v: str | msgspec.UnsetType = msgspec.UNSET


class EventTaken(msgspec.Struct, rename="camel"):
    """The id the event got."""

    event_id: str


EVENT = Body(EventBody, _FIX)


async def send(deps: ApiDeps, request: Request) -> Response:
    """Store one event and tell its id."""
    given = await EVENT.read(request)
    if not given.name:
        raise Problem(400, f"Event name is required; {_FIX}", "missing_field")
    if len(given.name.encode()) > EVENT_NAME_BYTES_MAX:
        most = EVENT_NAME_BYTES_MAX
        raise Problem(400, f"Event name is over {most} bytes", "invalid_field_format")
    now_ms = deps.clock.now_ms()
    decoded = decode_events(msgspec.json.encode(given), None, now_ms)
    if decoded.problem is not None:
        raise Problem(400, decoded.problem.told, "invalid_field_format")
    (event,) = decoded.events
    row = event_row(deps.fresh_id(now_ms), event, now_ms)
    answer = await deps.ledger.submit(EventsReceived((row,)))
    assert isinstance(answer, Accepted)
    return answered(deps, EventTaken(answer.ids[0]))
