"""Experiments: by what a run chooses among variants. Used as `ctx.group.experiment(..., select=…)`.

The only place that knows the strategies. Whatever chooses is asked once a run, in a step.
"""

import hashlib
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

import msgspec

from stepwell.sdk.errors import ConfigurationError, NonRetriableError
from stepwell.sdk.step import ask, option
from stepwell.sdk.step.annotation import ExperimentRef
from stepwell.sdk.step.asked import Ask
from stepwell.sdk.step.suspension import HOME
from stepwell.wire.metadata import EXPERIMENT, MetadataUpdate

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Strategy: TypeAlias = Literal["fixed", "weighted", "bucket", "custom"]

_POINTS = 2**32


class Experiment(msgspec.Struct, Generic[T_co], frozen=True):
    """What an experiment gave."""

    variant: str
    """The name of the variant that was chosen."""
    result: T_co
    """What that variant returned."""
    experiment_ref: ExperimentRef
    """The variant, for scores of it."""


class Selection(msgspec.Struct, frozen=True):
    """By what a variant is chosen. Made by `fixed`, `weighted`, `bucket` and `custom`."""

    strategy: Strategy
    variant: str = ""
    weights: Mapping[str, float] = {}
    value: str = ""
    choose: Callable[[], Any] | None = None


def fixed(variant: str) -> Selection:
    """Always this variant: to switch an experiment off, or to test one variant."""
    return Selection("fixed", variant=variant)


def weighted(weights: Mapping[str, float]) -> Selection:
    """Each run draws for itself, by its id: `weighted({"old": 80, "new": 20})`.

    Weights are numbers from 0; only their proportions count. A variant without one is never drawn.
    Raises ConfigurationError for other weights, and if all are 0.
    """
    return Selection("weighted", weights=_given(weights))


def bucket(value: object, *, weights: Mapping[str, float] | None = None) -> Selection:
    """All runs with the same value get the same variant: the id of a customer, say.

    The value counts as text. Without weights all variants get an equal share. Raises
    ConfigurationError for weights that are none.
    """
    text = "" if value is None else str(value)
    return Selection("bucket", value=text, weights={} if weights is None else _given(weights))


def custom(choose: Callable[[], Any]) -> Selection:
    """What a function of yours returns, or awaits: a flag of another service, say.

    It runs as a step: what it raises is tried again, and it may call no step itself. Raises
    ConfigurationError for what is no function.
    """
    if not callable(cast(object, choose)):
        raise ConfigurationError(
            f"choose = {choose!r}: give a function without arguments that returns the name of a"
            " variant"
        )
    return Selection("custom", choose=choose)


def asked(
    step_id: str,
    variants: Mapping[str, Callable[[], Any]],
    select: Selection,
    name: str | None,
    run_id: str,
) -> tuple[Ask, Callable[[], Any]]:
    """The step that chooses, and its handler. Raises ConfigurationError for wrong arguments."""
    step = ask.run(step_id, name, option.EXPERIMENT)
    if not isinstance(cast(object, variants), Mapping) or not variants:
        raise ConfigurationError(
            f'experiment "{step_id}": variants = {variants!r}: give at least one, by its name:'
            ' {"old": lambda: ctx.step.run("pay", pay)}'
        )
    wrong = [key for key, one in variants.items() if not callable(cast(object, one))]
    if wrong:
        raise ConfigurationError(
            f'experiment "{step_id}": variants["{wrong[0]}"] is no function: put `lambda:` before'
            " it"
        )
    if not isinstance(cast(object, select), Selection):
        raise ConfigurationError(
            f'experiment "{step_id}": select = {select!r}: give experiment.fixed, weighted, bucket'
            " or custom(...)"
        )
    for variant in (*select.weights, *([select.variant] if select.strategy == "fixed" else [])):
        if variant not in variants:
            raise ConfigurationError(f"{_unknown(step_id, variant, variants)} in select")
    names = sorted(variants)
    choose = select.choose
    if choose is None:
        choose = partial(_drawn, select, names, run_id)
    return step, _telling(choose, partial(_tell, step_id, select, list(variants)))


def _telling(choose: Callable[[], Any], tell: Callable[[object], None]) -> Callable[[], Any]:
    """What chooses, and tells what it chose with the step it is."""
    if inspect.iscoroutinefunction(choose):

        async def later() -> Any:
            found = await choose()
            tell(found)
            return found

        return later

    def now() -> Any:
        found = choose()
        if inspect.isawaitable(found):
            return _told(found, tell)
        tell(found)
        return found

    return now


async def _told(found: Awaitable[Any], tell: Callable[[object], None]) -> Any:
    chosen = await found
    tell(chosen)
    return chosen


def _tell(step_id: str, select: Selection, variants: list[str], variant: object) -> None:
    """Say of the step that runs here what was chosen among what: comparisons look for it."""
    home = HOME.get()
    if home is None or variant not in variants:
        return
    told: dict[str, object] = {
        "name": step_id,
        "variant": variant,
        "selection_strategy": select.strategy,
        "available_variants": variants,
    }
    if select.weights:
        told["variant_weights"] = dict(select.weights)
    values = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}
    said = MetadataUpdate(EXPERIMENT, values, "set")
    home.noted.add(ask.running_step().hashed, (said,), "step")


def gave(step_id: str, variant: str, result: T) -> Experiment[T]:
    """What an experiment gave."""
    return Experiment(variant, result, ExperimentRef(step_id, variant))


def chosen(step_id: str, variant: object, variants: Mapping[str, T]) -> tuple[str, T]:
    """The variant of a name that was chosen in this call or an earlier one.

    Raises NonRetriableError if there is none.
    """
    if isinstance(variant, str) and variant in variants:
        return variant, variants[variant]
    raise NonRetriableError(
        f"{_unknown(step_id, variant, variants)}, which this run chose. Does what chooses return"
        " names of variants, or was the variant taken away while runs were under way?"
    )


def _unknown(step_id: str, variant: object, variants: Mapping[str, object]) -> str:
    known = ", ".join(f'"{name}"' for name in variants)
    return f'experiment "{step_id}": variants has {known}, and no {variant!r}'


def _drawn(select: Selection, names: list[str], run_id: str) -> str:
    """The variant that a strategy of ours chooses."""
    if select.strategy == "fixed":
        return select.variant
    seed = f"{run_id}/{ask.running_step().hashed}"
    text = select.value if select.strategy == "bucket" else seed
    return by_weight(point_of(text), select.weights or dict.fromkeys(names, 1.0))


def point_of(text: str) -> float:
    """Where a text lies between 0 and 1, spread evenly: always at the same place."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") / _POINTS


def by_weight(point: float, weights: Mapping[str, float]) -> str:
    """Whose part of the line from 0 to 1 a point lies in, with parts in the order of names."""
    shares = [(name, weight) for name, weight in sorted(weights.items()) if weight > 0]
    total = math.fsum(weight for _, weight in shares)
    end = 0.0
    for name, weight in shares:
        end += weight / total
        if point < end:
            return name
    return shares[-1][0]


def _given(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights as numbers. Raises ConfigurationError for those that are none."""
    if not isinstance(cast(object, weights), Mapping):
        raise ConfigurationError(f'weights = {weights!r}: give a weight each: {{"old": 80}}')
    for name, weight in weights.items():
        number = cast(object, weight)
        if not isinstance(number, int | float) or not 0 <= number < math.inf:
            raise ConfigurationError(f'weights["{name}"] = {weight!r}: give a number from 0')
    if not any(weights.values()):
        raise ConfigurationError(f"weights = {dict(weights)!r}: one must be more than 0")
    return dict(weights)
