"""`POST /v1/functions/{id}/pause` and `/resume`: a function rests, and goes on (ours)."""

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, enveloped
from stepwell.server.api.routing.route import Body
from stepwell.server.engine.message.input import Done, FunctionPaused, FunctionResumed, Verdict
from stepwell.server.query.paused import Paused


class PauseBody(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of the runs of a function that is to rest."""

    running: Literal["freeze", "cancel"] = "freeze"


PAUSE = Body(PauseBody, 'send no body, or {"running": "freeze"}, or {"running": "cancel"}')


async def pause(deps: ApiDeps, request: Request) -> Response:
    """Events of the function start nothing, and are recorded as skipped; with the body
    `{"running": "freeze"}` (the default) its runs rest for up to a week, with `cancel` they end."""
    given = await PAUSE.read(request)
    asked = FunctionPaused(_function(deps, request), given.running)
    return enveloped(await told(deps, asked, paused=True), deps.clock.now_ms())


async def resume(deps: ApiDeps, request: Request) -> Response:
    """The function goes on, and its frozen runs with it. What was skipped stays so."""
    asked = FunctionResumed(_function(deps, request))
    return enveloped(await told(deps, asked, paused=False), deps.clock.now_ms())


def _function(deps: ApiDeps, request: Request) -> str:
    asked = request.path_params["function_id"]
    listing = deps.ledger.catalog.named(asked)
    if listing is None:
        raise Problem(404, f"there is no function {asked}: give its id, such as shop-order")
    return listing.slug


async def told(deps: ApiDeps, given: FunctionPaused | FunctionResumed, *, paused: bool) -> Paused:
    """Have it done, and tell how the function stands. Raises `Problem` where it is not there."""
    answer = await deps.ledger.submit(given)
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, answer.reason)
    return Paused(given.function, paused, answer.verdict is Verdict.APPLIED)
