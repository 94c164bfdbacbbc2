"""A run again: the whole of it, or from one of its steps on, with other arguments for that step."""

from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, RunOf, body_of, enveloped
from stepwell.server.api.routing.route import Body, unknown_field
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.api.v2.answer import JsonArray, RunStarted, answered
from stepwell.server.engine.message.input import Done, RerunAsked, Verdict
from stepwell.server.query.from_step import TAKES_INPUT, NoSuchStep, from_step
from stepwell.server.turns import in_turns
from stepwell.wire.limit import STEP_INPUT_BYTES_MAX
from stepwell.wire.long_json import canonicalizing, decoding, done

BODY_BYTES_MAX: Final = STEP_INPUT_BYTES_MAX + 64 * 1024
_FIX = 'send {}, or {"fromStep": {"stepId": "...", "input": [...]}}'


class FromStepBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The step to begin at, by its hashed id or its name; `input` takes the place of the arguments
    it is handed in the code."""

    step_id: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1})]
    input: JsonArray | msgspec.UnsetType = msgspec.UNSET


class RerunBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Where the new run begins; without a step, at the beginning."""

    from_step: FromStepBody | None = None


RERUN = Body(RerunBody, _FIX)
_RERUN = msgspec.json.Decoder(RerunBody)


async def rerun_v1(deps: ApiDeps, request: Request) -> Response:
    """Run again, as a new run: the whole of it, or from a step on, with other arguments for it if
    there is an `input`."""
    return enveloped(RunOf(await _rerun(deps, request)), deps.clock.now_ms())


async def rerun_v2(deps: ApiDeps, request: Request) -> Response:
    """Run again, as a new run: the whole of it, or from a step on. `fromStep` names a step by its
    hashed id or its name; `input`, a list, takes the place of the arguments it is handed in the
    code. Steps that ended before it are not done again."""
    return answered(deps, RunStarted(await _rerun(deps, request)))


async def _rerun(deps: ApiDeps, request: Request) -> str:
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    asked = await _read(await body_of(request, BODY_BYTES_MAX))
    given = RerunAsked(run_id)
    if asked.from_step is not None:
        start = asked.from_step
        given = await deps.searched(lambda: _from_step(deps, run_id, start))
    answer = await deps.ledger.submit(given)
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Run not found", "not_found")
    if answer.verdict is Verdict.REFUSED:
        raise Problem(409, f"the run cannot run again: {answer.reason}", "invalid_request")
    return answer.subject


async def _read(body: bytes) -> RerunBody:
    try:
        asked = await in_turns(decoding(body.strip() or b"{}", _RERUN))
    except ValueError as error:
        said = unknown_field(error, ("fromStep", "fromStep.stepId", "fromStep.input"))
        raise Problem(400, f"the rerun cannot be read: {said}; {_FIX}") from None
    start = asked.from_step
    if start is not None and not start.step_id:
        raise Problem(400, f"fromStep.stepId is empty; {_FIX}", "missing_field")
    return asked


def _from_step(deps: ApiDeps, run_id: str, asked: FromStepBody) -> RerunAsked:
    """What a saved step holds never changes, so it may be read before the ledger decides."""
    reader = deps.reader
    if reader.run(run_id) is None:
        raise Problem(404, "Run not found", "not_found")
    try:
        start = from_step(
            asked.step_id,
            reader.steps(run_id),
            reader.notes(run_id),
            reader.items(run_id),
            reader.waits(run_id),
        )
    except NoSuchStep as error:
        raise Problem(400, f"{error}: {asked.step_id!r}", "invalid_request") from None
    if asked.input is msgspec.UNSET:
        return RerunAsked(run_id, start.kept)
    if start.op not in TAKES_INPUT:
        raise Problem(400, f"fromStep.input: a {start.op} step takes no arguments: leave it out")
    return RerunAsked(run_id, start.kept, ((start.step_id, _arguments(asked.input)),))


def _arguments(given: msgspec.Raw) -> str:
    try:
        raw = done(canonicalizing(bytes(given)))
    except ValueError as error:
        raise Problem(400, f"fromStep.input cannot be stored: {error}") from None
    if not raw.startswith(b"["):
        raise Problem(400, f"fromStep.input must be a list of arguments, got {raw[:80].decode()}")
    if len(raw) > STEP_INPUT_BYTES_MAX:
        most = STEP_INPUT_BYTES_MAX
        raise Problem(400, f"fromStep.input has {len(raw)} bytes, at most {most} are allowed")
    return raw.decode()
