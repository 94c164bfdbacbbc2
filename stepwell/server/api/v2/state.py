"""How a server stands: who is connected, what does not move and why, whether functions rest.

Ours, but for the environments.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.api.v1 import doctor, pausing
from stepwell.server.api.v1.runs import timeline_of
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import answered, listed, whole
from stepwell.server.engine.message.input import FunctionPaused, FunctionResumed
from stepwell.server.query.run_object import ACCOUNT_ID, ENVIRONMENT_ID
from stepwell.server.query.v2.explain import explanation_v2
from stepwell.server.query.v2.run import function_ref, runs_v2, status_v2
from stepwell.server.query.v2.waiting import DiagnosisV2, held_v2, lost_v2, waiting_v2


class EnvironmentV2(msgspec.Struct, frozen=True):
    """The one environment of a server."""

    id: str
    name: str
    slug: str
    type: str


async def environments(deps: ApiDeps, request: Request) -> Response:
    """Environments: a server has one."""
    called = "dev" if deps.config.kind == "dev" else "production"
    only = EnvironmentV2(ENVIRONMENT_ID, called.capitalize(), called, called.upper())
    return whole(deps, request, [only])


class AccountV2(msgspec.Struct, frozen=True):
    """The one account of a server: it has no others, so all there is to it is a name."""

    id: str
    name: str


async def account(deps: ApiDeps, request: Request) -> Response:
    """The account: a server has one."""
    return answered(deps, AccountV2(ACCOUNT_ID, "Stepwell"))


async def workers(deps: ApiDeps, request: Request) -> Response:
    """Workers that are connected, in the order in which they came."""
    return listed(deps, request, [(one.id, one) for one in deps.workers()])


async def explain(deps: ApiDeps, request: Request) -> Response:
    """Why a run stands where it stands, in one sentence and in parts: what it is at, what it waits
    for, since when, and what ends that. Of a limit it is told who has its places and how many come
    first."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found")
    told = await timeline_of(deps, run)
    function = function_ref(run.function)
    return answered(deps, explanation_v2(run_id, function, status_v2(run.status), told))


async def diagnose(deps: ApiDeps, request: Request) -> Response:
    """What will not move by itself."""
    found = await doctor.diagnosis(deps)
    stranded = tuple(runs_v2(deps.reader, found.stranded))
    held, lost = held_v2(found.held), lost_v2(found.lost)
    return answered(deps, DiagnosisV2(stranded, waiting_v2(found.waiting), held, lost))


async def pause(deps: ApiDeps, request: Request) -> Response:
    """Let a function rest: its events start nothing, and are recorded as skipped. With `running`
    as `freeze` (the default) its runs rest for up to a week, with `cancel` they end."""
    row = name.function(deps, request)
    given = await pausing.PAUSE.read(request)
    asked = FunctionPaused(row.slug, given.running)
    return answered(deps, await pausing.told(deps, asked, paused=True))


async def resume(deps: ApiDeps, request: Request) -> Response:
    """Let a paused function go on, and its frozen runs with it. What was skipped stays so."""
    row = name.function(deps, request)
    return answered(deps, await pausing.told(deps, FunctionResumed(row.slug), paused=False))
