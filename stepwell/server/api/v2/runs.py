"""`/v2/runs`: one run, many runs, and their end by hand. Source: server.md 6.4."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api import query_text, runs
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Problem
from stepwell.server.api.route import Takes
from stepwell.server.api.run_state import checked_run_id
from stepwell.server.api.v2.answer import answered
from stepwell.server.engine.input import CancelAsked, Done, Verdict
from stepwell.server.engine.row import Run, RunStatus
from stepwell.wire.duration import format_instant
from stepwell.wire.identifier import app_uuid, function_uuid

RUNS_DEFAULT = 20
RUNS_MAX = 100
LISTED = Takes(
    ("from", "until", "limit", "cursor", "includeOutput"), ("status", "appId", "functionId")
)


async def one(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/runs/{id}`."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    return answered(deps, _run(run, with_output=True))


async def many(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/runs`: `status`, `appId`, `functionId`, `from`, `until`, `limit` (1 to 100),
    `cursor`, `includeOutput`."""
    query = request.query_params
    count = query_text.limit(query, RUNS_DEFAULT, RUNS_MAX + 1)
    if count > RUNS_MAX:
        raise Problem(400, f"Limit cannot exceed {RUNS_MAX}")
    apps = _apps(deps, query_text.texts(query, "appId"))
    wanted = msgspec.structs.replace(
        runs.wanted_runs(request, count),
        apps=apps,
        functions=_functions(deps, apps, query_text.texts(query, "functionId")),
        since_ms=query_text.instant(query, "from", 0) or 0,
    )
    if wanted.until_ms is not None and wanted.until_ms <= wanted.since_ms:
        raise Problem(400, "from must be before until")
    found = await deps.searched(lambda: deps.reader.runs(wanted))
    with_output = query_text.flag(query, "includeOutput")
    more = len(found) == count
    page: dict[str, object] = {"limit": count}
    if more:
        page = {"cursor": found[-1].id, "hasMore": True, "limit": count}
    return answered(deps, [_run(run, with_output=with_output) for run in found], page)


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


def _run(run: Run, *, with_output: bool) -> dict[str, object]:
    status = "QUEUED" if run.status is RunStatus.SCHEDULED else run.status.name
    told_run: dict[str, object] = {
        "id": run.id,
        "status": status,
        "app": {"id": app_uuid(run.app), "name": run.app},
        "function": {"id": function_uuid(run.function), "name": run.function},
        "trigger": {"eventIds": run.event_ids},
        "queuedAt": format_instant(run.queued_ms),
    }
    if run.started_ms:
        told_run["startedAt"] = format_instant(run.started_ms)
    if run.ended:
        told_run["endedAt"] = format_instant(run.ended_ms)
    if with_output and run.output is not None:
        told_run["output"] = msgspec.Raw(run.output)
    return told_run


def _apps(deps: ApiDeps, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Apps by name or id. Raises `Problem` for an id that is no registered app's."""
    names = {app_uuid(name): name for name in deps.ledger.catalog.apps}
    return tuple(names.get(text.lower(), text) for text in asked)


def _functions(deps: ApiDeps, apps: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """Functions by id, with or without the app before it, or by UUID."""
    if asked and not apps:
        raise Problem(400, "appId is required when filtering by functionId", "missing_field")
    found: list[str] = []
    for text in asked:
        listing = deps.ledger.catalog.named(text.lower())
        if listing is not None:
            found.append(listing.slug)
        else:
            found += [text, *(f"{app}-{text}" for app in apps)]
    return tuple(found)
