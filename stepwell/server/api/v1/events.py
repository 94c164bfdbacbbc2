"""`/v1/events`: which events came in."""

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem, enveloped
from stepwell.server.api.routing.route import Takes
from stepwell.server.query.cursor import event_mark
from stepwell.server.query.run_object import event_object
from stepwell.server.store.port import EventFilter
from stepwell.wire.identifier import is_ulid

EVENTS_DEFAULT = 20
EVENTS_MAX = 50
HOUR_MS = 3_600_000
_NAME = parameter.plain("name", "Events of this name alone.")
_INTERNAL = parameter.flag("internal", "The server's own events, too.")
_AFTER = parameter.instant("received_after", "Received at this time or later.")
_BEFORE = parameter.instant("received_before", "Received before this time.")
_CURSOR = parameter.entry("The event before the first of this page.")
_LIMIT = parameter.about(EVENTS_DEFAULT, EVENTS_MAX)
LISTED = Takes((_NAME, _INTERNAL, _AFTER, _BEFORE, _CURSOR, _LIMIT))


async def many(deps: ApiDeps, request: Request) -> Response:
    """Events, the newest first, of the last hour unless `received_after` says otherwise; the
    server's own only if they are asked for."""
    query = request.query_params
    now_ms = deps.clock.now_ms()
    since_ms = _AFTER.read(query)
    wanted = EventFilter(
        name=_NAME.read(query),
        internal=_INTERNAL.read(query),
        since_ms=now_ms - HOUR_MS if since_ms is None else since_ms,
        until_ms=_BEFORE.read(query),
        after=event_mark(deps.reader, _CURSOR.read(query)),
        limit=_LIMIT.read(query),
    )
    found = await deps.searched(lambda: deps.reader.events(wanted))
    return enveloped([event_object(row) for row in found], now_ms)


async def one(deps: ApiDeps, request: Request) -> Response:
    """One event, by the id the server gave it."""
    event_id = request.path_params["event_id"]
    if not is_ulid(event_id):
        raise Problem(400, f"Invalid event ID: {event_id}")
    row = deps.reader.event(event_id)
    if row is None:
        raise Problem(404, "Event not found")
    return enveloped(event_object(row), deps.clock.now_ms())
