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
    cancellations,
    checkpoint,
    doctor,
    event_list,
    event_schemas,
    invoke,
    pausing,
    register,
    rerun,
    run_state,
    runs,
    signals_endpoint,
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
from stepwell.server.api.route import BODY, NOTHING, WIRE, Takes, refuse_others
from stepwell.server.api.v2 import answer
from stepwell.server.api.v2 import apps as v2_apps
from stepwell.server.api.v2 import events as v2_events
from stepwell.server.api.v2 import invoke as v2_invoke
from stepwell.server.api.v2 import runs as v2_runs
from stepwell.wire.checkpoint import GROUP_PATH

_Asked: TypeAlias = Callable[[ApiDeps, Request], Awaitable[Response]]

# In the order in which they are tried: what is asked most often comes first.
ROUTES: tuple[tuple[str, str, _Asked, Takes], ...] = (
    ("POST", "/v1/checkpoint/{run_id}/async", checkpoint.checkpoint, WIRE),
    ("POST", GROUP_PATH, checkpoint.group, WIRE),
    ("POST", "/invoke/{slug:path}", invoke.invoke, BODY),
    ("POST", "/fn/register", register.register, WIRE),
    ("DELETE", "/fn/remove", register.remove, Takes(("url",))),
    ("GET", "/v0/runs/{run_id}/batch", run_state.batch, WIRE),
    ("GET", "/v0/runs/{run_id}/actions", run_state.actions, WIRE),
    ("DELETE", "/v0/runs/{run_id}", run_state.cancel_old, NOTHING),
    ("GET", "/dev", app_list.dev, WIRE),
    ("GET", "/v1/events", event_list.many, event_list.LISTED),
    ("GET", "/v1/events/schemas", event_schemas.listed, Takes(("app",))),
    ("GET", "/v1/events/listeners", event_schemas.listeners, Takes(("name",))),
    ("GET", "/v1/events/{event_id}", event_list.one, NOTHING),
    ("GET", "/v1/events/{event_id}/runs", runs.of_event, NOTHING),
    ("GET", "/v1/runs", runs.many, runs.LISTED),
    ("GET", "/v1/runs/{run_id}", runs.one, Takes(("wait",))),
    ("DELETE", "/v1/runs/{run_id}", runs.cancel, NOTHING),
    ("GET", "/v1/runs/{run_id}/jobs", runs.jobs, NOTHING),
    ("GET", "/v1/runs/{run_id}/timeline", runs.told_in_order, NOTHING),
    ("POST", "/v1/runs/{run_id}/rerun", rerun.rerun_v1, BODY),
    ("POST", "/v1/functions/{function_id}/pause", pausing.pause, BODY),
    ("POST", "/v1/functions/{function_id}/resume", pausing.resume, NOTHING),
    ("GET", "/v1/doctor", doctor.doctor, NOTHING),
    ("POST", "/v1/cancellations", cancellations.create, BODY),
    ("GET", "/v1/cancellations", cancellations.many, cancellations.LISTED),
    ("GET", "/v1/cancellations/{cancellation_id}", cancellations.one, NOTHING),
    ("DELETE", "/v1/cancellations/{cancellation_id}", cancellations.drop, NOTHING),
    ("POST", "/v1/signals", signals_endpoint.send_signal, BODY),
    ("GET", "/v1/apps", app_list.apps, NOTHING),
    ("GET", "/v1/apps/{app_name}/functions", app_list.functions_of_app, NOTHING),
    ("POST", "/v1/http/runs/{run_id}/async", checkpoint.checkpoint, WIRE),
)
ROUTES_V2: tuple[tuple[str, str, _Asked, Takes], ...] = (
    ("GET", "/health", answer.health, NOTHING),
    ("GET", "/runs", v2_runs.many, v2_runs.LISTED),
    ("GET", "/runs/{run_id}", v2_runs.one, NOTHING),
    ("GET", "/events/{event_id}/runs", v2_runs.of_event, v2_runs.OF_EVENT),
    (
        "GET",
        "/apps/{app_id}/functions/{function_id}/runs",
        v2_runs.of_function,
        v2_runs.OF_FUNCTION,
    ),
    ("GET", "/runs/{run_id}/trace", v2_runs.trace, Takes(("includeOutput",))),
    ("GET", "/apps", v2_apps.many, v2_apps.LISTED),
    ("GET", "/apps/{app_id}", v2_apps.one, NOTHING),
    ("GET", "/apps/{app_id}/functions", v2_apps.functions, v2_apps.LISTED),
    ("GET", "/apps/{app_id}/functions/{function_id}", v2_apps.function, NOTHING),
    ("POST", "/apps/{app_id}/functions/{function_id}/invoke", v2_invoke.invoke, BODY),
    ("POST", "/events", v2_events.send, BODY),
    ("POST", "/runs/{run_id}/rerun", rerun.rerun_v2, BODY),
    ("POST", "/runs/{run_id}/cancel", v2_runs.cancel, NOTHING),
)


# The body is the official server's, which SDKs pass on; what to do stands beside it.
_HOW = {
    "www-authenticate": 'Bearer realm="stepwell", error_description="send the signing key this'
    ' server was started with: Authorization: Bearer <signing key>"'
}


def api_app(deps: ApiDeps, fallback: ASGIApp | None = None) -> ASGIApp:
    """The whole API as one ASGI app. `fallback` answers what no route here does."""
    routes = [
        Route("/health", _health, methods=["GET"]),
        Route("/v0/telemetry", _accepted, methods=["POST"]),
    ]
    for method, path, asked, takes in ROUTES:
        endpoint = told(_guarded(deps, partial(asked, deps), takes))
        routes.append(Route(path, endpoint, methods=[method]))
    for method, path, asked, takes in ROUTES_V2:
        endpoint = answer.told(_guarded(deps, partial(asked, deps), takes))
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


def _guarded(deps: ApiDeps, endpoint: Endpoint, takes: Takes) -> Endpoint:
    async def asked(request: Request) -> Response:
        if not deps.access.may_ask(request.headers):
            return PlainTextResponse("Authentication failed\n", 401, _HOW)
        await refuse_others(request, takes)
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
    problem = Problem(status, message)
    if request.url.path.startswith(("/v2/", "/api/v2/")):
        return answer.refused(problem)
    return problem_response(problem)
