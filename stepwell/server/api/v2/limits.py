"""`/v2/limits`: named limits, how they stand, and their numbers. Ours."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Body, Takes
from stepwell.server.api.v2.answer import Page, answered
from stepwell.server.engine.message.input import Done, LimitDropped, LimitSet, Verdict
from stepwell.server.query.limits import limit_state
from stepwell.wire.duration import parse_duration_ms
from stepwell.wire.limit_state import LimitState
from stepwell.wire.named_limit import name_problems, number_problems

DEFAULT, MOST = 20, 100
_LIMIT = parameter.limit(DEFAULT, MOST)
_CURSOR = parameter.plain("cursor", "`page.cursor` of the page before.")
LISTED = Takes((_LIMIT, _CURSOR))


class LimitBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a limit is from now on: so much at once, or `rate` per `period`."""

    concurrency: int = 0
    rate: int = 0
    period: str = ""


LIMIT = Body(LimitBody, 'send {"concurrency": 5}, or {"rate": 90000, "period": "1m"}')


async def many(deps: ApiDeps, request: Request) -> Response:
    """Named limits by name: what holds, how much of each is in use, and what waits."""
    count, after = _LIMIT.read(request.query_params), _CURSOR.read(request.query_params)
    names = sorted(name for name in deps.ledger.catalog.limits if name > after)
    shown = names[:count]
    found = await deps.searched(lambda: [state_of(deps, name) for name in shown])
    more = len(names) > count
    page = Page(count, cursor=shown[-1], has_more=True) if more else Page(count)
    return answered(deps, found, page)


async def one(deps: ApiDeps, request: Request) -> Response:
    """How a named limit stands."""
    name = _name(deps, request)
    return answered(deps, await deps.searched(lambda: state_of(deps, name)))


async def change(deps: ApiDeps, request: Request) -> Response:
    """Give a limit other numbers, at once and until they are dropped: what the code says of it
    counts no more. What is under way goes on; what waits begins as soon as there is room."""
    name, given = str(request.path_params["limit"]), await LIMIT.read(request)
    problems = [*name_problems("limit", name)]
    problems += number_problems("", given.concurrency, given.rate, given.period)
    if not (problems or given.concurrency or given.rate):
        problems.append(f"a limit needs numbers: {LIMIT.fix}")
    if problems:
        raise Problem(400, "; ".join(problems), "invalid_field_format")
    period_ms = parse_duration_ms(given.period) if given.period else 0
    await deps.ledger.submit(LimitSet(name, given.concurrency, given.rate, period_ms))
    return answered(deps, await deps.searched(lambda: state_of(deps, name)))


async def drop(deps: ApiDeps, request: Request) -> Response:
    """Let the numbers of the code hold again. A limit that nobody changed is forgotten, until code
    that names it comes. What is under way goes on."""
    name = str(request.path_params["limit"])
    answer = await deps.ledger.submit(LimitDropped(name))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Limit not found")
    return answered(deps, await deps.searched(lambda: state_of(deps, name)))


def _name(deps: ApiDeps, request: Request) -> str:
    name = str(request.path_params["limit"])
    if name not in deps.ledger.catalog.limits:
        raise Problem(404, "Limit not found")
    return name


def state_of(deps: ApiDeps, name: str) -> LimitState:
    """How a limit stands; one that is not there is no limit."""
    return limit_state(deps.reader, deps.ledger.catalog, name, deps.clock.now_ms())
