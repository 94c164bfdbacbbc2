"""How v2 answers: camelCase data in an envelope, problems as a list with a code for programs.

Source: server.md 6.4.
"""

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Endpoint, Problem, as_json, as_problem
from stepwell.server.ledger import EngineFault, LedgerClosed
from stepwell.server.store.port import StoreError
from stepwell.wire.duration import format_instant

_CODES = {
    400: "invalid_request",
    401: "access_denied",
    404: "not_found",
    500: "internal_error",
    503: "internal_error",
}


def told(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose problems are answered in the shape of v2."""

    async def asked(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, LedgerClosed, StoreError, EngineFault) as error:
            problem = as_problem(error)
            return refused(problem)

    return asked


def refused(problem: Problem) -> Response:
    """A problem in the shape of v2."""
    code = problem.code or _CODES.get(problem.status, "api_error")
    told_errors: dict[str, object] = {"errors": [{"code": code, "message": problem.message}]}
    if problem.data is not None:
        told_errors["data"] = problem.data
    return as_json(told_errors, problem.status)


def answered(
    deps: ApiDeps, data: object, page: dict[str, object] | None = None, **beside: object
) -> Response:
    """Data in the envelope of v2; `page` where it is a list. What stands beside it is ours."""
    told_data: dict[str, object] = {
        "data": data,
        "metadata": {"fetchedAt": format_instant(deps.clock.now_ms())},
        **beside,
    }
    if page is not None:
        told_data["page"] = page
    return as_json(told_data)


async def health(deps: ApiDeps, request: Request) -> Response:
    """`GET /v2/health`."""
    return answered(deps, {"status": "ok"})
