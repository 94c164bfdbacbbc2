"""`GET /v2/failures` and `GET /v2/durations`: what became of runs that ended lately. Ours."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import Page, answered, until_late
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.query.v2.ended import Looked, durations_v2, failures_v2, looked_at
from stepwell.server.store.counting import HOUR_MS
from stepwell.server.store.port import RunFilter

LOOKED_AT_MAX = 2_000
"""So many runs are looked at, those that ended last first."""
LOOK_S = 1.0
DEFAULT, MOST = 20, 100
_APP = parameter.texts("appId", "Runs of these apps alone, by id or name.")
_FUNCTION = parameter.texts(
    "functionId", "Runs of these functions of `appId` alone, by id or name."
)
_FROM = parameter.instant("from", "Ended at this time or later; 24 hours ago if absent.")
_LIMIT = parameter.limit(DEFAULT, MOST)
LISTED = Takes((_APP, _FUNCTION, _FROM, _LIMIT))


async def failures(deps: ApiDeps, request: Request) -> Response:
    """What runs failed with, alike errors of a function together, the most frequent first.

    Errors are alike if their name is the same, and their message but for numbers and ids. The
    latest 2000 runs are looked at, for one second: `page.partial` says that there are more.
    """
    looked = await _looked(deps, request, RunStatus.FAILED)
    return _told(deps, request, failures_v2(looked.runs), looked)


async def durations(deps: ApiDeps, request: Request) -> Response:
    """How long completed runs took from start to end, the slowest function first.

    The latest 2000 runs are looked at, for one second: `page.partial` says that there are more.
    """
    looked = await _looked(deps, request, RunStatus.COMPLETED)
    return _told(deps, request, durations_v2(looked.runs), looked)


async def _looked(deps: ApiDeps, request: Request, status: RunStatus) -> Looked:
    query = request.query_params
    apps = name.apps(deps, _APP.read(query))
    since_ms = _FROM.read(query)
    now_ms = deps.clock.now_ms()
    if since_ms is not None and since_ms > now_ms:
        raise Problem(400, "from must not be in the future")
    wanted = RunFilter(
        statuses=(status,),
        apps=apps,
        functions=name.functions(deps, apps, _FUNCTION.read(query)),
        since_ms=now_ms - 24 * HOUR_MS if since_ms is None else since_ms,
        limit=LOOKED_AT_MAX,
    )
    goes_on = until_late(LOOK_S)
    return await deps.searched(lambda: looked_at(deps.reader, wanted, goes_on))


def _told(deps: ApiDeps, request: Request, found: Sequence[object], looked: Looked) -> Response:
    most = _LIMIT.read(request.query_params)
    return answered(deps, found[:most], Page(most, partial=looked.partial))
