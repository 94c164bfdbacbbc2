"""`/v1/events`: which events came in. Source: server.md 6.3."""

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api import query_text
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Problem, enveloped
from stepwell.server.api.route import Takes
from stepwell.server.query.cursor import event_mark
from stepwell.server.query.run_object import event_object
from stepwell.server.store.port import EventFilter
from stepwell.wire.identifier import is_ulid

EVENTS_DEFAULT = 20
EVENTS_MAX = 50
HOUR_MS = 3_600_000
LISTED = Takes(("name", "internal", "received_after", "received_before", "cursor", "limit"))


async def many(deps: ApiDeps, request: Request) -> Response:
    """`GET /v1/events`: newest first, of the last hour unless `received_after` says otherwise;
    `name`, `received_before`, `cursor`, `limit`, and `internal=true` for the server's own."""
    query = request.query_params
    now_ms = deps.clock.now_ms()
    wanted = EventFilter(
        name=query.get("name", ""),
        internal=query_text.flag(query, "internal"),
        since_ms=query_text.instant(query, "received_after", now_ms - HOUR_MS) or 0,
        until_ms=query_text.instant(query, "received_before", None),
        after=event_mark(deps.reader, query_text.cursor(query)),
        limit=query_text.limit(query, EVENTS_DEFAULT, EVENTS_MAX),
    )
    found = await deps.searched(lambda: deps.reader.events(wanted))
    return enveloped([event_object(row) for row in found], now_ms)


async def one(deps: ApiDeps, request: Request) -> Response:
    """`GET /v1/events/{id}`, by our id."""
    event_id = request.path_params["event_id"]
    if not is_ulid(event_id):
        raise Problem(400, f"Invalid event ID: {event_id}")
    row = deps.reader.event(event_id)
    if row is None:
        raise Problem(404, "Event not found")
    return enveloped(event_object(row), deps.clock.now_ms())
