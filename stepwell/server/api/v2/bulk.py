"""`/v2/bulk`: something is done to many runs, or events, which are named by a filter. Ours.

It is a thing of its own: it is counted before, has a rate, tells how far it has come, can be
stopped, and goes on after a restart.
"""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.expr.dialect import ExpressionError, compile_search
from stepwell.server.api.access.door import caller_of
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Body, Takes
from stepwell.server.api.v1.replay import REASONS
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import answered, by_id, until_late
from stepwell.server.engine.message.input import BulkAsked, BulkEnded
from stepwell.server.engine.row.bulk import Bulk, BulkFilter
from stepwell.server.query.run_object import status_named
from stepwell.server.query.search import Condition, count_runs
from stepwell.server.query.v2.bulk import BulkActionV2, BulkCountV2, BulkFilterV2, bulk_v2
from stepwell.server.store.port import Reader
from stepwell.wire.duration import DurationError, parse_date_ms

RATE_DEFAULT, RATE_MAX = 50, 2_000
OPEN_MAX = 20
COUNTED_MAX = 10_000
DEFAULT, MOST = 20, 100
_LIMIT = parameter.limit(DEFAULT, MOST)
_CURSOR = parameter.entry("`page.cursor` of the page before.")
LISTED = Takes((_LIMIT, _CURSOR))


class BulkCountBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which runs; or which events, for what is replayed."""

    filter: BulkFilterV2
    action: BulkActionV2 = BulkActionV2.RERUN


class BulkBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to do, to which runs, and to how many in a second at most."""

    action: BulkActionV2
    filter: BulkFilterV2
    rate: Annotated[int, msgspec.Meta(ge=1, le=RATE_MAX)] = RATE_DEFAULT


_FIX = '"filter": {"status": ["FAILED"], "from": "2030-01-31T12:00:00Z"}'
COUNT = Body(BulkCountBody, f"send {{{_FIX}}}")
BULK = Body(BulkBody, f'send {{"action": "rerun", {_FIX}, "rate": 50}}')


async def count(deps: ApiDeps, request: Request) -> Response:
    """How many runs a filter is about: what would be done, if it were. Counts for two seconds at
    most."""
    asked = await COUNT.read(request)
    wanted = _filter(deps, asked.action, asked.filter)
    return answered(deps, await _counted(deps, asked.action, wanted))


async def create(deps: ApiDeps, request: Request) -> Response:
    """Cancel many runs, or run them again as new runs of the functions as they are now; or let
    events that a function skipped start their runs after all. It begins at once, in the order in
    which the runs were queued (or started, or ended: `timeField`), or the events skipped; what
    comes later is left alone. At most 20 go on at a time."""
    asked = await BULK.read(request)
    if len(deps.reader.open_bulks()) >= OPEN_MAX:
        raise Problem(409, f"{OPEN_MAX} go on already: stop one, or wait", "invalid_request")
    wanted = _filter(deps, asked.action, asked.filter)
    if asked.action is BulkActionV2.REPLAY and wanted.functions[0] in deps.ledger.catalog.paused:
        told = f"function {wanted.functions[0]} is paused: let it go on first"
        raise Problem(409, told, "invalid_request")
    counted = await _counted(deps, asked.action, wanted)
    now_ms = deps.clock.now_ms()
    bulk = Bulk(
        id=deps.fresh_id(now_ms),
        action=asked.action.value,
        filter=wanted,
        rate=asked.rate,
        asked_ms=now_ms,
        asked_by=caller_of(request).name,
        total=counted.count,
        more=counted.more,
    )
    await deps.ledger.submit(BulkAsked(bulk))
    return answered(deps, bulk_v2(bulk))


async def many(deps: ApiDeps, request: Request) -> Response:
    """What was done to many runs, and is being done, the newest first."""
    most = _LIMIT.read(request.query_params)
    found = deps.reader.bulks(_CURSOR.read(request.query_params), most + 1)
    return by_id(deps, [(bulk.id, bulk_v2(bulk)) for bulk in found], most)


async def one(deps: ApiDeps, request: Request) -> Response:
    """How far it has come."""
    return answered(deps, bulk_v2(_known(deps, request)))


async def stop(deps: ApiDeps, request: Request) -> Response:
    """Leave alone the runs that it has not come to. What was done stays done."""
    bulk = _known(deps, request)
    if bulk.ended_ms:
        raise Problem(409, "Bulk has ended already", "invalid_request")
    await deps.ledger.submit(BulkEnded(bulk.id, stopped=True))
    return answered(deps, bulk_v2(_known(deps, request)))


def _known(deps: ApiDeps, request: Request) -> Bulk:
    found = deps.reader.bulk(str(request.path_params["bulk_id"]))
    if found is None:
        raise Problem(404, "Bulk not found")
    return found


async def _counted(deps: ApiDeps, action: BulkActionV2, wanted: BulkFilter) -> BulkCountV2:
    if action is BulkActionV2.REPLAY:
        return await deps.searched(lambda: _skipped(deps.reader, wanted))
    condition = None
    if wanted.query:
        condition = Condition(compile_search(wanted.query), deps.clock.now_ms())
    goes_on = until_late()
    return BulkCountV2(
        *await deps.searched(lambda: count_runs(deps.reader, wanted, condition, goes_on))
    )


def _skipped(reader: Reader, wanted: BulkFilter) -> BulkCountV2:
    """How many events a function skipped, of which so many are looked at, at most."""
    found = reader.dropped_of(wanted.functions[0], wanted.since_ms, COUNTED_MAX + 1)
    meant = [one for one in found if one.reason in wanted.reasons and one.at_ms < wanted.until_ms]
    return BulkCountV2(len(meant), more=len(found) > COUNTED_MAX)


def _replayed(deps: ApiDeps, asked: BulkFilterV2, wanted: BulkFilter) -> BulkFilter:
    """The same for what is replayed: one function that is served, and why it skipped."""
    if asked.status or wanted.query or asked.time_field != "queuedAt":
        about = "filter.status, filter.timeField, filter.query and filter.session"
        refused = f"{about} are about runs: leave them out to replay events"
        raise Problem(400, refused)
    served = [slug for slug in wanted.functions if slug in deps.ledger.catalog.listings]
    if len(asked.function_id) != 1 or not served:
        refused = "filter.functionId must name the one function that skipped, and is served"
        raise Problem(400, refused)
    reasons = tuple(asked.reason) or REASONS
    return msgspec.structs.replace(wanted, functions=(served[0],), reasons=reasons)


def _filter(deps: ApiDeps, action: BulkActionV2, asked: BulkFilterV2) -> BulkFilter:
    """What is asked for, in the words of the store. Nothing that comes to its time later is
    meant."""
    now_ms = deps.clock.now_ms()
    since_ms = 0 if asked.since is msgspec.UNSET else _instant("from", asked.since)
    until_ms = now_ms if asked.until is msgspec.UNSET else _instant("until", asked.until)
    until_ms = min(until_ms, now_ms)
    if until_ms <= since_ms:
        raise Problem(400, "filter.from must be before filter.until, and in the past")
    query = _condition(asked)
    apps = name.apps(deps, asked.app_id)
    wanted = BulkFilter(
        until_ms=until_ms,
        since_ms=since_ms,
        statuses=tuple(int(status_named(status)) for status in asked.status),
        functions=name.functions(deps, apps, asked.function_id),
        apps=apps,
        query=query,
        time=asked.time_field,
    )
    if action is BulkActionV2.REPLAY:
        return _replayed(deps, asked, wanted)
    if asked.reason:
        raise Problem(400, "filter.reason is for what is replayed: leave it out")
    return wanted


def _condition(asked: BulkFilterV2) -> str:
    """What must hold besides: the expression, and the sessions, which are conditions like any."""
    lines = [parameter.session_condition("filter.session", one) for one in asked.session]
    text = "\n".join([*lines, *filter(None, [asked.query.strip()])])
    if len(text) > parameter.EXPRESSION_CHARS_MAX:
        most = parameter.EXPRESSION_CHARS_MAX
        raise Problem(400, f"filter.query has {len(text)} letters, at most {most} are allowed")
    if text:
        try:
            compile_search(text)
        except ExpressionError as error:
            raise Problem(400, f"filter.query: {error}") from None
    return text


def _instant(field: str, text: str) -> int:
    try:
        return parse_date_ms(text)
    except DurationError:
        fix = "write it as 2030-01-31T12:00:00Z"
        raise Problem(400, f"filter.{field} {text!r} is no time: {fix}") from None
