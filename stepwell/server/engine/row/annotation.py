"""What is said of a run from outside, as rows: metadata, scores, and spans of user code."""

from collections.abc import Iterable
from enum import IntEnum
from typing import TypeAlias

import msgspec

from stepwell.wire.metadata import SCORE, MetadataOp, MetadataTarget, MetadataUpdate
from stepwell.wire.score import scores_in

AnnotationSlot: TypeAlias = tuple[int, str, str, str]


class AnnotationKind(IntEnum):
    """What an annotation is."""

    METADATA = 1
    SCORE = 2
    SPAN = 3
    INPUT = 4
    """The arguments of a step that is tried again, a JSON array, under the step's display name: its
    result will bring them."""
    LOG = 5
    """Lines that the function wrote, several in a row, under the row's number."""


class Annotation(msgspec.Struct, frozen=True, gc=False):
    """Something said of a run, or of a step of it if there is a `step_id` (hashed). Said again of
    the same and under the same `name`, it takes the place of what was said before.

    `place` tells more exactly of what: `attempt:2`, or `span:` and an id. `body` is a JSON object.
    """

    run_id: str
    kind: AnnotationKind
    step_id: str
    place: str
    name: str
    at_ms: int
    body: bytes

    @property
    def slot(self) -> AnnotationSlot:
        """Where it stands among all that is said of its run."""
        return int(self.kind), self.step_id, self.place, self.name


class AnnotationUpdate(msgspec.Struct, frozen=True):
    """An annotation that is to be there; unless `op` is `set`, made of the one that was."""

    row: Annotation
    op: MetadataOp = "set"


def metadata_updates(
    run_id: str, update: MetadataUpdate, now_ms: int, step_id: str, place: str
) -> list[AnnotationUpdate]:
    """An update of metadata as those of rows; scores are rows of their own.

    Raises MalformedMetadata for scores that are none.
    """
    if update.kind != SCORE:
        values = msgspec.json.encode(update.values)
        kind = AnnotationKind.METADATA
        row = Annotation(run_id, kind, step_id, place, update.kind, now_ms, values)
        return [AnnotationUpdate(row, update.op)]
    score = AnnotationKind.SCORE
    return [
        AnnotationUpdate(
            Annotation(run_id, score, step_id, place, name, now_ms, msgspec.json.encode(value))
        )
        for name, value in scores_in(update)
    ]


def updates_of(
    run_id: str, target: MetadataTarget, metadata: Iterable[MetadataUpdate], now_ms: int
) -> tuple[AnnotationUpdate, ...]:
    """What a request says of a run or a part of it. Raises MalformedMetadata."""
    step_id, place = target.hashed, target.place
    return tuple(
        update
        for one in metadata
        for update in metadata_updates(run_id, one, now_ms, step_id, place)
    )
