"""The few routes of the v2 API this server has, in its own shapes (server.md 6.4)."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api import query_text, runs
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Endpoint, Problem, as_json, as_problem, body_of
from stepwell.server.api.run_state import checked_run_id
from stepwell.server.engine.input import CancelAsked, Done, Verdict
from stepwell.server.engine.row import Run, RunStatus
from stepwell.server.ledger import EngineFault, LedgerClosed
from stepwell.server.store.port import StoreError
from stepwell.wire.duration import format_instant
from stepwell.wire.identifier import app_uuid, function_uuid

RUNS_DEFAULT = 20
RUNS_MAX = 100
_CODES = {
    400: "invalid_request",
    401: "access_denied",
    404: "not_found",
    500: "internal_error",
    503: "internal_error",
}


def told(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose problems are answered in the shape of v2."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, LedgerClosed, StoreError, EngineFault) as error:
            problem = as_problem(error)
            code = problem.code or _CODES.get(problem.status, "api_error")
            told_error = {"code": code, "message": problem.message}
            return as_json({"errors": [told_error]}, problem.status)

    return answered


async def health(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/health`."""
    return _answer(deps, {"status": "ok"})


async def one(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/runs/{id}`."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    return _answer(deps, _run(run, with_output=True))


async def many(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/runs`: `status`, `from`, `until`, `limit` (1 to 100), `cursor`, `includeOutput`."""
    query = request.query_params
    count = query_text.limit(query, RUNS_DEFAULT, RUNS_MAX + 1)
    if count > RUNS_MAX:
        raise Problem(400, f"Limit cannot exceed {RUNS_MAX}")
    wanted = msgspec.structs.replace(
        runs.wanted_runs(request, count),
        since_ms=query_text.instant(query, "from", 0) or 0,
    )
    if wanted.until_ms is not None and wanted.until_ms <= wanted.since_ms:
        raise Problem(400, "from must be before until")
    found = await deps.searched(lambda: deps.reader.runs(wanted))
    with_output = query.get("includeOutput", "").lower() in ("1", "true")
    more = len(found) == count
    page: dict[str, object] = {"limit": count}
    if more:
        page = {"cursor": found[-1].id, "hasMore": True, "limit": count}
    return _answer(deps, [_run(run, with_output=with_output) for run in found], page)


async def rerun(deps: ApiDeps, request: Request) -> Response:
    """`POST /v2/runs/{id}/rerun`: the whole run again."""
    body = await body_of(request)
    if body.strip() not in (b"", b"{}"):
        raise Problem(400, "a run is run again as a whole: send no body, or {}")
    return _answer(deps, {"runId": await runs.rerun(deps, request)})


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
    return _answer(deps, {"runId": run_id})


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


def _answer(deps: ApiDeps, data: object, page: dict[str, object] | None = None) -> Response:
    told_data: dict[str, object] = {
        "data": data,
        "metadata": {"fetchedAt": format_instant(deps.clock.now_ms())},
    }
    if page is not None:
        told_data["page"] = page
    return as_json(told_data)
