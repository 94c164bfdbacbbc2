"""`POST /v1/checkpoint/{run}/async`: a function that goes on saves the steps it finished.

Source: http.md 7.3, server.md 4.11.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.problem import Problem, body_of
from stepwell.server.api.run_state import checked_run_id
from stepwell.server.drivers.request import item_key
from stepwell.server.engine.input import Done, StepsCheckpointed, Verdict
from stepwell.wire import limit
from stepwell.wire.operation import (
    DeferAbort,
    DeferAdd,
    LegacyStep,
    MalformedOperation,
    Operation,
    RunComplete,
    StepFailed,
    StepPlanned,
    StepRun,
    label,
)
from stepwell.wire.operation_decode import decode_operations

_SAVED = (LegacyStep, StepRun, StepPlanned, DeferAdd, DeferAbort)
_FINAL = (StepFailed, RunComplete)


class _Saved(msgspec.Struct):
    """What an SDK sends; the ids are those of `ctx`. Unknown fields are dropped."""

    qi_id: str = ""
    request_id: str = ""
    generation_id: int = 0
    steps: msgspec.Raw = msgspec.Raw(b"[]")


async def checkpoint(deps: ApiDeps, request: Request) -> Response:
    """Save the steps; 200 with an empty body means they are stored."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    body = await body_of(request)
    if len(body) > limit.REPLY_BODY_BYTES_MAX:
        most = limit.REPLY_BODY_BYTES_MAX
        raise Problem(413, f"the checkpoint has {len(body)} bytes, at most {most} are allowed")
    saved, operations = _decoded(body)
    key = item_key(saved.qi_id)
    if key is None:
        raise Problem(400, f"qi_id {saved.qi_id!r} is unknown: copy it from ctx")
    given = StepsCheckpointed(saved.request_id, run_id, key, operations, saved.generation_id)
    answer = await deps.ledger.submit(given)
    assert isinstance(answer, Done)
    match answer.verdict:
        case Verdict.APPLIED:
            return Response(status_code=200)
        case Verdict.FENCED:
            raise Problem(409, answer.reason)
        case Verdict.ALREADY | Verdict.GONE | Verdict.REFUSED:
            raise Problem(400, answer.reason)


def _check_size(operation: Operation) -> None:
    """A result nobody keeps is refused before anything is saved: the call may still report it."""
    most = limit.STEP_OUTPUT_BYTES_MAX
    if isinstance(operation, LegacyStep | StepRun) and len(operation.data) > most:
        raise Problem(
            413,
            f'step "{label(operation)}" returned {len(operation.data)} bytes, at most {most} are'
            " allowed: return less, or store it elsewhere and return where it is",
        )


def _decoded(body: bytes) -> tuple[_Saved, tuple[Operation, ...]]:
    try:
        saved = msgspec.json.decode(body, type=_Saved)
        operations = decode_operations(saved.steps)
    except MalformedOperation as malformed:
        raise Problem(400, f"steps: {malformed}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the checkpoint cannot be read: {error}") from None
    for operation in operations:
        if isinstance(operation, _SAVED):
            _check_size(operation)
            continue
        if isinstance(operation, _FINAL):
            raise Problem(400, f"cannot checkpoint opcode: {operation.op}")
        raise Problem(
            400, f"cannot checkpoint async steps: return {operation.op} at the end of the call"
        )
    return saved, operations
