"""`POST /v1/functions/{id}/replay`: events that a function skipped start their runs (ours)."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, enveloped
from stepwell.server.api.routing.route import Body
from stepwell.server.engine.message.input import Done, ReplayAsked, Replayed, Verdict
from stepwell.server.engine.row.flow import DropReason
from stepwell.server.query import replayed
from stepwell.wire.duration import DurationError, parse_date_ms

PAGE = 100
PAGES = 10
_FIX = 'send {"since": "2030-01-31T12:00:00Z"}, and "until" or "reasons" if you like'

REASONS = (
    DropReason.PAUSED,
    DropReason.SINGLETON,
    DropReason.BACKLOG,
    DropReason.RATE_LIMIT,
)
"""Why events were skipped that are meant unless reasons are named. Of the others a newer event has
run, or one that says the same."""


class ReplayBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which of the events that were skipped are meant."""

    since: str
    until: str = ""
    reasons: tuple[DropReason, ...] = REASONS


REPLAY = Body(ReplayBody, _FIX)


async def replay(deps: ApiDeps, request: Request) -> Response:
    """Start runs for events that were skipped from `since` until before `until` (now), for one of
    `reasons`; at most 1000 of them: with `more`, ask again."""
    asked = await REPLAY.read(request)
    name = request.path_params["function_id"]
    listing = deps.ledger.catalog.named(name)
    if listing is None:
        raise Problem(404, f"there is no function {name}: give its id, such as shop-order")
    now_ms = deps.clock.now_ms()
    since_ms = _instant("since", asked.since)
    until_ms = _instant("until", asked.until) if asked.until else now_ms
    if until_ms <= since_ms:
        raise Problem(400, f"until must be after since, which is {asked.since!r}")
    given = ReplayAsked(listing.slug, since_ms, until_ms, asked.reasons, PAGE)
    started, skipped, pages, more = 0, 0, 0, True
    while more and pages < PAGES:
        answer = await _page(deps, given)
        started, skipped = started + answer.started, skipped + answer.skipped
        pages, more = pages + 1, answer.more
    told = replayed.Replayed(listing.slug, started, skipped, more)
    return enveloped(told, deps.clock.now_ms())


async def _page(deps: ApiDeps, given: ReplayAsked) -> Replayed:
    answer = await deps.ledger.submit(given)
    if isinstance(answer, Done):
        raise Problem(404 if answer.verdict is Verdict.GONE else 409, answer.reason)
    assert isinstance(answer, Replayed)
    return answer


def _instant(name: str, text: str) -> int:
    try:
        return parse_date_ms(text)
    except DurationError as problem:
        raise Problem(400, f"{name}: {problem}; {_FIX}") from None
