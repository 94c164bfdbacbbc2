"""Who started a run: the runs that invoked or deferred it, as its events tell."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from stepwell.sdk.events.event import Event
from stepwell.sdk.step.annotation import ExperimentRef
from stepwell.sdk.step.defer import EXPERIMENT_KEY
from stepwell.wire.event import DEFERRED_SCHEDULE, FUNCTION_INVOKED
from stepwell.wire.lifecycle import split_correlation_id


class ParentRun(msgspec.Struct, frozen=True):
    """A run that invoked or deferred this one."""

    run_id: str
    fn_slug: str = ""
    """Its function: `app-function`; empty where the server does not say it (of invocations)."""
    experiment: ExperimentRef | None = None
    """The variant that `ctx.defer(..., experiment=...)` named."""


def parents_of(events: Iterable[Event]) -> list[ParentRun]:
    """The runs that started this one; none for events that somebody sent."""
    found = (_parent(event) for event in events)
    return [parent for parent in found if parent is not None]


def without_experiment(event: Event) -> Event:
    """The event of a deferral without what is told by `parents_of`."""
    data = cast("Mapping[str, Any]", event.data)
    if event.name != DEFERRED_SCHEDULE or EXPERIMENT_KEY not in data:
        return event
    left = {key: value for key, value in data.items() if key != EXPERIMENT_KEY}
    return event.model_copy(update={"data": left})


def _parent(event: Event) -> ParentRun | None:
    if event.name not in (DEFERRED_SCHEDULE, FUNCTION_INVOKED):
        return None
    data = cast("Mapping[str, Any]", event.data)
    internal = data.get("_inngest")
    if not isinstance(internal, Mapping):
        return None
    told = cast("Mapping[str, object]", internal)
    if event.name == FUNCTION_INVOKED:
        run_id, _ = split_correlation_id(_text(told, "correlation_id"))
        return ParentRun(run_id) if run_id else None
    run_id = _text(told, "parent_run_id")
    if not run_id:
        return None
    return ParentRun(run_id, _text(told, "parent_fn_slug"), _experiment(data.get(EXPERIMENT_KEY)))


def _text(told: Mapping[str, object], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _experiment(told: object) -> ExperimentRef | None:
    try:
        return msgspec.convert(told, ExperimentRef)
    except msgspec.ValidationError:
        return None
