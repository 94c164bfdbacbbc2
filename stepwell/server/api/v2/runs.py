"""`/v2/runs`: one run, many runs, and their end by hand. Source: server.md 6.4."""

from enum import StrEnum

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api import query_text
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Problem
from stepwell.server.api.route import Takes
from stepwell.server.api.run_state import checked_run_id
from stepwell.server.api.runs import timeline_of, without_run
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import answered
from stepwell.server.engine.input import CancelAsked, Done, Verdict
from stepwell.server.engine.row import Run, RunStatus
from stepwell.server.query.cursor import decode_cursor, encode_cursor
from stepwell.server.query.not_started import not_started_v2
from stepwell.server.query.run_v2 import run_v2
from stepwell.server.query.trace_v2 import trace_v2
from stepwell.server.store.port import Mark, RunFilter, RunTime
from stepwell.server.store.reading import mark_of

RUNS_DEFAULT = 20
RUNS_MAX = 100
_PAGE = ("from", "until", "timeField", "order", "isDeferred", "includeOutput", "limit", "cursor")
LISTED = Takes(_PAGE, ("status", "appId", "functionId"))
OF_FUNCTION = Takes(_PAGE, ("status",))
OF_EVENT = Takes(("limit", "cursor", "includeOutput"))
EVENT_RUNS_DEFAULT = 20
EVENT_RUNS_MAX = 40


class Order(StrEnum):
    """Which end of a list comes first."""

    ASC = "ASC"
    DESC = "DESC"


async def one(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/runs/{id}`."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    return answered(deps, run_v2(run, with_output=True))


async def many(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/runs`: `status`, `appId`, `functionId`, `from` and `until` about `timeField`
    (`queuedAt`, `startedAt`, `endedAt`), `order` (`DESC`, `ASC`) by the same, `isDeferred`,
    `includeOutput`, `limit` (1 to 100), `cursor`."""
    query = request.query_params
    apps = name.apps(deps, query_text.texts(query, "appId"))
    functions = name.functions(deps, apps, query_text.texts(query, "functionId"))
    return await _listed(deps, request, apps, functions)


async def trace(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/runs/{id}/trace`: what the run did, as spans within spans; `includeOutput`."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    with_output = query_text.flag(request.query_params, "includeOutput")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    told = await timeline_of(deps, run)
    return answered(deps, trace_v2(run_id, told, with_output=with_output))


async def of_function(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/apps/{app}/functions/{function}/runs`: the same for one function."""
    row = name.function(deps, request)
    return await _listed(deps, request, (), (row.slug,))


async def of_event(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/events/{id}/runs`: the runs an event started, by id; `limit` (1 to 40), `cursor`.

    Beside them, under `notStarted`, the functions that have none for the event, with the reason.
    """
    event_id = name.event_id(request)
    query = request.query_params
    count = query_text.count(query, EVENT_RUNS_DEFAULT, EVENT_RUNS_MAX)
    found = deps.reader.runs_of_event(event_id)
    if not found and deps.reader.event(event_id) is None:
        raise Problem(404, "Event not found")
    after = query.get("cursor", "")
    if after:
        mark = _decoded(after, RunTime.QUEUED)
        found = [run for run in found if run.id > mark.id]
    with_output = query_text.flag(query, "includeOutput")
    missing = [not_started_v2(one) for one in without_run(deps, event_id)]
    time = RunTime.QUEUED
    return _page(deps, found, count, time, with_output=with_output, notStarted=missing)


async def _listed(
    deps: ApiDeps, request: Request, apps: tuple[str, ...], functions: tuple[str, ...]
) -> Response:
    query = request.query_params
    count = query_text.count(query, RUNS_DEFAULT, RUNS_MAX)
    time = query_text.one_of(query, "timeField", RunTime, RunTime.QUEUED)
    cursor = query.get("cursor", "")
    since_ms = query_text.instant(query, "from", 0) or 0
    until_ms = query_text.instant(query, "until", None)
    if until_ms is not None and until_ms <= since_ms:
        raise Problem(400, "from must be before until")
    wanted = RunFilter(
        statuses=query_text.statuses(query),
        functions=functions,
        apps=apps,
        time=time,
        since_ms=since_ms,
        until_ms=until_ms,
        ascending=query_text.one_of(query, "order", Order, Order.DESC) is Order.ASC,
        after=_decoded(cursor, time) if cursor else None,
        deferred=query_text.flag(query, "isDeferred") if "isDeferred" in query else None,
        # One more than is shown says whether there is more.
        limit=count + 1,
    )
    with_output = query_text.flag(query, "includeOutput")
    found = await deps.searched(lambda: deps.reader.runs(wanted))
    return _page(deps, found, count, time, with_output=with_output)


def _decoded(cursor: str, time: RunTime) -> Mark:
    try:
        return decode_cursor(cursor, time)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def _page(
    deps: ApiDeps,
    found: list[Run],
    count: int,
    time: RunTime,
    *,
    with_output: bool,
    **beside: object,
) -> Response:
    shown = found[:count]
    page: dict[str, object] = {"limit": count}
    if len(found) > count:
        page = {"cursor": encode_cursor(mark_of(shown[-1], time), time), "hasMore": True, **page}
    return answered(deps, [run_v2(run, with_output=with_output) for run in shown], page, **beside)


async def cancel(deps: ApiDeps, request: Request) -> Response:
    """`POST /v2/runs/{id}/cancel`."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    answer = await deps.ledger.submit(CancelAsked(run_id))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Run not found")
    if answer.verdict is Verdict.ALREADY:
        if answer.reason == RunStatus.CANCELLED.word:
            raise Problem(409, "Run is already cancelled", "run_already_cancelled")
        raise Problem(409, "Cannot cancel an ended run", "run_already_ended")
    return answered(deps, {"runId": run_id})
