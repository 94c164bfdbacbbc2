"""What an SDK asks about the run it is called for, when a call is too large to carry it, and the
old way to cancel."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, raw_json
from stepwell.server.drivers.request import memos_of
from stepwell.server.engine.message.input import CancelAsked, Done, Verdict
from stepwell.server.engine.row.run import Run
from stepwell.wire.event import decode_event, encode_event
from stepwell.wire.execution import encode_steps
from stepwell.wire.identifier import is_ulid

UNKNOWN_RUN = "A function run with the given ID could not be found"


async def batch(deps: ApiDeps, request: Request) -> Response:
    """The events of a run that goes on."""
    state = deps.reader.call_state(_going(deps, request.path_params["run_id"]))
    return raw_json(b"[" + b",".join([_as_sent(body) for body in state.events]) + b"]")


async def actions(deps: ApiDeps, request: Request) -> Response:
    """The saved steps of a run that goes on, as a memo map."""
    run = _going(deps, request.path_params["run_id"])
    return raw_json(encode_steps(memos_of(run, deps.reader.call_state(run))))


async def cancel_old(deps: ApiDeps, request: Request) -> Response:
    """`DELETE /v0/runs/{id}`."""
    run_id = checked_run_id(request, "The run ID specified is invalid")
    answer = await deps.ledger.submit(CancelAsked(run_id))
    assert isinstance(answer, Done)
    if answer.verdict is not Verdict.APPLIED:
        raise Problem(404, UNKNOWN_RUN)
    return Response(status_code=204)


def checked_run_id(request: Request, message: str) -> str:
    """The run id of the path. Raises `Problem` if it is none."""
    run_id = str(request.path_params["run_id"])
    if not is_ulid(run_id):
        raise Problem(400, message)
    return run_id


def _as_sent(body: bytes) -> bytes:
    """A stored event without the empty `user` that functions are shown."""
    event = decode_event(body)
    if event.user is not None and bytes(event.user) == b"{}":
        event = msgspec.structs.replace(event, user=None)
    return encode_event(event, with_user=False)


def _going(deps: ApiDeps, run_id: str) -> Run:
    if not is_ulid(run_id):
        raise Problem(400, "The run ID specified is invalid")
    run: Run | None = deps.reader.run(run_id)
    if run is None or run.ended:
        gone = f"runtime state is no longer available for runID: {run_id}"
        raise Problem(410, gone)
    return run
