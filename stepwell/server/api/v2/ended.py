"""`GET /v2/failures` and `GET /v2/durations`: what became of runs that ended lately. Ours."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import listed
from stepwell.server.query.v2.ended import durations_v2, failures_v2
from stepwell.server.store.counting import HOUR_MS
from stepwell.server.store.port import EndedFilter

DEFAULT, MOST = 20, 100
_APP = parameter.texts("appId", "Runs of these apps alone, by id or name.")
_FUNCTION = parameter.texts(
    "functionId", "Runs of these functions of `appId` alone, by id or name."
)
_FAILED_FROM = parameter.instant(
    "from",
    "Ended in the minute that holds this, or later; 24 hours ago if absent. Before the last 47"
    " hours, the whole hour counts.",
)
_TOOK_FROM = parameter.instant(
    "from", "Ended in the hour that holds this, or later; 24 hours ago if absent."
)
_LIMIT = parameter.limit(DEFAULT, MOST)
_CURSOR = parameter.plain("cursor", "`page.cursor` of the page before: a rank.")
FAILED = Takes((_APP, _FUNCTION, _FAILED_FROM, _LIMIT, _CURSOR))
TOOK = Takes((_APP, _FUNCTION, _TOOK_FROM, _LIMIT, _CURSOR))


async def failures(deps: ApiDeps, request: Request) -> Response:
    """What runs failed with, alike errors of a function together, the most frequent first.

    Errors are alike if their name is the same, and their message but for numbers and ids. Of one
    function 50 kinds are told apart in an hour; others are counted together, as `Others`. Counts
    are kept for ninety days, and runs count here even after they were removed.
    """
    wanted = _wanted(deps, request, _FAILED_FROM)
    now_ms = deps.clock.now_ms()
    found = await deps.searched(lambda: failures_v2(deps.reader, wanted, now_ms))
    return _told(deps, request, found)


async def durations(deps: ApiDeps, request: Request) -> Response:
    """How long completed runs took from start to end, the slowest function first.

    Runs are counted by how long they took, to a sixteenth: `medianMs` and `slowMs` are as exact.
    Counts are kept for ninety days, and runs count here even after they were removed.
    """
    wanted = _wanted(deps, request, _TOOK_FROM)
    found = await deps.searched(lambda: durations_v2(deps.reader, wanted))
    return _told(deps, request, found)


def _wanted(deps: ApiDeps, request: Request, since: parameter.Parameter[int | None]) -> EndedFilter:
    query = request.query_params
    apps = name.apps(deps, _APP.read(query))
    since_ms = since.read(query)
    now_ms = deps.clock.now_ms()
    if since_ms is not None and since_ms > now_ms:
        raise Problem(400, "from must not be in the future")
    return EndedFilter(
        since_ms=now_ms - 24 * HOUR_MS if since_ms is None else since_ms,
        until_ms=now_ms + HOUR_MS,
        functions=name.functions(deps, apps, _FUNCTION.read(query)),
        apps=apps,
    )


def _told(deps: ApiDeps, request: Request, found: Sequence[object]) -> Response:
    return listed(deps, request, [(str(at), one) for at, one in enumerate(found)], _LIMIT)
