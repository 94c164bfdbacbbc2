"""`POST /v1/runs/{id}/metadata`: what programs say of a run, a step, an attempt or a span."""

from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, RunOf, enveloped
from stepwell.server.api.routing.route import Body
from stepwell.server.api.sdk.run_state import checked_run_id
from stepwell.server.engine.message.input import Done, RunAnnotated, Verdict
from stepwell.server.engine.row.annotation import AnnotationUpdate, updates_of
from stepwell.wire.limit import METADATA_RUN_BYTES_MAX
from stepwell.wire.metadata import (
    OF_SDKS,
    USERLAND,
    MalformedMetadata,
    MetadataTarget,
    MetadataUpdate,
    check_name,
)

_FIX = (
    'send {"target": {"step_id": "charge"}, "metadata": [{"kind": "userland.order", "op": "merge",'
    ' "values": {"items": 3}}]}'
)


class MetadataBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is said of a run: names of one's own (`kind`) begin with `userland.`."""

    metadata: list[MetadataUpdate]
    target: MetadataTarget = msgspec.field(default_factory=MetadataTarget)


METADATA = Body(MetadataBody, _FIX, 2 * METADATA_RUN_BYTES_MAX)


async def update(deps: ApiDeps, request: Request) -> Response:
    """Change what is said of a run, a step, an attempt or a span, under names that begin with
    `userland.`: `merge` puts values over those that are there, `set` in their place, `delete`
    removes those it names, `add` adds numbers. All of it is done, or none. SDKs say scores this
    way, too (`inngest.score`, and of which variant: `inngest.experiment`)."""
    run_id = checked_run_id(request, f"Invalid run ID: {request.path_params['run_id']}")
    given = await METADATA.read(request)
    if given.target.run_id not in ("", run_id):
        told = f"target.run_id {given.target.run_id[:80]!r} is not the run of the path"
        raise Problem(400, f"{told}, {run_id}: name one run")
    now_ms = deps.clock.now_ms()
    for number, one in enumerate(given.metadata):
        if not one.kind.startswith(USERLAND) and one.kind not in OF_SDKS:
            told = f"metadata[{number}].kind {one.kind[:80]!r} is not yours to set"
            raise Problem(400, f"{told}: begin it with {USERLAND!r}")
        checked(one.kind, f"metadata[{number}].kind")
    try:
        updates = updates_of(run_id, given.target, given.metadata, now_ms)
    except MalformedMetadata as error:
        raise Problem(400, str(error)) from None
    await keep(deps, run_id, updates)
    return enveloped(RunOf(run_id), now_ms)


def checked(name: str, field: str) -> None:
    """Raises `Problem` for a name that cannot be kept."""
    try:
        check_name(name, field)
    except MalformedMetadata as error:
        raise Problem(400, str(error)) from None


async def keep(deps: ApiDeps, run_id: str, updates: Iterable[AnnotationUpdate]) -> None:
    """Have it kept. Raises `Problem` where there is no such run, or it is too much."""
    answer = await deps.ledger.submit(RunAnnotated(run_id, tuple(updates)))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "Run not found")
    if answer.verdict is Verdict.REFUSED:
        raise Problem(400, answer.reason)
