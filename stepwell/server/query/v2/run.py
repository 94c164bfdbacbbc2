"""A run in the shape of the REST API's second version. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.store.port import Reader
from stepwell.wire.duration import format_instant
from stepwell.wire.identifier import app_uuid, function_uuid

InstantV2 = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class StatusV2(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class NamedV2(msgspec.Struct, frozen=True):
    """An app or a function: its id (a UUID) and what people know it by."""

    id: str
    name: str


class TriggerV2(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What started a run: events by their ids, the name of the first as long as it is kept, the
    schedule if there was one, and the batch, if its events were gathered in one."""

    event_ids: tuple[str, ...]
    event_name: str = ""
    cron: str = ""
    batch_id: str = ""


class DeferredFromV2(msgspec.Struct, frozen=True, rename="camel"):
    """The run that left another one to be started at its end, and its function."""

    run_id: str
    function: NamedV2


class RunV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A run. What it has not come to is left out. `retries` counts how often its function or a step
    of it was tried again, in lists where `includeRetries` asks for it; `deferredFrom` is told of a
    single run."""

    id: str
    status: StatusV2
    app: NamedV2
    function: NamedV2
    trigger: TriggerV2
    queued_at: InstantV2
    started_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    ended_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    original_run_id: str = ""
    is_deferred: bool = False
    retries: int | msgspec.UnsetType = msgspec.UNSET
    deferred_from: DeferredFromV2 | msgspec.UnsetType = msgspec.UNSET
    code_version: str = ""
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def status_v2(status: RunStatus) -> StatusV2:
    """The word v2 uses for a status."""
    return StatusV2.QUEUED if status is RunStatus.SCHEDULED else StatusV2[status.name]


def app_ref(name: str) -> NamedV2:
    """An app by its id and name."""
    return NamedV2(app_uuid(name), name)


def function_ref(slug: str) -> NamedV2:
    """A function by its id and name."""
    return NamedV2(function_uuid(slug), slug)


def runs_v2(reader: Reader, runs: Iterable[Run], *, with_output: bool = False) -> list[RunV2]:
    """Runs as v2 tells them."""
    found = list(runs)
    names = reader.event_names([run.event_ids[0] for run in found if run.event_ids])
    return [_run(run, names, with_output=with_output) for run in found]


def with_retries(reader: Reader, runs: Sequence[RunV2]) -> list[RunV2]:
    """Runs with how often attempts of them were tried again."""
    failed = reader.retries([run.id for run in runs])
    return [msgspec.structs.replace(run, retries=failed.get(run.id, 0)) for run in runs]


def _run(run: Run, names: Mapping[str, str], *, with_output: bool) -> RunV2:
    event_name = names.get(run.event_ids[0], "") if run.event_ids else ""
    output = run.output if with_output else None
    return RunV2(
        id=run.id,
        status=status_v2(run.status),
        app=app_ref(run.app),
        function=function_ref(run.function),
        trigger=TriggerV2(run.event_ids, event_name, run.cron, run.batch),
        queued_at=format_instant(run.queued_ms),
        started_at=format_instant(run.started_ms) if run.started_ms else msgspec.UNSET,
        ended_at=format_instant(run.ended_ms) if run.ended else msgspec.UNSET,
        original_run_id=run.original,
        is_deferred=run.deferred,
        code_version=run.code,
        output=msgspec.UNSET if output is None else msgspec.Raw(output),
    )
