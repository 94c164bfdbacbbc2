"""`/v2/runs`: one run, many runs, and their end by hand."""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.api.v1.runs import WAIT, ended_or_late, timeline_of, without_run
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import Page, answered, decoded, listed, until_late, whole
from stepwell.server.engine.message.input import CancelAsked, Done, RunResumed, Verdict
from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.query.cursor import encode_cursor
from stepwell.server.query.not_started import not_started_v2
from stepwell.server.query.recorded import recorded_in
from stepwell.server.query.search import Condition, search_runs
from stepwell.server.query.v2.defer import deferred_from_v2, defers_v2
from stepwell.server.query.v2.log import logs_v2
from stepwell.server.query.v2.run import RunV2, runs_v2, with_retries
from stepwell.server.query.v2.run_trace import trace_v2
from stepwell.server.query.v2.tree import tree_v2
from stepwell.server.store.port import Reader, RunFilter, RunTime
from stepwell.server.store.reading import mark_of
from stepwell.wire.recorded_run import encode_recorded

RUNS_DEFAULT = 20
RUNS_MAX = 100
EVENT_RUNS_DEFAULT = 20
EVENT_RUNS_MAX = 40


class Order(StrEnum):
    """Which end of a list comes first."""

    ASC = "ASC"
    DESC = "DESC"


_STATUS = parameter.statuses("Runs of these statuses alone.")
_APP = parameter.texts("appId", "Runs of these apps alone, by id or name.")
_FUNCTION = parameter.texts(
    "functionId", "Runs of these functions of `appId` alone, by id or name."
)
_FROM = parameter.instant("from", "Runs whose `timeField` is this or later.")
_UNTIL = parameter.instant("until", "Runs whose `timeField` is before this.")
_TIME = parameter.one_of(
    "timeField",
    RunTime,
    RunTime.QUEUED,
    "The time that the list is ordered by. Runs that have not come to it are not in the list.",
)
_ORDER = parameter.one_of("order", Order, Order.DESC, "Which end comes first.")
_DEFERRED = parameter.choice(
    "isDeferred", "Only runs that another run left to be started at its end; or only others."
)
_QUERY = parameter.expression(
    "A condition in CEL over `event`, `output` and `error`, such as `event.data.id == 7`; on"
    " several lines, all must hold. A search takes two seconds at most: see `page.partial`."
)
_SESSION = parameter.sessions(
    "Runs whose event belongs to this session alone, as `key=id`; of several, to all. They are"
    " looked for as those of `query` are."
)
_OUTPUT = parameter.flag("includeOutput", "Tell outputs, too.")
_RETRIES = parameter.flag("includeRetries", "Tell how often attempts were tried again, too.")
_INPUT_AND_OUTPUT = parameter.flag("includeOutput", "Tell inputs of steps, and outputs, too.")
_CURSOR = parameter.plain("cursor", "`page.cursor` of the page before.")
_LIMIT = parameter.limit(RUNS_DEFAULT, RUNS_MAX)
_LINES = parameter.limit(200, 1_000)
_OF_EVENT_LIMIT = parameter.limit(EVENT_RUNS_DEFAULT, EVENT_RUNS_MAX)
_PAGE = (
    _FROM,
    _UNTIL,
    _TIME,
    _ORDER,
    _DEFERRED,
    _QUERY,
    _SESSION,
    _OUTPUT,
    _RETRIES,
    _LIMIT,
    _CURSOR,
)
LISTED = Takes((_STATUS, _APP, _FUNCTION, *_PAGE))
OF_FUNCTION = Takes((_STATUS, *_PAGE))
OF_EVENT = Takes((_OF_EVENT_LIMIT, _CURSOR, _OUTPUT))
WAITED = Takes((WAIT,))
TRACED = Takes((_INPUT_AND_OUTPUT,))
LOGGED = Takes((_LINES, _CURSOR))


class RunNamed(msgspec.Struct, rename="camel"):
    """The run it is about."""

    run_id: str


class RunResumedV2(msgspec.Struct, rename="camel"):
    """The run that goes on, and whether anything but its time kept it from doing so."""

    run_id: str
    changed: bool


async def one(deps: ApiDeps, request: Request) -> Response:
    """One run, with its output; with `wait`, once it has ended, or after so many seconds."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = await ended_or_late(deps, run_id, WAIT.read(request.query_params))
    if run is None:
        raise Problem(404, "Run not found")
    (told,) = runs_v2(deps.reader, [run], with_output=True)
    origin = deferred_from_v2(deps.reader, run)
    return answered(deps, msgspec.structs.replace(told, deferred_from=origin))


async def defers(deps: ApiDeps, request: Request) -> Response:
    """What a run leaves to be started at its end, also what it took back; once it has ended, what
    was started of it."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    return whole(deps, request, await deps.searched(lambda: defers_v2(deps.reader, run)))


async def many(deps: ApiDeps, request: Request) -> Response:
    """Runs, a page at a time, in the order of one of their times."""
    query = request.query_params
    apps = name.apps(deps, _APP.read(query))
    functions = name.functions(deps, apps, _FUNCTION.read(query))
    return await _listed(deps, request, apps, functions)


async def export(deps: ApiDeps, request: Request) -> Response:
    """All that is stored of a run, as a file has it from which its function can be called again as
    it was then."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    found = await deps.searched(lambda: recorded_in(deps.reader, run))
    return Response(encode_recorded(found), media_type="application/json")


async def trace(deps: ApiDeps, request: Request) -> Response:
    """What a run did and what it waits for, as spans within spans; and where its time went."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    with_output = _INPUT_AND_OUTPUT.read(request.query_params)
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    told = await timeline_of(deps, run)
    return answered(deps, trace_v2(run_id, told, deps.clock.now_ms(), with_output=with_output))


async def logs(deps: ApiDeps, request: Request) -> Response:
    """What a run's function wrote with `ctx.logger`, in the order in which the server got it, a
    page at a time: each line once, however often the function was called again."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    if deps.reader.run(run_id) is None:
        raise Problem(404, "Run not found")
    found = logs_v2(deps.reader.annotations(run_id))
    return listed(deps, request, [(str(at), line) for at, line in enumerate(found)], _LINES)


async def tree(deps: ApiDeps, request: Request) -> Response:
    """The runs that began each other by invoking, by a deferral, or to handle a failure: the tree
    that this run is part of, from the topmost on; at most 100 of them."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    goes_on = until_late()
    return answered(deps, await deps.searched(lambda: tree_v2(deps.reader, run, goes_on)))


async def of_function(deps: ApiDeps, request: Request) -> Response:
    """Runs of one function, be it registered or gone."""
    row = name.function(deps, request)
    return await _listed(deps, request, (), (row.slug,))


async def of_event(deps: ApiDeps, request: Request) -> Response:
    """The runs an event started, by id.

    Beside them, under `notStarted`, the functions that have none for the event, with the reason.
    """
    event_id = name.event_id(request)
    query = request.query_params
    count = _OF_EVENT_LIMIT.read(query)
    found = deps.reader.runs_of_event(event_id)
    if not found and deps.reader.event(event_id) is None:
        raise Problem(404, "Event not found")
    after = _CURSOR.read(query)
    if after:
        mark = decoded(after, RunTime.QUEUED)
        found = [run for run in found if run.id > mark.id]
    with_output = _OUTPUT.read(query)
    missing = [not_started_v2(one) for one in without_run(deps, event_id)]
    time = RunTime.QUEUED
    return _page(deps, found, count, time, with_output=with_output, notStarted=missing)


async def _listed(
    deps: ApiDeps, request: Request, apps: tuple[str, ...], functions: tuple[str, ...]
) -> Response:
    query = request.query_params
    count = _LIMIT.read(query)
    time = _TIME.read(query)
    cursor = _CURSOR.read(query)
    since_ms = _FROM.read(query) or 0
    until_ms = _UNTIL.read(query)
    if until_ms is not None and until_ms <= since_ms:
        raise Problem(400, "from must be before until")
    wanted = RunFilter(
        statuses=_STATUS.read(query),
        functions=functions,
        apps=apps,
        time=time,
        since_ms=since_ms,
        until_ms=until_ms,
        ascending=_ORDER.read(query) is Order.ASC,
        after=decoded(cursor, time) if cursor else None,
        deferred=_DEFERRED.read(query),
        # One more than is shown says whether there is more.
        limit=count + 1,
    )
    with_output = _OUTPUT.read(query)
    tell = _told_with_retries if _RETRIES.read(query) else runs_v2
    program = _QUERY.read(query)
    if program is None:
        found = await deps.searched(lambda: deps.reader.runs(wanted))
        return _page(deps, found, count, time, with_output=with_output, tell=tell)
    wanted = msgspec.structs.replace(wanted, limit=count)
    condition, goes_on = Condition(program, deps.clock.now_ms()), until_late()
    hits = await deps.searched(lambda: search_runs(deps.reader, wanted, condition, goes_on))
    cursor = encode_cursor(hits.last, time) if hits.last else ""
    page = Page(count, cursor, has_more=bool(cursor), partial=hits.partial)
    return answered(deps, tell(deps.reader, hits.found, with_output=with_output), page)


def _told_with_retries(
    reader: Reader, runs: Iterable[Run], *, with_output: bool = False
) -> list[RunV2]:
    return with_retries(reader, runs_v2(reader, runs, with_output=with_output))


def _page(
    deps: ApiDeps,
    found: list[Run],
    count: int,
    time: RunTime,
    *,
    with_output: bool,
    tell: Callable[..., list[RunV2]] = runs_v2,
    **beside: object,
) -> Response:
    shown = found[:count]
    page = Page(count)
    if len(found) > count:
        page = Page(count, encode_cursor(mark_of(shown[-1], time), time), has_more=True)
    return answered(deps, tell(deps.reader, shown, with_output=with_output), page, **beside)


async def cancel(deps: ApiDeps, request: Request) -> Response:
    """End a run by hand. A run that has ended is told with 409."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    answer = await deps.ledger.submit(CancelAsked(run_id))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Run not found")
    if answer.verdict is Verdict.ALREADY:
        if answer.reason == RunStatus.CANCELLED.word:
            raise Problem(409, "Run is already cancelled", "run_already_cancelled")
        raise Problem(409, "Cannot cancel an ended run", "run_already_ended")
    return answered(deps, RunNamed(run_id))


async def resume(deps: ApiDeps, request: Request) -> Response:
    """Let a run that began under other code go on under the code of its function today, whatever
    `on_code_change` says; `changed` is false where it was the same code anyhow."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    answer = await deps.ledger.submit(RunResumed(run_id))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Run not found")
    if answer.verdict is Verdict.REFUSED:
        raise Problem(409, f"Cannot resume the run: {answer.reason}", "run_not_resumable")
    return answered(deps, RunResumedV2(run_id, answer.verdict is Verdict.APPLIED))
