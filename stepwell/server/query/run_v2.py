"""A run in the shape of the REST API's second version (server.md 6.4). Pure."""

import msgspec

from stepwell.server.engine.row import Run, RunStatus
from stepwell.wire.duration import format_instant
from stepwell.wire.identifier import app_uuid, function_uuid


def status_v2(status: RunStatus) -> str:
    """The word v2 uses for a status."""
    return "QUEUED" if status is RunStatus.SCHEDULED else status.name


def run_v2(run: Run, *, with_output: bool) -> dict[str, object]:
    """A run; what it has not come to is left out."""
    told: dict[str, object] = {
        "id": run.id,
        "status": status_v2(run.status),
        "app": {"id": app_uuid(run.app), "name": run.app},
        "function": {"id": function_uuid(run.function), "name": run.function},
        "trigger": _trigger(run),
        "queuedAt": format_instant(run.queued_ms),
    }
    if run.started_ms:
        told["startedAt"] = format_instant(run.started_ms)
    if run.ended:
        told["endedAt"] = format_instant(run.ended_ms)
    if run.original:
        told["originalRunId"] = run.original
    if run.deferred:
        told["isDeferred"] = True
    if with_output and run.output is not None:
        told["output"] = msgspec.Raw(run.output)
    return told


def _trigger(run: Run) -> dict[str, object]:
    told: dict[str, object] = {"eventIds": run.event_ids}
    if run.cron:
        told["cron"] = run.cron
    return told
