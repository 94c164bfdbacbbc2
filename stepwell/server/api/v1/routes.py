"""Every route of the REST API's first version that people and programs ask, each declared once."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api import metrics
from stepwell.server.api.declared import Answers, Declared
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.document import V1, Document, document
from stepwell.server.api.routing.problem import RunOf, as_json
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v1 import (
    apps,
    cancellations,
    doctor,
    event_schemas,
    events,
    metadata,
    pausing,
    replay,
    rerun,
    runs,
    signals,
)
from stepwell.server.query.listeners import Listening
from stepwell.server.query.not_started import NotStarted
from stepwell.server.query.paused import Paused
from stepwell.server.query.replayed import Replayed
from stepwell.server.query.run_object import AppObject, EventObject, FunctionObject, RunObject
from stepwell.server.query.timeline import Span


def described() -> Document:
    """The document of these routes."""
    return document(ROUTES_V1, V1)


async def openapi(deps: ApiDeps, request: Request) -> Response:
    """This document."""
    return as_json(described())


def _get(path: str, asked: Any, name: str, answers: Answers, **more: Any) -> Declared:
    return Declared("GET", f"/v1{path}", asked, name=name, answers=answers, **more)


def _post(path: str, asked: Any, name: str, answers: Answers, **more: Any) -> Declared:
    return Declared("POST", f"/v1{path}", asked, name=name, answers=answers, **more)


def _delete(path: str, asked: Any, name: str, answers: Answers, **more: Any) -> Declared:
    return Declared("DELETE", f"/v1{path}", asked, name=name, answers=answers, **more)


_RUNS = Answers(RunObject, many=True)
_OF_EVENT = Answers(RunObject, many=True, beside=(("not_started", tuple[NotStarted, ...]),))
_JOBS = Answers(runs.JobObject, many=True)
_ANYTHING = Answers(dict[str, Any], bare=True)
_CANCELLATION = cancellations.CancellationObject
_SCHEMAS = Answers(event_schemas.EventSchemaObject, many=True)
_MISSING: dict[str, Any] = {"refused": (404,)}

ROUTES_V1: tuple[Declared, ...] = (
    _get("/openapi.json", openapi, "get_openapi", _ANYTHING),
    _get(
        "/events",
        events.many,
        "list_events",
        Answers(EventObject, many=True),
        takes=events.LISTED,
    ),
    _get(
        "/events/schemas",
        event_schemas.listed,
        "list_event_schemas",
        _SCHEMAS,
        takes=event_schemas.DESCRIBED,
    ),
    _get(
        "/events/listeners",
        event_schemas.listeners,
        "get_event_listeners",
        Answers(Listening),
        takes=event_schemas.HEARD,
    ),
    _get("/events/{event_id}", events.one, "get_event", Answers(EventObject), **_MISSING),
    _get("/events/{event_id}/runs", runs.of_event, "get_event_runs", _OF_EVENT),
    _get("/runs", runs.many, "list_runs", _RUNS, takes=runs.LISTED),
    _get("/runs/{run_id}", runs.one, "get_run", Answers(RunObject), takes=runs.WAITED, **_MISSING),
    _delete("/runs/{run_id}", runs.cancel, "cancel_run", Answers(), **_MISSING),
    _get("/runs/{run_id}/jobs", runs.jobs, "list_jobs", _JOBS, **_MISSING),
    _get("/runs/{run_id}/timeline", runs.told_in_order, "get_timeline", Answers(Span), **_MISSING),
    _get("/runs/{run_id}/export", runs.exported, "export_run", _ANYTHING, **_MISSING),
    _post(
        "/runs/{run_id}/rerun",
        rerun.rerun_v1,
        "rerun",
        Answers(RunOf),
        takes=Takes(body=rerun.RERUN),
        refused=(404, 409),
    ),
    _post(
        "/runs/{run_id}/metadata",
        metadata.update,
        "update_metadata",
        Answers(RunOf),
        takes=Takes(body=metadata.METADATA),
        is_audited=False,
        **_MISSING,
    ),
    _post(
        "/functions/{function_id}/pause",
        pausing.pause,
        "pause_function",
        Answers(Paused),
        takes=Takes(body=pausing.PAUSE),
        **_MISSING,
    ),
    _post(
        "/functions/{function_id}/resume",
        pausing.resume,
        "resume_function",
        Answers(Paused),
        **_MISSING,
    ),
    _post(
        "/functions/{function_id}/replay",
        replay.replay,
        "replay_function",
        Answers(Replayed),
        takes=Takes(body=replay.REPLAY),
        refused=(404, 409),
    ),
    _get("/doctor", doctor.doctor, "get_diagnosis", Answers(doctor.DiagnosisObject)),
    _get("/prom/{environment}", metrics.metrics, "get_metrics", Answers(str, text=True)),
    _post(
        "/cancellations",
        cancellations.create,
        "create_cancellation",
        Answers(_CANCELLATION, bare=True, status=201),
        takes=Takes(body=cancellations.CANCELLATION),
        **_MISSING,
    ),
    _get(
        "/cancellations",
        cancellations.many,
        "list_cancellations",
        Answers(_CANCELLATION, many=True),
        takes=cancellations.LISTED,
    ),
    _get(
        "/cancellations/{cancellation_id}",
        cancellations.one,
        "get_cancellation",
        Answers(_CANCELLATION),
        **_MISSING,
    ),
    _delete(
        "/cancellations/{cancellation_id}",
        cancellations.drop,
        "delete_cancellation",
        Answers(status=204),
        **_MISSING,
    ),
    _post(
        "/signals",
        signals.send_signal,
        "send_signal",
        Answers(RunOf),
        takes=Takes(body=signals.SIGNAL),
        **_MISSING,
    ),
    _get("/apps", apps.apps, "list_apps", Answers(AppObject, many=True)),
    _get(
        "/apps/{app_name}/functions",
        apps.functions_of_app,
        "list_functions",
        Answers(list[FunctionObject], bare=True),
    ),
)
