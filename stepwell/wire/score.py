"""Scores of runs and steps, among the metadata that tells them. Pure.

The only place that knows how a score is written, and which variant of an experiment it is about.
"""

from collections.abc import Iterator

import msgspec

from stepwell.wire.metadata import (
    EXPERIMENT,
    MalformedMetadata,
    MetadataUpdate,
    Values,
    check_name,
)
from stepwell.wire.outside import decode


class ExperimentRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The variant of an experiment that a score is about."""

    id: str
    variant: str


class ScoreValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of a score, beside its name."""

    value: int | float | bool
    experiment: ExperimentRef | msgspec.UnsetType = msgspec.UNSET


class _Chosen(msgspec.Struct, frozen=True):
    """What an SDK says of an experiment: among others, which variant it is about."""

    name: str
    variant: str


_VALUE = msgspec.json.Decoder(ScoreValue)
_CHOSEN = msgspec.json.Decoder(_Chosen)


def scores_in(update: MetadataUpdate) -> Iterator[tuple[str, ScoreValue]]:
    """The scores that an update brings, each under its name. Raises MalformedMetadata."""
    if update.op not in ("merge", "set"):
        raise MalformedMetadata(f"op {update.op!r} is none for scores: use merge")
    for name, raw in update.values.items():
        check_name(name, "the name of a score")
        try:
            yield name, decode(raw, _VALUE)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            fix = '{"helpful": {"value": 0.8}}'
            raise MalformedMetadata(f"score {name[:80]!r}: {error}; send {fix}") from None


def score_update(name: str, value: float) -> Values:
    """The values of an update that brings one score."""
    return {name: msgspec.Raw(msgspec.json.encode(ScoreValue(value)))}


def experiment_update(name: str, variant: str) -> MetadataUpdate:
    """What says that the scores beside it are about a variant."""
    told = {"name": name, "variant": variant}
    values = {key: msgspec.Raw(msgspec.json.encode(text)) for key, text in told.items()}
    return MetadataUpdate(EXPERIMENT, values)


def experiment_in(body: bytes) -> ExperimentRef | None:
    """The variant that the metadata of an experiment tells; None if it tells none."""
    try:
        chosen = decode(body, _CHOSEN)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return ExperimentRef(chosen.name, chosen.variant)
