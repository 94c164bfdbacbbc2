"""How v2 answers: camelCase data in an envelope, problems as a list with a code for programs."""

import time
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.feed import Feed
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Endpoint, Problem, as_json, as_problem
from stepwell.server.api.routing.route import Takes
from stepwell.server.ledger import EngineFault, LedgerClosed
from stepwell.server.query.cursor import decode_cursor
from stepwell.server.query.v2.run import InstantV2
from stepwell.server.store.port import Mark, StoreError
from stepwell.wire import header
from stepwell.wire.duration import format_instant

_CODES = {
    400: "invalid_request",
    401: "access_denied",
    403: "access_denied",
    404: "not_found",
    500: "internal_error",
    503: "internal_error",
}


SEARCH_S = 2.0
"""So long one page is looked for."""

JsonObject = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
JsonArray = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "array"})]


class Page(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Where a list stands: how many entries a page has, and what leads to the next one. `partial`
    says that a search ran out of time before the page was full: what leads on goes on with it."""

    limit: int
    cursor: str = ""
    has_more: bool = False
    partial: bool = False


class Fetched(msgspec.Struct, frozen=True, rename="camel"):
    """When it was so."""

    fetched_at: InstantV2


class Health(msgspec.Struct):
    """The server answers."""

    status: str


class RunStarted(msgspec.Struct, rename="camel"):
    """The run there is now."""

    run_id: str


class Refusal(msgspec.Struct):
    """What was wrong: a word for programs and a sentence for people."""

    code: str
    message: str


class Refusals(msgspec.Struct, omit_defaults=True):
    """Why there is no other answer; `data` is what there is to tell besides."""

    errors: tuple[Refusal, ...]
    data: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def told(endpoint: Endpoint, feed: Feed) -> Endpoint:
    """An endpoint whose problems are answered in the shape of v2. An answer names the place of the
    feed from before it was read: what changed since is told by a stream that begins there."""

    async def asked(request: Request) -> Response:
        place = feed.id_of(feed.place)
        try:
            response = await endpoint(request)
        except (Problem, LedgerClosed, StoreError, EngineFault) as error:
            problem = as_problem(error)
            return refused(problem)
        response.headers[header.CHANGES] = place
        return response

    return asked


def refused(problem: Problem) -> Response:
    """A problem in the shape of v2."""
    code = problem.code or _CODES.get(problem.status, "api_error")
    told_errors: dict[str, object] = {"errors": [{"code": code, "message": problem.message}]}
    if problem.data is not None:
        told_errors["data"] = problem.data
    return as_json(told_errors, problem.status, problem.headers)


def answered(deps: ApiDeps, data: object, page: Page | None = None, **beside: object) -> Response:
    """Data in the envelope of v2; `page` where it is a list. What stands beside it is ours."""
    told_data: dict[str, object] = {
        "data": data,
        "metadata": Fetched(format_instant(deps.clock.now_ms())),
        **beside,
    }
    if page is not None:
        told_data["page"] = page
    return as_json(told_data)


def decoded(cursor: str, order: str) -> Mark:
    """The place a cursor of a list in the order of this time holds. Raises `Problem`."""
    try:
        return decode_cursor(cursor, order)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def until_late(seconds: float = SEARCH_S) -> Callable[[], bool]:
    """Whether a search that begins now may still go on."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def by_id(
    deps: ApiDeps, found: Sequence[tuple[str, object]], count: int, **beside: object
) -> Response:
    """A page of a list whose cursor is the id of its last entry. `found` may have one entry more
    than is shown: then there is a next page."""
    shown = found[:count]
    more = len(found) > count
    page = Page(count, shown[-1][0] if more else "", has_more=more)
    return answered(deps, [told for _, told in shown], page, **beside)


_LIMIT = parameter.limit(20, 100)
_CURSOR = parameter.plain("cursor", "`page.cursor` of the page before.")
PAGED = (_LIMIT, _CURSOR)
"""What a short list takes, that is in memory as a whole."""


WHOLE = parameter.limit(1_000, 1_000)
IN_PAGES = Takes((WHOLE, _CURSOR))
"""What a list takes that few ask a part of."""


def whole(deps: ApiDeps, request: Request, entries: Sequence[object]) -> Response:
    """A list of which a page holds nearly always all. Its cursor is a rank."""
    return listed(deps, request, [(str(at), one) for at, one in enumerate(entries, 1)], WHOLE)


def listed(
    deps: ApiDeps,
    request: Request,
    entries: Sequence[tuple[str, object]],
    limit: parameter.Parameter[int] = _LIMIT,
) -> Response:
    """A page of a short list. Each entry comes with what it is known by, its cursor."""
    query = request.query_params
    count = limit.read(query)
    begin = _begin([known_by for known_by, _ in entries], _CURSOR.read(query))
    page = Page(count)
    if begin + count < len(entries):
        page = Page(count, entries[begin + count - 1][0], has_more=True)
    return answered(deps, [entry for _, entry in entries[begin : begin + count]], page)


def _begin(known_by: Sequence[str], cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return known_by.index(cursor) + 1
    except ValueError:
        raise Problem(400, f"Cursor is invalid: {cursor!r} is no id of a listed entry") from None


async def health(deps: ApiDeps, request: Request) -> Response:
    """Whether the server answers."""
    return answered(deps, Health("ok"))
