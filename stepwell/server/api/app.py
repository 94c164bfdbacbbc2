"""Every route of the HTTP API, in one table."""

from collections.abc import Callable, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.server.api import metrics
from stepwell.server.api.access import login
from stepwell.server.api.access.door import Rate, guarded
from stepwell.server.api.access.role import SIGNING
from stepwell.server.api.declared import Asked, Declared
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.graphql import endpoint as graphql_endpoint
from stepwell.server.api.mcp import endpoint as mcp_endpoint
from stepwell.server.api.realtime import publishing, subscriptions
from stepwell.server.api.routing.problem import (
    Endpoint,
    KindHeader,
    Problem,
    as_json,
    problem_response,
    told,
)
from stepwell.server.api.routing.route import BODY, WIRE, Takes
from stepwell.server.api.sdk import checkpoint, endpoint_runs, invoke, register, run_state
from stepwell.server.api.sdk.events import PATH, EventsEndpoint
from stepwell.server.api.v1 import apps, userland
from stepwell.server.api.v1.routes import ROUTES_V1
from stepwell.server.api.v2 import answer
from stepwell.server.api.v2.routes import ROUTES_V2
from stepwell.server.engine.row.key import Role
from stepwell.wire.checkpoint import GROUP_PATH
from stepwell.wire.endpoint import NEW_RUN_PATH
from stepwell.wire.realtime import CONNECT_PATH, PUBLISH_PATH, SSE_PATH, TEE_PATH, TOKEN_PATH

ROOTS = ("/v2", "/api/v2")
"""Where the second version is: each of its routes at both."""

_PUBLISHING = (PUBLISH_PATH, TEE_PATH)

# In the order in which they are tried: what is asked most often comes first.
ROUTES: tuple[Declared, ...] = (
    Declared("POST", "/v1/checkpoint/{run_id}/async", checkpoint.checkpoint, WIRE),
    Declared("POST", GROUP_PATH, checkpoint.group, WIRE),
    Declared("POST", "/invoke/{slug:path}", invoke.invoke, BODY, is_audited=False),
    Declared("POST", "/fn/register", register.register, WIRE),
    Declared("DELETE", "/fn/remove", register.remove, register.REMOVED, role=SIGNING),
    Declared("GET", "/v0/runs/{run_id}/batch", run_state.batch, WIRE),
    Declared("GET", "/v0/runs/{run_id}/actions", run_state.actions, WIRE),
    Declared("DELETE", "/v0/runs/{run_id}", run_state.cancel_old, role=SIGNING),
    Declared("GET", "/dev", apps.dev, WIRE),
    Declared("GET", "/metrics", metrics.metrics),
    Declared("POST", "/mcp", mcp_endpoint.speak, WIRE, role=Role.READ, is_audited=False),
    Declared(
        "POST",
        "/v0/gql",
        graphql_endpoint.ask,
        Takes(body=graphql_endpoint.QUESTION),
        role=Role.READ,
        is_audited=False,
    ),
    *ROUTES_V1,
    Declared("POST", "/v1/traces/userland", userland.take, WIRE),
    Declared("POST", "/v1/http/runs/{run_id}/async", checkpoint.checkpoint, WIRE),
    Declared("POST", NEW_RUN_PATH, endpoint_runs.begin, WIRE),
    Declared("POST", "/v1/checkpoint/{run_id}/steps", endpoint_runs.more, WIRE),
    Declared("POST", "/v1/http/runs/{run_id}/steps", endpoint_runs.more, WIRE),
    Declared("POST", TOKEN_PATH, publishing.token, WIRE),
    Declared("POST", PUBLISH_PATH, publishing.publish, WIRE),
    Declared("POST", TEE_PATH, publishing.tee, WIRE),
)


WITH_TOKEN: tuple[tuple[str, Asked], ...] = (
    (SSE_PATH, subscriptions.sse),
    ("/v1/http/runs/{run_id}/output", endpoint_runs.output),
    ("/v1/checkpoint/{run_id}/output", endpoint_runs.output),
)
"""What a token opens that is in the URL, and no key."""


def routes_of(deps: ApiDeps) -> list[BaseRoute]:
    """Every route but that of the event intake."""
    rate = Rate(deps.config.api_rate)
    routes: list[BaseRoute] = [
        Route("/health", _health, methods=["GET"]),
        Route("/v0/telemetry", _accepted, methods=["POST"]),
        *login.routes(deps, rate),
    ]
    routes += [
        Route(one.path, told(_door(deps, rate, one)), methods=[one.method]) for one in ROUTES
    ]
    routes += [
        Route(path, told(partial(asked, deps)), methods=["GET"]) for path, asked in WITH_TOKEN
    ]
    routes.append(WebSocketRoute(CONNECT_PATH, partial(subscriptions.connect, deps)))
    return [*routes, *_second_version(deps, rate, ROOTS)]


def _door(deps: ApiDeps, rate: Rate, one: Declared) -> Endpoint:
    asked = guarded(deps, rate, one)
    return publishing.no_subscriber(deps, asked) if one.path in _PUBLISHING else asked


def api_app(deps: ApiDeps, pages: Callable[[ASGIApp], ASGIApp] | None = None) -> ASGIApp:
    """The whole API as one ASGI app. `pages` wraps what answers where no route does."""
    app = _routed(routes_of(deps), pages)
    return _beside(deps, _Front(EventsEndpoint(deps), KindHeader(app, deps.config.kind)))


def page_api(deps: ApiDeps, pages: Callable[[ASGIApp], ASGIApp]) -> ASGIApp:
    """The page, and what it asks, alone: for an application that has found out who asks."""
    rate = Rate(deps.config.api_rate)
    routes = [*login.routes(deps, rate), *_second_version(deps, rate, ROOTS[1:])]
    return _beside(deps, _routed(routes, pages))


def _beside(deps: ApiDeps, app: ASGIApp) -> ASGIApp:
    """The app, which waits for a reader that blocks beside the loop."""
    if not deps.reader.blocks:
        return app
    from stepwell.server.api.awaited import awaiting  # noqa: PLC0415 - greenlet

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        await awaiting(app(scope, receive, send))

    return asked


def _second_version(deps: ApiDeps, rate: Rate, roots: Sequence[str]) -> list[BaseRoute]:
    return [
        Route(
            root + one.path, answer.told(guarded(deps, rate, one), deps.feed), methods=[one.method]
        )
        for one in ROUTES_V2
        for root in roots
    ]


def _routed(routes: Sequence[BaseRoute], pages: Callable[[ASGIApp], ASGIApp] | None) -> ASGIApp:
    app = Starlette(routes=routes, exception_handlers={404: _unknown, 405: _unknown})
    # Paths are exact: a redirect would make a POST lose its body.
    app.router.redirect_slashes = False
    if pages is not None:
        app.router.default = pages(app.router.default)
    return app


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
    if request.url.path.startswith(tuple(f"{root}/" for root in ROOTS)):
        return answer.refused(problem)
    return problem_response(problem)
