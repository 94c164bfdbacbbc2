"""`/v1/cancellations`: many runs of a function end at once.

The official server has no store behind these routes; here they do what the hosted one's pages say.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem, as_json, body_of, enveloped
from stepwell.server.api.routing.route import Body, Takes, unknown_field
from stepwell.server.engine.message.input import (
    CancellationAsked,
    CancellationDropped,
    Done,
    Verdict,
)
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.query.run_object import ENVIRONMENT_ID
from stepwell.wire.duration import DurationError, format_instant, parse_date_ms
from stepwell.wire.identifier import app_uuid, function_uuid, is_ulid
from stepwell.wire.outside import decode

DEFAULT, MOST = 20, 100
_CURSOR = parameter.entry("The cancellation before the first of this page.")
_LIMIT = parameter.about(DEFAULT, MOST)
LISTED = Takes((_CURSOR, _LIMIT))
_FIX = 'send {"app_id": "shop", "function_id": "order", "started_before": "2030-01-31T12:00:00Z"}'


class CancellationBody(msgspec.Struct, forbid_unknown_fields=True, rename={"condition": "if"}):
    """Which runs are to end: of which function, and which time."""

    app_id: str = ""
    function_id: str = ""
    started_after: str | None = None
    started_before: str = ""
    condition: str | None = None


CANCELLATION = Body(CancellationBody, _FIX)
_ASKED = msgspec.json.Decoder(CancellationBody)


class CancellationObject(msgspec.Struct, omit_defaults=True, rename={"condition": "if"}):
    """A cancellation of many runs; `ended_at` (ours) is there once all of them were told."""

    id: str
    environment_id: str
    function_internal_id: str
    function_id: str
    app_id: str
    started_before: str
    started_after: str | None = None
    condition: str | None = None
    ended_at: str | None = None


async def create(deps: ApiDeps, request: Request) -> Response:
    """End the runs of `function_id` (of `app_id`) that began before
    `started_before`, a time that has passed, and from `started_after` on, if their event satisfies
    `if`; also those that wait for their first call."""
    now_ms = deps.clock.now_ms()
    asked = _read(await body_of(request, CANCELLATION.bytes_max))
    app, function = _function(deps, asked)
    before_ms = _instant("started_before", asked.started_before)
    after_ms = _instant("started_after", asked.started_after) if asked.started_after else 0
    if before_ms > now_ms:
        raise Problem(400, "started_before must be in the past")
    if after_ms >= before_ms:
        raise Problem(400, "started_after must be before started_before")
    condition = asked.condition or ""
    id_ = deps.fresh_id(now_ms)
    made = Cancellation(id_, app, function, after_ms, before_ms, condition, now_ms)
    answer = await deps.ledger.submit(CancellationAsked(made))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.REFUSED:
        raise Problem(400, f"if: {answer.reason}")
    return as_json(_object(made), 201)


async def many(deps: ApiDeps, request: Request) -> Response:
    """What was asked to end many runs, the newest first."""
    query = request.query_params
    count = _LIMIT.read(query)
    found = deps.reader.cancellations(_CURSOR.read(query), count)
    last = found[-1].id if len(found) == count else None
    return enveloped([_object(one) for one in found], deps.clock.now_ms(), cursor=last)


async def one(deps: ApiDeps, request: Request) -> Response:
    """What was asked to end many runs."""
    return enveloped(_object(_known(deps, request)), deps.clock.now_ms())


async def drop(deps: ApiDeps, request: Request) -> Response:
    """Forget it: runs that were not told yet go on."""
    await deps.ledger.submit(CancellationDropped(_known(deps, request).id))
    return Response(status_code=204)


def _read(body: bytes) -> CancellationBody:
    try:
        asked = decode(body.strip() or b"{}", _ASKED)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = unknown_field(error, CancellationBody.__struct_encode_fields__)
        raise Problem(400, f"the cancellation cannot be read: {said}; {_FIX}") from None
    for name in ("app_id", "function_id", "started_before"):
        if not getattr(asked, name):
            raise Problem(400, f"{name} is required; {_FIX}")
    return asked


def _function(deps: ApiDeps, asked: CancellationBody) -> tuple[str, str]:
    """The app and the function, be it registered or gone: its runs may wait for it."""
    for row in (*deps.reader.functions(), *deps.reader.gone_functions()):
        is_app = asked.app_id in (row.app, app_uuid(row.app))
        short = row.slug.removeprefix(f"{row.app}-")
        if is_app and asked.function_id in (row.slug, short, function_uuid(row.slug)):
            return row.app, row.slug
    raise Problem(404, f"function {asked.function_id!r} of app {asked.app_id!r} is not known")


def _instant(name: str, text: str) -> int:
    try:
        return parse_date_ms(text)
    except DurationError:
        fix = "write it as 2030-01-31T12:00:00Z"
        raise Problem(400, f"{name} {text!r} is no time: {fix}") from None


def _known(deps: ApiDeps, request: Request) -> Cancellation:
    id_ = str(request.path_params["cancellation_id"])
    if not is_ulid(id_):
        raise Problem(400, f"Invalid cancellation ID: {id_}")
    found = deps.reader.cancellation(id_)
    if found is None:
        raise Problem(404, "Cancellation not found")
    return found


def _object(one: Cancellation) -> CancellationObject:
    return CancellationObject(
        id=one.id,
        environment_id=ENVIRONMENT_ID,
        function_internal_id=function_uuid(one.function),
        function_id=one.function,
        app_id=one.app,
        started_before=format_instant(one.before_ms),
        started_after=format_instant(one.after_ms) if one.after_ms else None,
        condition=one.condition or None,
        ended_at=format_instant(one.ended_ms) if one.ended_ms else None,
    )
