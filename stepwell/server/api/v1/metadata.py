"""`POST /v1/runs/{id}/metadata`: what programs say of a run, a step, an attempt or a span."""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, RunOf, enveloped
from stepwell.server.api.routing.route import Body
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.engine.annotation_row import AnnotationUpdate, metadata_update
from stepwell.server.engine.input import Done, RunAnnotated, Verdict
from stepwell.wire.identifier import step_hash
from stepwell.wire.metadata import (
    USERLAND,
    MalformedMetadata,
    MetadataUpdate,
    check_name,
)

_HASH = re.compile("[0-9a-f]{40}")
_FIX = (
    'send {"target": {"step_id": "charge"}, "metadata": [{"kind": "userland.order", "op": "merge",'
    ' "values": {"items": 3}}]}'
)


class MetadataTarget(msgspec.Struct, forbid_unknown_fields=True):
    """What it is said of: the run, unless a step is named, by its hashed id, or by its id and how
    often that was met before (`step_index`); one attempt of it; one span."""

    step_id: str = ""
    step_index: int = 0
    step_attempt: int | None = None
    span_id: str = ""


class MetadataBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is said of a run: names of one's own (`kind`) begin with `userland.`."""

    metadata: list[MetadataUpdate]
    target: MetadataTarget = msgspec.field(default_factory=MetadataTarget)


METADATA = Body(MetadataBody, _FIX)


async def update(deps: ApiDeps, request: Request) -> Response:
    """Change what is said of a run, a step, an attempt or a span, under names that begin with
    `userland.`: `merge` puts values over those that are there, `set` in their place, `delete`
    removes those it names, `add` adds numbers. All of it is done, or none."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    given = await METADATA.read(request)
    target = given.target
    step_id = hashed_step(target.step_id, target.step_index)
    place = "" if target.step_attempt is None else f"attempt:{target.step_attempt}"
    place = f"span:{target.span_id}" if target.span_id else place
    now_ms = deps.clock.now_ms()
    updates: list[AnnotationUpdate] = []
    for number, one in enumerate(given.metadata):
        if not one.kind.startswith(USERLAND):
            told = f"metadata[{number}].kind {one.kind[:80]!r} is not yours to set"
            raise Problem(400, f"{told}: begin it with {USERLAND!r}")
        checked(one.kind, f"metadata[{number}].kind")
        updates.append(metadata_update(run_id, one, now_ms, step_id, place))
    await keep(deps, run_id, updates)
    return enveloped(RunOf(run_id), now_ms)


def hashed_step(step_id: str, index: int = 0) -> str:
    """The hashed id of a step that is named by it, or by the id in the code."""
    if not step_id or _HASH.fullmatch(step_id):
        return step_id
    return step_hash(f"{step_id}:{index}" if index else step_id)


def checked(name: str, field: str) -> None:
    """Raises `Problem` for a name that cannot be kept."""
    try:
        check_name(name, field)
    except MalformedMetadata as error:
        raise Problem(400, str(error)) from None


async def keep(deps: ApiDeps, run_id: str, updates: list[AnnotationUpdate]) -> None:
    """Have it kept. Raises `Problem` where there is no such run, or it is too much."""
    answer = await deps.ledger.submit(RunAnnotated(run_id, tuple(updates)))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Run not found")
    if answer.verdict is Verdict.REFUSED:
        raise Problem(400, answer.reason)
