"""`/v2/runs/{id}/scores`: how good a run or a step was."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Body
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.api.v1.metadata import checked, keep
from stepwell.server.api.v2.answer import Page, answered, whole
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind, AnnotationUpdate
from stepwell.server.query.annotation import scores_v2
from stepwell.wire.limit import SCORES_PER_REQUEST_MAX
from stepwell.wire.metadata import NAME_BYTES_MAX, hashed_step
from stepwell.wire.score import ExperimentRef, ScoreValue

_FIX = 'send [{"name": "helpful", "value": 0.8, "stepId": "answer"}]'


class ScoreBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A score: a number, or yes or no; of a step (by its id, hashed or not), or of the run."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_BYTES_MAX)]
    value: int | float | bool
    step_id: str = ""
    experiment: ExperimentRef | msgspec.UnsetType = msgspec.UNSET


SCORES = Body(list[ScoreBody], _FIX)


async def create(deps: ApiDeps, request: Request) -> Response:
    """Say how good a run or its steps were. A score of the same name, of the same step, takes the
    place of the one before. All of them are kept, or none."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    given = await SCORES.read(request)
    if len(given) > SCORES_PER_REQUEST_MAX:
        told = f"{len(given)} scores, at most {SCORES_PER_REQUEST_MAX} are allowed: send fewer"
        raise Problem(400, told)
    now_ms = deps.clock.now_ms()
    updates: list[AnnotationUpdate] = []
    for number, one in enumerate(given):
        checked(one.name, f"[{number}].name")
        body = msgspec.json.encode(ScoreValue(one.value, one.experiment))
        step_id = hashed_step(one.step_id)
        kind = AnnotationKind.SCORE
        row = Annotation(run_id, kind, step_id, "", one.name, now_ms, body)
        updates.append(AnnotationUpdate(row))
    await keep(deps, run_id, updates)
    return answered(deps, scores_v2(update.row for update in updates), Page(len(updates)))


async def many(deps: ApiDeps, request: Request) -> Response:
    """The scores of a run and its steps, the oldest first."""
    run_id = checked_run_id(request, "Run ID must be a valid ULID")
    if deps.reader.run(run_id) is None:
        raise Problem(404, "Run not found")
    return whole(deps, request, scores_v2(deps.reader.annotations(run_id)))
