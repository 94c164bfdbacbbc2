"""What a program says of runs and steps: metadata, and scores. The only place that judges it.

Said in a step of that step or its run, it travels with the step's result, once, by whatever way the
step is reported. Else it goes to the server at once.
"""

import math
import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeGuard, cast

import msgspec

from stepwell.sdk.errors import ConfigurationError, Error
from stepwell.sdk.step.noted import check_size
from stepwell.sdk.step.suspension import HOME, INSIDE_STEP
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.wire.metadata import (
    EXPERIMENT,
    NAME_BYTES_MAX,
    SCORE,
    USERLAND,
    MalformedMetadata,
    MetadataTarget,
    MetadataUpdate,
    Values,
    updated,
)
from stepwell.wire.score import experiment_update, score_update

MetadataOp: TypeAlias = Literal["set", "merge", "delete", "add"]

_OPS = ("set", "merge", "delete", "add")
_SERVERS = "inngest."
_UNREADABLE = re.compile("[\x00-\x1f\x7f'\ud800-\udfff]")
_NO_TEXT = re.compile("[\ud800-\udfff]")
"""Halves of a character, which no UTF-8 has."""
_SHOWN_CHARS = 60
_VALUES = msgspec.json.Decoder(Values)


class ExperimentRef(msgspec.Struct, frozen=True, rename={"experiment_name": "experimentName"}):
    """The variant of an experiment that a run went: what scores of it name."""

    experiment_name: str
    """The id of the experiment's step."""
    variant: str


class Said(msgspec.Struct, frozen=True):
    """What is said of a run or a part of it; without `run_id`, of the one whose code says it."""

    run_id: str
    target: MetadataTarget
    updates: tuple[MetadataUpdate, ...]


def metadata(
    values: object,
    *,
    kind: object = "default",
    op: MetadataOp = "set",
    run_id: str | None = None,
    step_id: str | None = None,
    step_index: int = 0,
    attempt: int | None = None,
    span_id: str | None = None,
) -> Said:
    """Values under a name. Raises ConfigurationError for arguments of a wrong kind, Error for
    values that are no JSON, too much, or no numbers where they are to be added."""
    room = NAME_BYTES_MAX - len(USERLAND)
    if not _is_text(kind) or not 0 < len(kind.encode()) <= room:
        raise ConfigurationError(f"kind = {_shown(kind)}: give a name of 1 to {room} bytes")
    if kind.startswith((USERLAND, _SERVERS)):
        raise ConfigurationError(
            f"kind = {kind!r}: leave out what is before the dot: names of yours get {USERLAND!r}"
        )
    if op not in _OPS:
        raise ConfigurationError(f"op = {_shown(op)}: give one of {', '.join(_OPS)}")
    target = _target(run_id, step_id, step_index, attempt, span_id)
    update = MetadataUpdate(f"{USERLAND}{kind}", _values_of(values), op)
    check_size(update)
    try:
        updated(b"", op, msgspec.json.encode(update.values))
    except MalformedMetadata as error:
        raise Error(f"metadata: {error}") from None
    return Said(run_id or "", target, (update,))


def score(
    name: object,
    value: object,
    *,
    run_id: str | None = None,
    step_id: str | None = None,
    experiment: object = None,
) -> Said:
    """A score under a name. Raises ConfigurationError for arguments of a wrong kind."""
    if not isinstance(name, str) or not name.strip() or _UNREADABLE.search(name):
        raise ConfigurationError(
            f"name = {_shown(name)}: name the score, without control characters and '"
        )
    if len(name.encode()) > NAME_BYTES_MAX:
        raise ConfigurationError(
            f"name = {_shown(name)}: {len(name.encode())} bytes, at most {NAME_BYTES_MAX} are"
            " allowed: shorten it"
        )
    if not _is_finite(value):
        raise ConfigurationError(
            f'score "{name}": value = {_shown(value)}: give a finite number, True or False'
        )
    said = MetadataUpdate(SCORE, score_update(name, value))
    target = _target(run_id, step_id, 0, None, None)
    if experiment is None:
        return Said(run_id or "", target, (said,))
    if not isinstance(experiment, ExperimentRef):
        raise ConfigurationError(
            f'score "{name}": experiment = {_shown(experiment)}: give the experiment_ref of what'
            " ctx.group.experiment gave"
        )
    about = experiment_update(experiment.experiment_name, experiment.variant)
    return Said(run_id or "", target, (about, said))


def of_this_run(said: Said, run_id: str) -> Said:
    """The same, of this run where no run is named."""
    return said if said.run_id else msgspec.structs.replace(said, run_id=run_id)


def travels(said: Said) -> bool:
    """Have it travel with the step whose handler runs here; False where it cannot.

    Raises Error for more than a step can carry.
    """
    home, step = HOME.get(), INSIDE_STEP.get()
    if home is None or step is None or said.run_id not in ("", home.run_id):
        return False
    target = said.target
    about = target.step_id in ("", step.hashed) or (target.step_id, target.step_index) == (
        step.id,
        step.index,
    )
    if not about or target.span_id or target.step_attempt not in (None, home.attempt):
        return False
    scope = "run" if _is_of_run(said) else "step"
    if target.step_attempt is not None:
        scope = "step_attempt"
    return home.noted.add(step.hashed, said.updates, scope)


def to_send(said: Said) -> Said:
    """What is sent to the server, with its run and step named.

    Raises ConfigurationError where no run is named and none runs here.
    """
    home, step = HOME.get(), INSIDE_STEP.get()
    target = said.target
    if home is not None and step is not None and said.run_id in ("", home.run_id):
        is_of_step = target.step_attempt is not None or not (target.span_id or _is_of_run(said))
        if is_of_step and not target.step_id:
            target = msgspec.structs.replace(target, step_id=step.hashed)
    if target.step_attempt is not None and not target.step_id:
        raise ConfigurationError(
            f"attempt = {target.step_attempt}: say of which step: step_id=..., or say it in a step"
        )
    if not said.run_id and home is None:
        raise ConfigurationError("no run runs here: say of which it is: run_id=...")
    run_id = said.run_id or ("" if home is None else home.run_id)
    return msgspec.structs.replace(said, run_id=run_id, target=target)


def _is_of_run(said: Said) -> bool:
    """Is it of a whole run? Variants are compared by what is said of runs."""
    is_of_variant = any(one.kind == EXPERIMENT for one in said.updates)
    return not said.target.step_id and bool(said.run_id or is_of_variant)


def _target(
    run_id: object, step_id: object, step_index: object, attempt: object, span_id: object
) -> MetadataTarget:
    for field, text in (("run_id", run_id), ("step_id", step_id), ("span_id", span_id)):
        if text is not None and (not _is_text(text) or not text.strip()):
            raise ConfigurationError(f"{field} = {_shown(text)}: give an id")
    for field, number in (("step_index", step_index), ("attempt", attempt)):
        if number is not None and not (type(number) is int and number >= 0):
            raise ConfigurationError(f"{field} = {_shown(number)}: give a whole number from 0")
    return MetadataTarget(
        step_id=cast(str, step_id or ""),
        step_index=cast(int, step_index),
        step_attempt=cast("int | None", attempt),
        span_id=cast(str, span_id or ""),
    )


def _values_of(values: object) -> Values:
    if not isinstance(values, Mapping):
        raise ConfigurationError(f'values = {_shown(values)}: give a mapping: {{"items": 3}}')
    try:
        return _VALUES.decode(encode_any(cast("object", values)))
    except (CodecError, msgspec.DecodeError) as error:
        raise Error(f"metadata: values cannot be written as JSON: {error}") from None


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and not _NO_TEXT.search(value)


def _is_finite(value: object) -> TypeGuard[float]:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number that is no double
        return False


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_CHARS]
