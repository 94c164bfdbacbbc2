"""`GET /v2/counts`: how many runs came to each status over time, for charts. Ours."""

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import Page, answered
from stepwell.server.query.cursor import decode_place, encode_place
from stepwell.server.query.v2.count import ResolutionV2, count_v2
from stepwell.server.query.v2.run import status_v2
from stepwell.server.store.counting import HOUR_MS
from stepwell.server.store.port import CountBy, CountFilter, CountPlace

DEFAULT, MOST = 500, 1_500
_STATUS = parameter.statuses("Counts of these statuses alone.")
_APP = parameter.texts("appId", "Runs of these apps alone, by id or name.")
_FUNCTION = parameter.texts(
    "functionId", "Runs of these functions of `appId` alone, by id or name."
)
_FROM = parameter.instant(
    "from",
    "The first minute or hour is the one that holds this; 24 hours before `until` if absent.",
)
_UNTIL = parameter.instant("until", "Minutes or hours that begin before this; now if absent.")
_RESOLUTION = parameter.one_of(
    "resolution",
    ResolutionV2,
    ResolutionV2.HOUR,
    "By the minute, which is kept for two days, or by the hour, for ninety.",
)
_BY = parameter.one_of(
    "by", CountBy, CountBy.TIME, "Told apart by time alone, by app too, or by function too."
)
_LIMIT = parameter.limit(DEFAULT, MOST)
_CURSOR = parameter.plain("cursor", "`page.cursor` of the page before.")
COUNTED = Takes((_STATUS, _APP, _FUNCTION, _FROM, _UNTIL, _RESOLUTION, _BY, _LIMIT, _CURSOR))


async def counts(deps: ApiDeps, request: Request) -> Response:
    """How many runs came to each status over time, the earliest first.

    A run counts once for each status it came to: `QUEUED` at its `queuedAt`, `RUNNING` at its
    `startedAt` (known once its first call is answered), and once at its end. Minutes and hours in
    which nothing happened are left out. Runs count here even after they were removed.
    """
    query = request.query_params
    apps = name.apps(deps, _APP.read(query))
    span_ms = _RESOLUTION.read(query).span_ms
    until_ms = _UNTIL.read(query)
    if until_ms is None:
        until_ms = deps.clock.now_ms() + 1
    since_ms = _FROM.read(query)
    if since_ms is None:
        since_ms = until_ms - 24 * HOUR_MS
    if until_ms <= since_ms:
        raise Problem(400, "from must be before until")
    most = _LIMIT.read(query)
    wanted = CountFilter(
        span_ms=span_ms,
        since_ms=since_ms - since_ms % span_ms,
        until_ms=until_ms,
        by=_BY.read(query),
        functions=name.functions(deps, apps, _FUNCTION.read(query)),
        apps=apps,
        after=_after(_CURSOR.read(query)),
        # One more than is shown says whether there is more.
        limit=most + 1,
    )
    statuses = frozenset(status_v2(status) for status in _STATUS.read(query))
    found = await deps.searched(lambda: deps.reader.counts(wanted))
    shown = found[:most]
    more = len(found) > most
    page = Page(most, encode_place(shown[-1].place) if more else "", has_more=more)
    return answered(deps, [count_v2(count, statuses) for count in shown], page)


def _after(cursor: str) -> CountPlace:
    if not cursor:
        return CountPlace(-1)
    try:
        return decode_place(cursor)
    except ValueError as error:
        raise Problem(400, str(error)) from None
