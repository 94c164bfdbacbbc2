"""Durable endpoints: `POST /v1/checkpoint` begins a run that an app makes by itself, `…/steps`
reports what it did, and `GET /v1/http/runs/{id}/output` is where whoever asked the app waits.
"""

import base64
from typing import Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.realtime.subscriptions import topics_of
from stepwell.server.api.routing.problem import Problem, body_of, enveloped, raw_json
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.engine.message.input import (
    AppRegistered,
    Broke,
    Done,
    EndpointCalled,
    LeaseExtended,
    LinesWritten,
    Progressed,
    ReplyReceived,
    StepsCheckpointed,
    Verdict,
)
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.run import MAIN, Run, RunStatus
from stepwell.server.registration import RegistrationRefused, app_registered
from stepwell.server.turns import in_turns
from stepwell.wire import header, limit
from stepwell.wire.endpoint import (
    HTTP_REQUEST,
    OUTPUT_TOPIC,
    SILENT_MS,
    TOKEN_LIFE_S,
    HttpAnswer,
    HttpCalled,
    MoreSteps,
    NewRun,
    RunBegun,
    decoding_called,
)
from stepwell.wire.event import Event
from stepwell.wire.failure import Failure, encode_failure, for_caller
from stepwell.wire.function_config import FunctionConfig
from stepwell.wire.identifier import app_uuid, derived_ulid, function_uuid, is_ulid, step_hash
from stepwell.wire.long_json import Turns, decoding
from stepwell.wire.operation import (
    NULL,
    DeferAbort,
    DeferAdd,
    LegacyStep,
    Logs,
    MalformedOperation,
    Operation,
    StepError,
    StepFailed,
    StepRun,
    logs_in,
)
from stepwell.wire.operation_decode import decoding_operations
from stepwell.wire.outside import decode
from stepwell.wire.realtime import STREAM_TOPIC, TopicPlace
from stepwell.wire.registration import Registration

WAIT_S: Final = 300.0
LOOK_S: Final = 20.0
PATHS_MAX: Final = 500
"""So many endpoints of an app are told apart by their paths; visitors choose those."""
_COMPLETE: Final = step_hash("complete")
_ON_THE_WAY = (LegacyStep, StepRun, DeferAdd, DeferAbort, Logs)


class _EventData(msgspec.Struct):
    data: msgspec.Raw = NULL


_NEW_RUN = msgspec.json.Decoder(NewRun)
_EVENT = msgspec.json.Decoder(_EventData)
_MORE = msgspec.json.Decoder(MoreSteps)
_ANSWER = msgspec.json.Decoder(HttpAnswer)
_FROM_ANYWHERE: Final = {"access-control-allow-origin": "*", "cache-control": "no-store"}
_OF_ONE_HOP: Final = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
)


async def begin(deps: ApiDeps, request: Request) -> Response:
    """A run begins, with the steps that were done already."""
    try:
        body = await body_of(request, limit.REPLY_BODY_BYTES_MAX)
        given = await in_turns(decoding(body, _NEW_RUN))
        data = await in_turns(_data_of(given.event))
        called = await in_turns(decoding_called(b'{"data":%b}' % data))
        base64.b64decode(called.body, validate=True)
    except ValueError as error:
        raise Problem(400, f"Invalid request body: {error}") from None
    if not is_ulid(given.run_id):
        raise Problem(400, f"Invalid run ID: {given.run_id}")
    operations = await _operations(given.steps)
    slug = await _registered(deps, called, given.retries, request.headers.get(header.SDK, ""))
    now_ms = deps.clock.now_ms()
    event_id = derived_ulid(now_ms, given.run_id, slug)
    known = deps.reader.run(given.run_id)
    if known is not None and known.function == slug:
        event_id = known.event_ids[0]  # its answer was lost, and it comes again
    event = Event(HTTP_REQUEST, msgspec.Raw(data), "", now_ms)
    row = event_row(event_id, event, now_ms)
    answer = await deps.ledger.submit(EndpointCalled(given.run_id, slug, row, SILENT_MS))
    assert isinstance(answer, Done)
    if answer.verdict in (Verdict.REFUSED, Verdict.GONE):
        raise Problem(409, answer.reason)
    if operations:
        await _report(deps, given.run_id, operations)
    begun = RunBegun(
        fn_id=function_uuid(slug),
        app_id=app_uuid(_app_of(called)),
        run_id=given.run_id,
        token=_token(deps, given.run_id, OUTPUT_TOPIC) if operations else "",
        realtime_token=_token(deps, given.run_id, STREAM_TOPIC),
        keeps_logs=True,
    )
    return enveloped(begun, now_ms)


async def more(deps: ApiDeps, request: Request) -> Response:
    """Steps of a run that goes on, or what ends it."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    try:
        body = await body_of(request, limit.REPLY_BODY_BYTES_MAX)
        given = await in_turns(decoding(body, _MORE))
    except ValueError as error:
        raise Problem(400, f"Invalid request body: {error}") from None
    await _report(deps, run_id, await _operations(given.steps))
    return Response(status_code=200)


def _data_of(event: msgspec.Raw) -> Turns[bytes]:
    found = yield from decoding(bytes(event), _EVENT)
    return bytes(found.data)


async def _operations(steps: msgspec.Raw) -> tuple[Operation, ...]:
    try:
        return await in_turns(decoding_operations(steps))
    except MalformedOperation as malformed:
        raise Problem(400, f"steps: {malformed}") from None


async def _report(deps: ApiDeps, run_id: str, operations: tuple[Operation, ...]) -> None:
    """Steps on the way are saved; anything else is what the endpoint's own part ends with. Lines of
    the log may come after that."""
    if operations and all(isinstance(operation, Logs) for operation in operations):
        saved = await deps.ledger.submit(LinesWritten(run_id, tuple(logs_in(operations))))
    elif all(isinstance(operation, _ON_THE_WAY) for operation in operations):
        saved = await deps.ledger.submit(StepsCheckpointed(run_id, run_id, MAIN, operations))
        await deps.ledger.submit(LeaseExtended(run_id, run_id, MAIN, SILENT_MS))
    else:
        outcome = _broke(operations) or Progressed(operations)
        saved = await deps.ledger.submit(ReplyReceived(run_id, run_id, MAIN, outcome))
    assert isinstance(saved, Done)
    if saved.verdict in (Verdict.FENCED, Verdict.GONE, Verdict.REFUSED):
        status = {Verdict.FENCED: 409, Verdict.GONE: 404}.get(saved.verdict, 400)
        raise Problem(status, saved.reason)


def _broke(operations: tuple[Operation, ...]) -> Broke | None:
    """What is reported as a failure of the step "complete" is one of the handler itself."""
    last = operations[-1]
    if not isinstance(last, StepError | StepFailed) or last.id != _COMPLETE:
        return None
    failure = last.failure or Failure()
    no_retry = isinstance(last, StepFailed)
    return Broke(
        failure,
        encode_failure(failure),
        no_retry=no_retry,
        reason=failure.message,
        logs=tuple(logs_in(operations)),
    )


async def _registered(deps: ApiDeps, called: HttpCalled, retries: int | None, sdk: str) -> str:
    """The endpoint's slug; it is made known when it is first met. Raises Problem."""
    app, catalog = _app_of(called), deps.ledger.catalog
    name = called.fn.removeprefix(f"{app}-") or f"{called.method} {called.path}"
    slug = f"{app}-{name}"
    if not called.fn and catalog.listing(slug) is None and len(catalog.of_app(app)) >= PATHS_MAX:
        name = f"{called.method} *"
        slug = f"{app}-{name}"
    config = FunctionConfig(id=slug, name=name, url=called.domain, retries=retries)
    known = catalog.listing(slug)
    if known is not None and known.config.retries == retries:
        return slug
    registration = Registration(
        app_name=app, url=called.domain, sdk=_language(sdk), framework="", functions=(config,)
    )
    try:
        given = app_registered(registration, "api", catalog, deps.clock.now_ms())
    except RegistrationRefused as refused:
        raise Problem(400, refused.message) from None
    await deps.ledger.submit(AppRegistered(given.app, given.functions, is_part=True))
    deps.on_app(given.app)
    return slug


def _app_of(called: HttpCalled) -> str:
    return urlsplit(called.domain).netloc or called.domain


def _language(sdk: str) -> str:
    return sdk.removeprefix("inngest-")


def _token(deps: ApiDeps, run_id: str, topic: str) -> str:
    now_ms = deps.clock.now_ms()
    return deps.tokens.mint(
        [TopicPlace(run_id, topic)],
        now_ms=now_ms,
        token_id=deps.fresh_id(now_ms),
        life_s=TOKEN_LIFE_S,
    )


async def output(deps: ApiDeps, request: Request) -> Response:
    """What the endpoint answers in the end, as it would have answered at once. Waits up to five
    minutes."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    token = request.query_params.get("token", "")
    if TopicPlace(run_id, OUTPUT_TOPIC) not in topics_of(deps, token):
        raise Problem(401, "Not authenticated", headers=_FROM_ANYWHERE)
    run = deps.reader.run(run_id)
    waited = 0.0
    while run is not None and not run.ended and waited < WAIT_S and not deps.feed.closed:
        await deps.ends.until(run_id, LOOK_S)
        waited += LOOK_S
        run = deps.reader.run(run_id)
    if run is None:
        raise Problem(404, "Run not found", headers=_FROM_ANYWHERE)
    if not run.ended:
        told = msgspec.json.encode({"status": "running", "run_id": run_id})
        return raw_json(told, 202, _FROM_ANYWHERE)
    return _answered(run)


def _answered(run: Run) -> Response:
    said = run.output or b"null"
    if run.status is RunStatus.COMPLETED:
        try:
            answer = decode(said, _ANSWER)
        except msgspec.DecodeError:
            return raw_json(said, 200, _FROM_ANYWHERE)
        headers = {
            name: value for name, value in answer.headers.items() if name.lower() not in _OF_ONE_HOP
        }
        return Response(answer.body, answer.status, {**headers, **_FROM_ANYWHERE})
    if run.status is RunStatus.CANCELLED:
        return raw_json(b'{"error":"the run was cancelled"}', 410, _FROM_ANYWHERE)
    return raw_json(b'{"error":%b}' % for_caller(said), 500, _FROM_ANYWHERE)
