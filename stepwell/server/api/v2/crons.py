"""`/v2/crons`: schedules, when they come next, and what became of the latest. Ours."""

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v2.answer import by_id
from stepwell.server.query.v2.cron import crons_v2

DEFAULT, MOST = 20, 100
_LIMIT = parameter.limit(DEFAULT, MOST)
_CURSOR = parameter.plain("cursor", "`page.cursor` of the page before.")
LISTED = Takes((_LIMIT, _CURSOR))


async def many(deps: ApiDeps, request: Request) -> Response:
    """The schedules of all functions, by function: when each comes next and what became of the
    latest times; in which zone, and when its clocks change.

    Beside them, under `catchUp`, what becomes of times that fall due while no server runs: none of
    them starts a run, the latest one, or all.
    """
    count, after = _LIMIT.read(request.query_params), _CURSOR.read(request.query_params)
    now_ms = deps.clock.now_ms()
    found = await deps.searched(
        lambda: crons_v2(deps.reader, deps.ledger.catalog, now_ms, after, count + 1)
    )
    return by_id(deps, found, count, catchUp=deps.config.cron_catch_up)
