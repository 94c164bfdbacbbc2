"""What is said of a run from outside is kept with it, within bounds: metadata, scores, spans.

A request is carried out whole or not at all. What a step's operation brings is no reason to lose
the step's result: what cannot be kept of it is left out.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import Done, RunAnnotated, Verdict
from stepwell.server.engine.row.annotation import (
    Annotation,
    AnnotationKind,
    AnnotationSlot,
    AnnotationUpdate,
    metadata_updates,
)
from stepwell.server.engine.row.run import Item, Run
from stepwell.wire.limit import (
    METADATA_RUN_BYTES_MAX,
    METADATA_SPAN_BYTES_MAX,
    USER_SPANS_BYTES_MAX,
)
from stepwell.wire.metadata import (
    EXPERIMENT,
    MalformedMetadata,
    MetadataOp,
    decode_updates,
    updated,
)
from stepwell.wire.operation import Operation
from stepwell.wire.score import ScoreValue, experiment_in


def annotate(draft: Draft, given: RunAnnotated) -> Done:
    """Keep what is said of a run, be it over or not."""
    if draft.run(given.run_id) is None:
        return Done(Verdict.GONE, given.run_id, "no such run")
    try:
        rows = _after(draft.view.annotations(given.run_id), given.updates)
    except MalformedMetadata as error:
        return Done(Verdict.REFUSED, given.run_id, str(error))
    for row in rows:
        draft.add(fact.AnnotationPut(row))
    return Done(Verdict.APPLIED, given.run_id)


def take_metadata(draft: Draft, run: Run, item: Item, operations: Iterable[Operation]) -> None:
    """Keep the metadata that operations bring, of steps that are not over yet."""
    told = [one for one in operations if one.metadata and not draft.is_saved(run.id, one.id)]
    updates = [update for one in told for update in _of_operation(draft, run, item, one)]
    if not updates:
        return
    with suppress(MalformedMetadata):
        for row in _after(draft.view.annotations(run.id), updates, whole=False):
            draft.add(fact.AnnotationPut(row))


def _of_operation(
    draft: Draft, run: Run, item: Item, operation: Operation
) -> Iterable[AnnotationUpdate]:
    try:
        found = decode_updates(bytes(operation.metadata or b"[]"))
    except MalformedMetadata:
        return
    for update in found:
        step_id = "" if update.scope == "run" else operation.id
        place = f"attempt:{item.attempt}" if update.scope == "step_attempt" else ""
        with suppress(MalformedMetadata):
            yield from metadata_updates(run.id, update, draft.now.ms, step_id, place)


def _after(
    known: Iterable[Annotation], updates: Iterable[AnnotationUpdate], *, whole: bool = True
) -> list[Annotation]:
    """The rows that updates leave: of all of them, unless `whole` is false, of those that can be
    carried out. Raises MalformedMetadata where they cannot be kept."""
    rows: dict[AnnotationSlot, Annotation] = {row.slot: row for row in known}
    changed: dict[AnnotationSlot, Annotation] = {}
    for update in updates:
        row = _about_variant(update.row, rows)
        was = rows.get(row.slot)
        try:
            body = _updated(was, update.op, row)
        except MalformedMetadata:
            if whole:
                raise
            continue
        rows[row.slot] = changed[row.slot] = msgspec.structs.replace(row, body=body)
    _check_size(rows.values())
    return [*changed.values()]


def _updated(was: Annotation | None, op: MetadataOp, row: Annotation) -> bytes:
    body = updated(b"" if was is None else was.body, op, row.body)
    if len(body) > METADATA_SPAN_BYTES_MAX:
        raise MalformedMetadata(
            f"{row.name}: {len(body)} bytes, at most {METADATA_SPAN_BYTES_MAX} are allowed:"
            " say less, or store it elsewhere and say where"
        )
    return body


def _about_variant(row: Annotation, rows: Mapping[AnnotationSlot, Annotation]) -> Annotation:
    """A score with the variant it is about, if that was said of the same before."""
    if row.kind is not AnnotationKind.SCORE:
        return row
    said = rows.get((int(AnnotationKind.METADATA), row.step_id, row.place, EXPERIMENT))
    chosen = None if said is None else experiment_in(said.body)
    score = msgspec.json.decode(row.body, type=ScoreValue)
    if chosen is None or score.experiment is not msgspec.UNSET:
        return row
    body = msgspec.json.encode(ScoreValue(score.value, chosen))
    return msgspec.structs.replace(row, body=body)


def _check_size(rows: Iterable[Annotation]) -> None:
    sizes = {True: 0, False: 0}
    for row in rows:
        # Lines of the log and arguments of steps have bounds of their own.
        if row.kind not in (AnnotationKind.LOG, AnnotationKind.INPUT):
            sizes[row.kind is AnnotationKind.SPAN] += len(row.body)
    for spans, most in ((True, USER_SPANS_BYTES_MAX), (False, METADATA_RUN_BYTES_MAX)):
        if sizes[spans] > most:
            what = "spans" if spans else "metadata and scores"
            raise MalformedMetadata(
                f"the {what} of the run would have {sizes[spans]} bytes, at most {most} are"
                " allowed: say less"
            )
