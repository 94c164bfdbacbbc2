"""`/v1/runs`: one run, many runs, their timeline and jobs, and their end by hand.

The list and the timeline are ours; the command line reads them.
"""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.reach import gone_since, reach_of
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem, enveloped
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.engine.message.input import CancelAsked, Done, Verdict
from stepwell.server.engine.row.run import Item, ItemKind, Run
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.query.cursor import run_mark
from stepwell.server.query.not_started import NotStarted, not_started
from stepwell.server.query.recorded import recorded_in
from stepwell.server.query.rest import Reach
from stepwell.server.query.room import rests
from stepwell.server.query.run_object import RunObject, run_object
from stepwell.server.query.timeline import Rows, Span, timeline
from stepwell.server.store.port import Reader, RunFilter
from stepwell.wire.duration import format_instant
from stepwell.wire.function_config import NO_CODE
from stepwell.wire.identifier import is_ulid
from stepwell.wire.recorded_run import encode_recorded

RUNS_DEFAULT = 40
RUNS_MAX = 200
WAIT_SECONDS_MAX = 60.0
LOOK_S = 2.0
"""So often it is looked whether a run has ended where another server may be the one to know."""
WAIT = parameter.seconds(
    "wait", WAIT_SECONDS_MAX, "Answer when the run has ended, or after so many seconds."
)
WAITED = Takes((WAIT,))
_STATUS = parameter.statuses("Runs of these statuses alone.")
_FUNCTION = parameter.texts("function", "Runs of these functions alone, by their ids.")
_APP = parameter.texts("app", "Runs of these apps alone, by their names.")
_SINCE = parameter.instant("since", "Queued at this time or later.")
_UNTIL = parameter.instant("until", "Queued before this time.")
_CURSOR = parameter.entry("The run before the first of this page.")
_LIMIT = parameter.about(RUNS_DEFAULT, RUNS_MAX)
LISTED = Takes((_STATUS, _FUNCTION, _APP, _SINCE, _UNTIL, _CURSOR, _LIMIT))

_JOB_KINDS = {
    ItemKind.CALL: "edge",
    ItemKind.SLEEP: "sleep",
    ItemKind.TIMEOUT: "pause",
    ItemKind.GATEWAY: "edge",
    ItemKind.DEADLINE: "cancel",
}


class JobObject(msgspec.Struct):
    """Something a run still has to do, in the capitals of the official API."""

    JobID: str
    at: str
    position: int
    kind: str
    attempt: int


async def one(deps: ApiDeps, request: Request) -> Response:
    """One run; with `wait`, once it has ended, or after so many seconds."""
    run = known_run(deps, request)
    seconds = WAIT.read(request.query_params)
    run = await ended_or_late(deps, run.id, seconds) or run
    return enveloped(object_of(deps, run), deps.clock.now_ms())


async def ended_or_late(deps: ApiDeps, run_id: str, seconds: float) -> Run | None:
    """A run once it has ended, or after so many seconds; None if there is none of that id."""
    run = deps.reader.run(run_id)
    until_s = time.monotonic() + seconds
    while run is not None and not (run.ended or deps.ends.released):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            break
        # Nothing lies between looking and listening: an end that was not seen will be heard. Where
        # it may be told by another server, that may be lost.
        await deps.ends.until(run_id, min(left_s, LOOK_S) if deps.reader.blocks else left_s)
        run = deps.reader.run(run_id)
    return run


async def many(deps: ApiDeps, request: Request) -> Response:
    """Runs, the newest first, a page at a time."""
    wanted = _wanted(deps, request, _LIMIT.read(request.query_params))
    found = await deps.searched(lambda: deps.reader.runs(wanted))
    last = found[-1].id if len(found) == wanted.limit else None
    runs = [object_of(deps, run) for run in found]
    return enveloped(runs, deps.clock.now_ms(), cursor=last)


async def of_event(deps: ApiDeps, request: Request) -> Response:
    """The runs an event started; none of one that is not known.

    Beside them, under `not_started`, the functions that have none for the event, with the reason.
    """
    event_id = request.path_params["event_id"]
    if not is_ulid(event_id):
        raise Problem(400, f"Invalid event ID: {event_id}")
    runs = deps.reader.runs_of_event(event_id)
    return enveloped(
        [object_of(deps, run) for run in runs],
        deps.clock.now_ms(),
        not_started=without_run(deps, event_id),
    )


def without_run(deps: ApiDeps, event_id: str) -> list[NotStarted]:
    """The functions an event has started no run of, or not yet."""
    return not_started(deps.reader.dropped(event_id), deps.reader.holds_of_event(event_id))


async def told_in_order(deps: ApiDeps, request: Request) -> Response:
    """What a run did and what it waits for, in the order of time."""
    told = await timeline_of(deps, known_run(deps, request))
    return enveloped(told, deps.clock.now_ms())


async def exported(deps: ApiDeps, request: Request) -> Response:
    """All that is stored of a run, as a file has it."""
    run = known_run(deps, request)
    found = await deps.searched(lambda: recorded_in(deps.reader, run))
    return Response(encode_recorded(found), media_type="application/json")


async def timeline_of(deps: ApiDeps, run: Run) -> Span:
    """What a run did, and what it waits for."""
    gone = await deps.searched(lambda: gone_since(deps))
    reach = reach_of(deps, run.app, run.function, gone)
    now_ms = deps.clock.now_ms()
    listing = deps.ledger.catalog.listing(run.function)
    rows = await deps.searched(lambda: _rows(deps.reader, run, listing, reach, now_ms))
    return timeline(rows)


def _rows(reader: Reader, run: Run, listing: Listing | None, reach: Reach, now_ms: int) -> Rows:
    items = reader.items(run.id)
    return Rows(
        run,
        reader.steps(run.id),
        reader.notes(run.id),
        items,
        reader.leases(run.id),
        reader.waits(run.id),
        reach,
        now_ms,
        rests(reader, run, listing, now_ms, items),
        reader.annotations(run.id),
        NO_CODE if listing is None else listing.config.code,
    )


async def jobs(deps: ApiDeps, request: Request) -> Response:
    """What a run still has to do, the first due first."""
    run = known_run(deps, request)
    items = sorted(deps.reader.items(run.id), key=lambda item: item.due_ms)
    return enveloped([_job(item, place) for place, item in enumerate(items)], deps.clock.now_ms())


async def cancel(deps: ApiDeps, request: Request) -> Response:
    """End a run by hand. A run that has ended stays as it is."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    answer = await deps.ledger.submit(CancelAsked(run_id))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, f"Unable to load function run: {run_id}")
    return Response(status_code=200)


def _wanted(deps: ApiDeps, request: Request, count: int) -> RunFilter:
    query = request.query_params
    return RunFilter(
        statuses=_STATUS.read(query),
        functions=_FUNCTION.read(query),
        apps=_APP.read(query),
        since_ms=_SINCE.read(query) or 0,
        until_ms=_UNTIL.read(query),
        after=run_mark(deps.reader, _CURSOR.read(query)),
        limit=count,
    )


def known_run(deps: ApiDeps, request: Request) -> Run:
    """The run of the path. Raises `Problem` where there is none."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, f"Unable to load function run: {run_id}")
    return run


def object_of(deps: ApiDeps, run: Run) -> RunObject:
    """A run as the API shows it."""
    listing = deps.ledger.catalog.listing(run.function)
    return run_object(run, 0 if listing is None else listing.version)


def _job(item: Item, position: int) -> JobObject:
    kind = _JOB_KINDS.get(item.kind, item.kind.name.lower())
    return JobObject(
        JobID=f"{item.run_id}:{item.key}",
        at=format_instant(item.due_ms),
        position=position,
        kind="start" if kind == "edge" and not item.key and not item.attempt else kind,
        attempt=item.attempt,
    )
