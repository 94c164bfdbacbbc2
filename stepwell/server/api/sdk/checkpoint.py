"""`POST /v1/checkpoint/{run}/async`: a function that goes on saves the steps it finished. And
`POST /v1/checkpoint/group`, ours: several functions do, in one request.
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, as_problem, body_of, raw_json
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.drivers.request import item_key
from stepwell.server.engine.message.input import Answer, Done, StepsCheckpointed, Verdict
from stepwell.server.ledger import EngineFault, Ledger, LedgerClosed
from stepwell.server.store.port import StoreError
from stepwell.server.turns import in_turns
from stepwell.wire import limit
from stepwell.wire.checkpoint import (
    GROUP_MAX,
    CheckpointOutcome,
    decoding_checkpoint,
    encode_outcomes,
    splitting_group,
)
from stepwell.wire.identifier import is_ulid
from stepwell.wire.long_json import Turns
from stepwell.wire.operation import (
    DeferAbort,
    DeferAdd,
    LegacyStep,
    Logs,
    MalformedOperation,
    Operation,
    RunComplete,
    StepFailed,
    StepPlanned,
    StepRun,
    label,
)
from stepwell.wire.operation_decode import decoding_operations

_SAVED = (LegacyStep, StepRun, StepPlanned, DeferAdd, DeferAbort, Logs)
_FINAL = (StepFailed, RunComplete)
_KEPT = CheckpointOutcome(200)


async def checkpoint(deps: ApiDeps, request: Request) -> Response:
    """Save the steps; 200 with an empty body means they are stored."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    answer = await deps.ledger.submit(await in_turns(_read(run_id, await body_of(request))))
    outcome = _outcome(answer)
    if outcome.status != 200:
        raise Problem(outcome.status, outcome.error)
    return Response(status_code=200)


async def group(deps: ApiDeps, request: Request) -> Response:
    """Save steps of several runs, in one commit if it can be: what becomes of each is told for
    itself, and none suffers from its neighbours."""
    body = await body_of(request, limit.REPLY_BODY_BYTES_MAX)
    try:
        bodies = await in_turns(splitting_group(body))
    except ValueError as error:
        raise Problem(400, f"a list of checkpoints is expected: {error}") from None
    if len(bodies) > GROUP_MAX:
        raise Problem(400, f"over {GROUP_MAX} checkpoints: at most so many travel together")
    answers = [await _submitted(deps.ledger, body) for body in bodies]
    outcomes = [
        answer if isinstance(answer, CheckpointOutcome) else await _answered(answer)
        for answer in answers
    ]
    return raw_json(encode_outcomes(outcomes))


async def _submitted(
    ledger: Ledger, body: msgspec.Raw
) -> CheckpointOutcome | asyncio.Future[Answer]:
    try:
        return ledger.submit(await in_turns(_read("", body)))
    except Problem as problem:
        return _refused(problem)


async def _answered(answer: asyncio.Future[Answer]) -> CheckpointOutcome:
    try:
        return _outcome(await answer)
    except (LedgerClosed, StoreError, EngineFault) as error:
        return _refused(as_problem(error))


def _refused(problem: Problem) -> CheckpointOutcome:
    return CheckpointOutcome(problem.status, problem.message)


def _outcome(answer: Answer) -> CheckpointOutcome:
    assert isinstance(answer, Done)
    match answer.verdict:
        case Verdict.APPLIED:
            return _KEPT
        case Verdict.FENCED:
            return CheckpointOutcome(409, answer.reason)
        case Verdict.ALREADY | Verdict.GONE | Verdict.REFUSED:
            return CheckpointOutcome(400, answer.reason)


def _read(run_id: str, body: bytes | msgspec.Raw) -> Turns[StepsCheckpointed]:
    """What a checkpoint asks for, with pauses if it is long. Raises Problem."""
    if len(body) > limit.REPLY_BODY_BYTES_MAX:
        most = limit.REPLY_BODY_BYTES_MAX
        raise Problem(413, f"the checkpoint has {len(body)} bytes, at most {most} are allowed")
    try:
        saved = yield from decoding_checkpoint(body)
        operations = yield from decoding_operations(saved.steps)
    except MalformedOperation as malformed:
        raise Problem(400, f"steps: {malformed}") from None
    except ValueError as error:
        raise Problem(400, f"the checkpoint cannot be read: {error}") from None
    _check(operations)
    run_id = run_id or saved.run_id
    if not is_ulid(run_id):
        raise Problem(400, f"Invalid run ID: {run_id}")
    key = item_key(saved.qi_id)
    if key is None:
        raise Problem(400, f"qi_id {saved.qi_id!r} is unknown: copy it from ctx")
    return StepsCheckpointed(saved.request_id, run_id, key, operations, saved.generation_id)


def _check(operations: tuple[Operation, ...]) -> None:
    for operation in operations:
        if isinstance(operation, _SAVED):
            _check_size(operation)
            continue
        if isinstance(operation, _FINAL):
            raise Problem(400, f"cannot checkpoint opcode: {operation.op}")
        raise Problem(
            400, f"cannot checkpoint async steps: return {operation.op} at the end of the call"
        )


def _check_size(operation: Operation) -> None:
    """A result nobody keeps is refused before anything is saved: the call may still report it."""
    most = limit.STEP_OUTPUT_BYTES_MAX
    if isinstance(operation, LegacyStep | StepRun) and len(operation.data) > most:
        raise Problem(
            413,
            f'step "{label(operation)}" returned {len(operation.data)} bytes, at most {most} are'
            " allowed: return less, or store it elsewhere and return where it is",
        )
