"""Every route of the HTTP API, in one table. Source: server.md 1.1, 6."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.server.api import (
    app_list,
    checkpoint,
    event_list,
    event_schemas,
    invoke,
    register,
    run_state,
    runs,
    signals_endpoint,
    v2,
)
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.events import PATH, EventsEndpoint
from stepwell.server.api.problem import (
    Endpoint,
    KindHeader,
    Problem,
    as_json,
    problem_response,
    told,
)
from stepwell.wire.checkpoint import GROUP_PATH

_Asked: TypeAlias = Callable[[ApiDeps, Request], Awaitable[Response]]

# In the order in which they are tried: what is asked most often comes first.
_ROUTES: tuple[tuple[str, str, _Asked], ...] = (
    ("POST", "/v1/checkpoint/{run_id}/async", checkpoint.checkpoint),
    ("POST", GROUP_PATH, checkpoint.group),
    ("POST", "/invoke/{slug:path}", invoke.invoke),
    ("POST", "/fn/register", register.register),
    ("DELETE", "/fn/remove", register.remove),
    ("GET", "/v0/runs/{run_id}/batch", run_state.batch),
    ("GET", "/v0/runs/{run_id}/actions", run_state.actions),
    ("DELETE", "/v0/runs/{run_id}", run_state.cancel_old),
    ("GET", "/dev", app_list.dev),
    ("GET", "/v1/events", event_list.many),
    ("GET", "/v1/events/schemas", event_schemas.listed),
    ("GET", "/v1/events/{event_id}", event_list.one),
    ("GET", "/v1/events/{event_id}/runs", runs.of_event),
    ("GET", "/v1/runs", runs.many),
    ("GET", "/v1/runs/{run_id}", runs.one),
    ("DELETE", "/v1/runs/{run_id}", runs.cancel),
    ("GET", "/v1/runs/{run_id}/jobs", runs.jobs),
    ("GET", "/v1/runs/{run_id}/timeline", runs.told_in_order),
    ("POST", "/v1/runs/{run_id}/rerun", runs.rerun_v1),
    ("GET", "/v1/doctor", runs.stranded),
    ("POST", "/v1/signals", signals_endpoint.send_signal),
    ("GET", "/v1/apps", app_list.apps),
    ("GET", "/v1/apps/{app_name}/functions", app_list.functions_of_app),
    ("POST", "/v1/http/runs/{run_id}/async", checkpoint.checkpoint),
)
_ROUTES_V2: tuple[tuple[str, str, _Asked], ...] = (
    ("GET", "/health", v2.health),
    ("GET", "/runs", v2.many),
    ("GET", "/runs/{run_id}", v2.one),
    ("POST", "/runs/{run_id}/rerun", v2.rerun),
    ("POST", "/runs/{run_id}/cancel", v2.cancel),
)


# The body is the official server's, which SDKs pass on; what to do stands beside it.
_HOW = {
    "www-authenticate": 'Bearer realm="stepwell", error_description="send the signing key this'
    ' server was started with: Authorization: Bearer <signing key>"'
}


def api_app(deps: ApiDeps, fallback: ASGIApp | None = None) -> ASGIApp:
    """The whole API as one ASGI app. `fallback` answers what no route here does (a dashboard)."""
    routes = [
        Route("/health", _health, methods=["GET"]),
        Route("/v0/telemetry", _accepted, methods=["POST"]),
    ]
    for method, path, asked in _ROUTES:
        endpoint = told(_guarded(deps, partial(asked, deps)))
        routes.append(Route(path, endpoint, methods=[method]))
    for method, path, asked in _ROUTES_V2:
        endpoint = v2.told(_guarded(deps, partial(asked, deps)))
        routes += [Route(root + path, endpoint, methods=[method]) for root in ("/v2", "/api/v2")]
    app = Starlette(routes=routes, exception_handlers={404: _unknown, 405: _unknown})
    # Paths are exact: a redirect would make a POST lose its body.
    app.router.redirect_slashes = False
    if fallback is not None:
        app.router.default = fallback
    return _Front(EventsEndpoint(deps), KindHeader(app, deps.config.kind))


class _Front:
    """Sends what is for the event intake there, past everything else."""

    def __init__(self, events: ASGIApp, rest: ASGIApp) -> None:
        self._events = events
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] + "/").startswith(PATH):
            await self._events(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def _guarded(deps: ApiDeps, endpoint: Endpoint) -> Endpoint:
    async def asked(request: Request) -> Response:
        if not deps.access.may_ask(request.headers):
            return PlainTextResponse("Authentication failed\n", 401, _HOW)
        return await endpoint(request)

    return asked


async def _health(request: Request) -> Response:
    return as_json({"status": 200, "message": "OK"})


async def _accepted(request: Request) -> Response:
    """Telemetry of SDKs is taken and thrown away."""
    return Response(status_code=200)


async def _unknown(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    if status == 405:
        message = f"{request.method} is not allowed at {request.url.path}"
    else:
        message = f"there is nothing at {request.url.path}"
    return problem_response(Problem(status, message))
