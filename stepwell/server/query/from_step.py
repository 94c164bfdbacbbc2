"""Which steps a run keeps that begins again in the middle of an old one. Pure."""

from collections.abc import Sequence

import msgspec

from stepwell.server.engine.name.lease_id import step_name
from stepwell.server.engine.row.run import STEP_WAITS, Item, ItemKind, Note, Step, Wait

TAKES_INPUT = frozenset({"StepRun", "Step", "StepError", "StepFailed", ""})
"""Steps whose code is handed arguments; `""` stands for one that never came to its end."""


class FromStep(msgspec.Struct, frozen=True):
    """Where the new run begins: the step, the kind of it, and the steps it need not do again."""

    step_id: str
    op: str
    kept: tuple[Step, ...]


class NoSuchStep(Exception):
    """The old run has no such step, or several of that name."""


def from_step(
    asked: str,
    steps: Sequence[Step],
    notes: Sequence[Note] = (),
    items: Sequence[Item] = (),
    waits: Sequence[Wait] = (),
) -> FromStep:
    """Begin at the step `asked`, a hashed id or the name people see.

    The steps that ended before it are kept, in their order; a step that never ended begins after
    all of them. Raises `NoSuchStep`.
    """
    ops = {step.id: step.op for step in steps}
    named = [(step.id, step.name) for step in steps]
    named += [(note.step_id, note.name) for note in notes if note.step_id]
    named += [(item.key, _name_of(item)) for item in items if item.key]
    named += [(wait.step_id, wait.label) for wait in waits if wait.kind in STEP_WAITS]
    ids = dict.fromkeys(id_ for id_, _ in named if id_ == asked)
    ids = ids or dict.fromkeys(id_ for id_, name in named if name == asked)
    if not ids:
        raise NoSuchStep("Step not found in original run")
    if len(ids) > 1:
        several = ", ".join(sorted(ids))
        raise NoSuchStep(f"Step name matches multiple steps in original run: {several}")
    (step_id,) = ids
    places = {step.id: step.place for step in steps}
    first = places.get(step_id)
    kept = tuple(
        step
        for step in sorted(steps, key=lambda step: step.place)
        if first is None or step.place < first
    )
    return FromStep(step_id, ops.get(step_id, ""), kept)


def _name_of(item: Item) -> str:
    if item.kind is ItemKind.SLEEP:
        return item.detail.decode(errors="replace")
    return step_name(item) if item.kind is ItemKind.CALL else ""
