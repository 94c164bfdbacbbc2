"""What is said of a run, as the API and the trace show it. Pure."""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.query.v2.run import InstantV2
from stepwell.wire.duration import format_instant
from stepwell.wire.metadata import SCORE
from stepwell.wire.score import ExperimentRef, ScoreValue


class ScoreV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How good a run or a step (by its hashed id) was: a number, or yes or no."""

    name: str
    value: int | float | bool
    step_id: str = ""
    experiment: ExperimentRef | msgspec.UnsetType = msgspec.UNSET
    updated_at: InstantV2


class UserSpan(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a span of user code. Times are milliseconds since 1970."""

    id: str
    parent: str
    name: str
    kind: str
    begun_ms: int
    ended_ms: int
    failed: bool
    message: str
    service: str
    scope: str
    scope_version: str
    attributes: msgspec.Raw
    resource: msgspec.Raw


class UserlandV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a span of user code says of itself beside its name and times."""

    span_kind: str
    service_name: str
    scope_name: str
    scope_version: str
    span_attrs: msgspec.Raw
    resource_attrs: msgspec.Raw


class MetadataV2(msgspec.Struct, frozen=True, rename="camel"):
    """What is said of a run, a step or an attempt (`scope`) under one name (`kind`)."""

    scope: str
    kind: str
    values: msgspec.Raw
    updated_at: InstantV2


_USER_SPAN = msgspec.json.Decoder(UserSpan)
_SCORE = msgspec.json.Decoder(ScoreValue)


def scores_v2(rows: Iterable[Annotation]) -> tuple[ScoreV2, ...]:
    """The scores among what is said of a run."""
    return tuple(_score(row) for row in rows if row.kind is AnnotationKind.SCORE)


def _score(row: Annotation) -> ScoreV2:
    stored = _SCORE.decode(row.body)
    return ScoreV2(
        name=row.name,
        value=stored.value,
        step_id=row.step_id,
        experiment=stored.experiment,
        updated_at=format_instant(row.at_ms),
    )


def metadata_of(rows: Iterable[Annotation], step_id: str) -> tuple[MetadataV2, ...]:
    """What is said of a step, or of the run itself if there is none; a score is told with its name
    among the values."""
    return tuple(
        _metadata(row)
        for row in rows
        if row.step_id == step_id and row.kind in (AnnotationKind.METADATA, AnnotationKind.SCORE)
    )


def input_of(rows: Iterable[Annotation], step_id: str, name: str) -> bytes:
    """The arguments of a step that was tried and has no result yet, by its hashed id or, where that
    is not known, by its name; nothing if it told none."""
    tried = (row for row in rows if row.kind is AnnotationKind.INPUT)
    wanted = (row for row in tried if (row.step_id == step_id if step_id else row.name == name))
    return next((row.body for row in wanted), b"")


def user_spans(rows: Iterable[Annotation]) -> list[tuple[str, UserSpan]]:
    """The spans of user code among what is said of a run, each with the step it belongs to."""
    return [
        (row.step_id, _USER_SPAN.decode(row.body))
        for row in rows
        if row.kind is AnnotationKind.SPAN
    ]


def userland_v2(span: UserSpan) -> UserlandV2:
    """What a span says of itself."""
    return UserlandV2(
        span_kind=span.kind,
        service_name=span.service,
        scope_name=span.scope,
        scope_version=span.scope_version,
        span_attrs=span.attributes,
        resource_attrs=span.resource,
    )


def _metadata(row: Annotation) -> MetadataV2:
    at = format_instant(row.at_ms)
    if row.kind is AnnotationKind.SCORE:
        stored = _SCORE.decode(row.body)
        told = {"name": row.name, **msgspec.to_builtins(stored)}
        return MetadataV2(_scope(row), SCORE, msgspec.Raw(msgspec.json.encode(told)), at)
    return MetadataV2(_scope(row), row.name, msgspec.Raw(row.body), at)


def _scope(row: Annotation) -> str:
    if row.place.startswith("span:"):
        return "extended_trace"
    if row.place:
        return "step_attempt"
    return "step" if row.step_id else "run"
