"""A call of a function, the answer to POST."""

from collections.abc import Generator

import msgspec

from stepwell.sdk.errors import BodyInvalidError, QueryParamMissingError
from stepwell.sdk.serve import answer
from stepwell.sdk.serve.effect import ApiRequests, Effect, FunctionCall, Outcome, Steps
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.run_state import completed, state_requests, unreachable
from stepwell.sdk.serve.served import Served
from stepwell.sdk.timing import FUNCTION, INPUT, OUTPUT, USE_API, Timings
from stepwell.sdk.tracing import trace_in
from stepwell.wire import header
from stepwell.wire.execution import (
    TARGET_DISCOVERY,
    CallRequest,
    CallResponse,
    MalformedCall,
    decode_call,
)


def called(served: Served, request: ServeRequest, timings: Timings) -> Steps:
    """The answer to POST. Raises Error for what is no call of a function served here."""
    probe = request.query.get(header.QUERY_PROBE)
    if probe == header.PROBE_TRUST:
        return answer.TRUSTED
    if probe:
        return answer.message_answer(400, f'Unknown probe "{probe}"')
    if not request.body:
        raise BodyInvalidError(_no_body(request))
    function_id = request.query.get(header.QUERY_FUNCTION_ID)
    if not function_id:
        raise QueryParamMissingError(f"the query lacks {header.QUERY_FUNCTION_ID}")
    call = _named_by_headers(_call_in(request.body), request)
    function = served.table.find(function_id)
    if call.use_api:
        began_ns = served.spent_ns()
        call = yield from _with_state(call)
        timings[USE_API] = served.spent_ns() - began_ns
    target = request.query.get(header.QUERY_STEP_ID) or TARGET_DISCOVERY
    began_ns = served.spent_ns()
    timings[INPUT] = timings[OUTPUT] = 0
    trace = trace_in(request.headers)
    outcome = yield FunctionCall(function, call, target, request.raw, trace, timings)
    spent_ns = served.spent_ns() - began_ns
    timings[FUNCTION] = spent_ns - timings[INPUT] - timings[OUTPUT]
    if isinstance(outcome, Exception):
        raise outcome
    assert isinstance(outcome, CallResponse)
    return outcome


def _no_body(request: ServeRequest) -> str:
    text = "Missing request body when executing, possibly due to missing request body middleware"
    if request.headers.get("transfer-encoding"):
        text += "; it came in chunks, which the web server does not put together"
    return text


def _call_in(body: bytes) -> CallRequest:
    try:
        return decode_call(body)
    except MalformedCall as error:
        raise BodyInvalidError(str(error)) from None


def _named_by_headers(call: CallRequest, request: ServeRequest) -> CallRequest:
    """What some servers say in headers and not in the body: ids, and that steps are to be planned
    before they run."""
    ctx, headers = call.ctx, request.headers
    planned = ctx.disable_immediate_execution or headers.get(header.FORCE_STEP_PLAN) == "true"
    if ctx.job_id and ctx.request_id and ctx.run_id and planned == ctx.disable_immediate_execution:
        return call
    generation = headers.get(header.GENERATION_ID, "")
    named = msgspec.structs.replace(
        ctx,
        run_id=ctx.run_id or headers.get(header.RUN_ID, ""),
        job_id=ctx.job_id or headers.get(header.JOB_ID, ""),
        request_id=ctx.request_id or headers.get(header.REQUEST_ID, ""),
        generation_id=ctx.generation_id or (int(generation) if generation.isdecimal() else 0),
        disable_immediate_execution=planned,
    )
    return msgspec.structs.replace(call, ctx=named)


def _with_state(call: CallRequest) -> Generator[Effect, Outcome, CallRequest]:
    """The call with what was too large to travel with it."""
    outcome = yield ApiRequests(state_requests(call))
    if isinstance(outcome, Exception):
        raise unreachable(outcome) from outcome
    assert isinstance(outcome, list)
    return completed(call, outcome)
