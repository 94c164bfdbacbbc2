"""`/v2/events`: which events came in; and one that comes in, judged more strictly than at `/e/`."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Body, Takes
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import Page, answered, decoded, until_late
from stepwell.server.engine.message.input import Accepted, EventsReceived
from stepwell.server.engine.row.event import event_row
from stepwell.server.query.cursor import encode_cursor
from stepwell.server.query.search import Condition, search_events
from stepwell.server.query.v2.event import event_v2
from stepwell.server.store.port import EventFilter, Mark
from stepwell.server.turns import in_turns
from stepwell.wire.event import decoding_events
from stepwell.wire.limit import EVENT_NAME_BYTES_MAX, REPLY_BODY_BYTES_MAX

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


EVENT = Body(EventBody, _FIX, REPLY_BODY_BYTES_MAX)


DEFAULT, MOST = 20, 100
_NAME = parameter.plain("name", "Events of this name alone.")
_FROM = parameter.instant("from", "Received at this time or later.")
_UNTIL = parameter.instant("until", "Received before this time.")
_INTERNAL = parameter.flag("includeInternal", "The server's own events, too.")
_DATA = parameter.flag("includeData", "Tell what they hold, too.")
_QUERY = parameter.expression(
    "A condition in CEL over `event`, such as `event.data.id == 7`; on several lines, all must"
    " hold. A search takes two seconds at most: see `page.partial`."
)
_SESSION = parameter.sessions(
    "Events that belong to this session alone, as `key=id`; of several, to all. They are looked for"
    " as those of `query` are."
)
_LIMIT = parameter.limit(DEFAULT, MOST)
_CURSOR = parameter.plain("cursor", "`page.cursor` of the page before.")
LISTED = Takes((_NAME, _FROM, _UNTIL, _INTERNAL, _QUERY, _SESSION, _DATA, _LIMIT, _CURSOR))
_ORDER = "receivedAt"


async def many(deps: ApiDeps, request: Request) -> Response:
    """Events, those received last first."""
    query = request.query_params
    count, cursor = _LIMIT.read(query), _CURSOR.read(query)
    since_ms, until_ms = _FROM.read(query) or 0, _UNTIL.read(query)
    if until_ms is not None and until_ms <= since_ms:
        raise Problem(400, "from must be before until")
    wanted = EventFilter(
        name=_NAME.read(query),
        internal=_INTERNAL.read(query),
        since_ms=since_ms,
        until_ms=until_ms,
        after=decoded(cursor, _ORDER) if cursor else None,
        limit=count + 1,
    )
    with_data = _DATA.read(query)
    program = _QUERY.read(query)
    if program is not None:
        wanted = msgspec.structs.replace(wanted, limit=count)
        condition, goes_on = Condition(program, deps.clock.now_ms()), until_late()
        hits = await deps.searched(lambda: search_events(deps.reader, wanted, condition, goes_on))
        cursor = encode_cursor(hits.last, _ORDER) if hits.last else ""
        page = Page(count, cursor, has_more=bool(cursor), partial=hits.partial)
        return answered(deps, [event_v2(row, with_data=with_data) for row in hits.found], page)
    found = await deps.searched(lambda: deps.reader.events(wanted))
    shown = found[:count]
    page = Page(count)
    if len(found) > count:
        last = Mark(shown[-1].received_ms, shown[-1].id)
        page = Page(count, encode_cursor(last, _ORDER), has_more=True)
    return answered(deps, [event_v2(row, with_data=with_data) for row in shown], page)


async def one(deps: ApiDeps, request: Request) -> Response:
    """One event, with what it holds."""
    row = deps.reader.event(name.event_id(request))
    if row is None:
        raise Problem(404, "Event not found")
    return answered(deps, event_v2(row, with_data=True))


async def send(deps: ApiDeps, request: Request) -> Response:
    """Store one event and tell its id."""
    given = await EVENT.read(request)
    if not given.name:
        raise Problem(400, f"Event name is required; {_FIX}", "missing_field")
    if len(given.name.encode()) > EVENT_NAME_BYTES_MAX:
        most = EVENT_NAME_BYTES_MAX
        raise Problem(400, f"Event name is over {most} bytes", "invalid_field_format")
    now_ms = deps.clock.now_ms()
    decoded = await in_turns(decoding_events(msgspec.json.encode(given), None, now_ms))
    if decoded.problem is not None:
        raise Problem(400, decoded.problem.told, "invalid_field_format")
    (event,) = decoded.events
    row = event_row(deps.fresh_id(now_ms), event, now_ms)
    answer = await deps.ledger.submit(EventsReceived((row,)))
    assert isinstance(answer, Accepted)
    return answered(deps, EventTaken(answer.ids[0]))
