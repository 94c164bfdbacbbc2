"""Every route of the REST API's second version, each declared once."""

from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.access.role import SIGNING
from stepwell.server.api.declared import Answers, Declared
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.document import Document, document, operation_summary, role_of
from stepwell.server.api.mcp.tools import tools_of
from stepwell.server.api.routing.problem import as_json
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v1 import rerun
from stepwell.server.api.v1.event_schemas import EventSchemaObject
from stepwell.server.api.v1.pausing import PAUSE
from stepwell.server.api.v2 import (
    answer,
    apps,
    bulk,
    counts,
    crons,
    ended,
    events,
    events_known,
    invoke,
    keys,
    limits,
    load,
    runs,
    scores,
    state,
    stream,
)
from stepwell.server.api.v2.answer import IN_PAGES, whole
from stepwell.server.engine.row.key import Role
from stepwell.server.query.annotation import ScoreV2
from stepwell.server.query.not_started import NotStartedV2
from stepwell.server.query.paused import Paused
from stepwell.server.query.v2.access import AuditV2, KeyMadeV2, KeyV2
from stepwell.server.query.v2.bulk import BulkCountV2, BulkV2
from stepwell.server.query.v2.catalog import AppV2, FunctionV2, FunctionVersionV2
from stepwell.server.query.v2.count import RunCountsV2
from stepwell.server.query.v2.cron import CronV2
from stepwell.server.query.v2.defer import DeferV2
from stepwell.server.query.v2.ended import DurationV2, FailureV2
from stepwell.server.query.v2.event import EventV2
from stepwell.server.query.v2.explain import ExplanationV2
from stepwell.server.query.v2.load import LoadV2, ServerV2, StorageV2
from stepwell.server.query.v2.log import LogLineV2
from stepwell.server.query.v2.run import RunV2
from stepwell.server.query.v2.run_trace import TraceV2
from stepwell.server.query.v2.tree import TreeV2
from stepwell.server.query.v2.usage import UsageV2
from stepwell.server.query.v2.waiting import DiagnosisV2
from stepwell.server.query.v2.worker import WorkerV2
from stepwell.wire.limit_state import LimitState


def described() -> Document:
    """The document of these routes."""
    return document(ROUTES_V2)


async def openapi(deps: ApiDeps, request: Request) -> Response:
    """This document."""
    return as_json(described())


class OperationV2(msgspec.Struct, frozen=True):
    """Something that can be asked of the server, and the least role of a key that may. `commands`
    of the command line ask for it, such as `bulk cancel`, and so do `tools` for agents."""

    id: str
    summary: str
    description: str
    method: str
    path: str
    role: str
    commands: tuple[str, ...]
    tools: tuple[str, ...]


async def operations(deps: ApiDeps, request: Request) -> Response:
    """Everything that can be asked, in short: by HTTP, on the command line, and by agents."""
    tools = tools_of(described())
    told = [_operation(one, (one.name,) if one.name in tools else ()) for one in ROUTES_V2]
    return whole(deps, request, told)


def _operation(one: Declared, tools: tuple[str, ...]) -> OperationV2:
    path, role = f"/api/v2{one.path}", role_of(one)
    asked = one.commands, (*tools, *one.tools)
    return OperationV2(one.name, *operation_summary(one), one.method, path, role, *asked)


_APP = "/apps/{app_id}"
_FUNCTION = "/apps/{app_id}/functions/{function_id}"
_CATCH_UP = ("catchUp", Literal["skip", "one", "all"])
_NOT_STARTED = ("notStarted", tuple[NotStartedV2, ...])

ROUTES_V2: tuple[Declared, ...] = (
    Declared(
        "GET",
        "/health",
        answer.health,
        name="get_health",
        tools=("health",),
        answers=Answers(answer.Health),
    ),
    Declared(
        "GET",
        "/openapi.json",
        openapi,
        name="get_openapi",
        answers=Answers(dict[str, Any], bare=True),
    ),
    Declared(
        "GET",
        "/runs",
        runs.many,
        runs.LISTED,
        name="list_runs",
        commands=("runs",),
        answers=Answers(RunV2, many=True),
    ),
    Declared(
        "GET",
        "/runs/{run_id}",
        runs.one,
        runs.WAITED,
        name="get_run",
        commands=("invoke", "rerun"),
        tools=("get_run_status", "poll_run_status"),
        answers=Answers(RunV2),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/events/{event_id}/runs",
        runs.of_event,
        runs.OF_EVENT,
        name="get_event_runs",
        commands=("event", "why"),
        answers=Answers(RunV2, many=True, beside=(_NOT_STARTED,)),
        refused=(404,),
    ),
    Declared(
        "GET",
        f"{_FUNCTION}/runs",
        runs.of_function,
        runs.OF_FUNCTION,
        name="list_function_runs",
        answers=Answers(RunV2, many=True),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/runs/{run_id}/trace",
        runs.trace,
        runs.TRACED,
        name="get_run_trace",
        commands=("run", "trace"),
        answers=Answers(TraceV2),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/runs/{run_id}/logs",
        runs.logs,
        runs.LOGGED,
        name="list_run_logs",
        commands=("run",),
        answers=Answers(LogLineV2, many=True),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/runs/{run_id}/tree",
        runs.tree,
        name="get_run_tree",
        answers=Answers(TreeV2),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/apps",
        apps.many,
        apps.LISTED,
        name="get_apps",
        commands=("apps",),
        answers=Answers(AppV2, many=True),
    ),
    Declared("GET", _APP, apps.one, name="get_app", answers=Answers(AppV2), refused=(404,)),
    Declared(
        "POST",
        "/apps",
        apps.sync,
        Takes(body=apps.SYNC),
        name="sync_app",
        answers=Answers(AppV2),
        refused=(404, 409, 422),
        role=Role.ADMIN,
    ),
    Declared(
        "DELETE",
        _APP,
        apps.remove,
        name="delete_app",
        answers=Answers(apps.AppNamed),
        refused=(404,),
        role=Role.ADMIN,
    ),
    Declared(
        "GET",
        f"{_APP}/functions",
        apps.functions,
        apps.LISTED,
        name="list_functions",
        commands=("functions",),
        answers=Answers(FunctionV2, many=True),
        refused=(404,),
    ),
    Declared(
        "GET",
        _FUNCTION,
        apps.function,
        name="get_function",
        answers=Answers(FunctionV2),
        refused=(404,),
    ),
    Declared(
        "GET",
        f"{_FUNCTION}/versions",
        apps.versions,
        IN_PAGES,
        name="list_function_versions",
        answers=Answers(FunctionVersionV2, many=True),
        refused=(404,),
    ),
    Declared(
        "POST",
        f"{_FUNCTION}/invoke",
        invoke.invoke,
        Takes(body=invoke.INVOKE),
        name="invoke_function",
        commands=("invoke",),
        tools=("invoke_function_sync",),
        answers=Answers(answer.RunStarted),
        refused=(404, 409, 422),
        is_audited=False,
    ),
    Declared(
        "GET",
        "/stream",
        stream.stream,
        stream.STREAMED,
        name="stream_changes",
        commands=("tail",),
        answers=Answers(stream.ChangesV2, stream=True),
    ),
    Declared(
        "GET",
        "/events",
        events.many,
        events.LISTED,
        name="list_events",
        commands=("events list",),
        answers=Answers(EventV2, many=True),
    ),
    Declared(
        "GET",
        "/events/{event_id}",
        events.one,
        name="get_event",
        commands=("event",),
        answers=Answers(EventV2),
        refused=(404,),
    ),
    Declared(
        "POST",
        "/events",
        events.send,
        Takes(body=events.EVENT),
        name="send_event",
        answers=Answers(events.EventTaken),
        is_audited=False,
    ),
    Declared(
        "GET",
        "/event-schemas",
        events_known.schemas,
        events_known.DESCRIBED,
        name="list_event_schemas",
        commands=("events pull", "events diff"),
        answers=Answers(EventSchemaObject, many=True),
    ),
    Declared(
        "GET",
        "/event-listeners",
        events_known.listeners,
        events_known.HEARD,
        name="get_event_listeners",
        commands=("send",),
        answers=Answers(events_known.ListeningV2),
    ),
    Declared(
        "GET",
        "/runs/{run_id}/export",
        runs.export,
        name="export_run",
        commands=("run",),
        answers=Answers(dict[str, Any], bare=True),
        refused=(404,),
    ),
    Declared(
        "POST",
        "/runs/{run_id}/rerun",
        rerun.rerun_v2,
        Takes(body=rerun.RERUN),
        name="rerun",
        commands=("rerun",),
        answers=Answers(answer.RunStarted),
        refused=(404, 409),
    ),
    Declared(
        "POST",
        "/runs/{run_id}/cancel",
        runs.cancel,
        name="cancel_run",
        commands=("cancel",),
        answers=Answers(runs.RunNamed),
        refused=(404, 409),
    ),
    Declared(
        "POST",
        "/runs/{run_id}/resume",
        runs.resume,
        name="resume_run",
        commands=("resume",),
        answers=Answers(runs.RunResumedV2),
        refused=(404, 409),
    ),
    Declared(
        "POST",
        "/runs/{run_id}/scores",
        scores.create,
        Takes(body=scores.SCORES),
        name="create_scores",
        answers=Answers(ScoreV2, many=True),
        refused=(404,),
        is_audited=False,
    ),
    Declared(
        "GET",
        "/runs/{run_id}/scores",
        scores.many,
        IN_PAGES,
        name="list_scores",
        answers=Answers(ScoreV2, many=True),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/runs/{run_id}/defers",
        runs.defers,
        IN_PAGES,
        name="list_defers",
        answers=Answers(DeferV2, many=True),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/runs/{run_id}/explain",
        state.explain,
        name="explain_run",
        commands=("why",),
        answers=Answers(ExplanationV2),
        refused=(404,),
    ),
    Declared(
        "POST",
        f"{_FUNCTION}/pause",
        state.pause,
        Takes(body=PAUSE),
        name="pause_function",
        commands=("pause",),
        answers=Answers(Paused),
        refused=(404,),
    ),
    Declared(
        "POST",
        f"{_FUNCTION}/resume",
        state.resume,
        name="resume_function",
        commands=("resume",),
        answers=Answers(Paused),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/workers",
        state.workers,
        Takes(answer.PAGED),
        name="list_workers",
        commands=("workers",),
        answers=Answers(WorkerV2, many=True),
    ),
    Declared(
        "GET",
        "/counts",
        counts.counts,
        counts.COUNTED,
        name="list_counts",
        answers=Answers(RunCountsV2, many=True),
    ),
    Declared(
        "GET",
        "/failures",
        ended.failures,
        ended.FAILED,
        name="list_failures",
        answers=Answers(FailureV2, many=True),
    ),
    Declared(
        "GET",
        "/durations",
        ended.durations,
        ended.TOOK,
        name="list_durations",
        answers=Answers(DurationV2, many=True),
    ),
    Declared(
        "GET",
        "/load",
        load.load,
        IN_PAGES,
        name="list_load",
        answers=Answers(LoadV2, many=True),
    ),
    Declared(
        "GET",
        f"{_FUNCTION}/usage",
        load.usage,
        name="get_function_usage",
        answers=Answers(UsageV2),
        refused=(404,),
    ),
    Declared("GET", "/server", load.server, name="get_server", answers=Answers(ServerV2)),
    Declared("GET", "/storage", load.storage, name="get_storage", answers=Answers(StorageV2)),
    Declared(
        "GET",
        "/doctor",
        state.diagnose,
        name="get_diagnosis",
        commands=("doctor",),
        answers=Answers(DiagnosisV2),
    ),
    Declared(
        "GET", "/account", state.account, name="get_account", answers=Answers(state.AccountV2)
    ),
    Declared(
        "GET",
        "/envs",
        state.environments,
        IN_PAGES,
        name="list_environments",
        answers=Answers(state.EnvironmentV2, many=True),
    ),
    Declared(
        "POST",
        "/bulk/count",
        bulk.count,
        Takes(body=bulk.COUNT),
        name="count_bulk",
        commands=("bulk cancel", "bulk rerun"),
        answers=Answers(BulkCountV2),
        role=Role.READ,
        is_audited=False,
    ),
    Declared(
        "POST",
        "/bulk",
        bulk.create,
        Takes(body=bulk.BULK),
        name="create_bulk",
        commands=("bulk cancel", "bulk rerun", "replay"),
        answers=Answers(BulkV2),
        refused=(409,),
    ),
    Declared(
        "GET",
        "/bulk",
        bulk.many,
        bulk.LISTED,
        name="list_bulks",
        commands=("bulk list",),
        answers=Answers(BulkV2, many=True),
    ),
    Declared(
        "GET",
        "/bulk/{bulk_id}",
        bulk.one,
        name="get_bulk",
        commands=("bulk show",),
        answers=Answers(BulkV2),
        refused=(404,),
    ),
    Declared(
        "POST",
        "/bulk/{bulk_id}/cancel",
        bulk.stop,
        name="cancel_bulk",
        commands=("bulk stop",),
        answers=Answers(BulkV2),
        refused=(404, 409),
    ),
    Declared(
        "GET",
        "/crons",
        crons.many,
        crons.LISTED,
        name="list_crons",
        answers=Answers(CronV2, many=True, beside=(_CATCH_UP,)),
    ),
    Declared(
        "GET",
        "/limits",
        limits.many,
        limits.LISTED,
        name="list_limits",
        commands=("limits",),
        answers=Answers(LimitState, many=True),
    ),
    Declared(
        "GET",
        "/limits/{limit}",
        limits.one,
        name="get_limit",
        answers=Answers(LimitState),
        refused=(404,),
    ),
    Declared(
        "POST",
        "/limits/{limit}",
        limits.change,
        Takes(body=limits.LIMIT),
        name="set_limit",
        commands=("limits set",),
        answers=Answers(LimitState),
    ),
    Declared(
        "DELETE",
        "/limits/{limit}",
        limits.drop,
        name="reset_limit",
        commands=("limits reset",),
        answers=Answers(LimitState),
        refused=(404,),
    ),
    Declared(
        "GET",
        "/keys",
        keys.many,
        keys.LISTED,
        name="list_keys",
        commands=("keys list",),
        answers=Answers(KeyV2, many=True),
        role=Role.ADMIN,
    ),
    Declared(
        "POST",
        "/keys",
        keys.create,
        Takes(body=keys.KEY),
        name="create_key",
        commands=("keys create",),
        answers=Answers(KeyMadeV2),
        role=Role.ADMIN,
    ),
    Declared(
        "GET",
        "/keys/events",
        keys.event_keys,
        IN_PAGES,
        name="list_event_keys",
        answers=Answers(keys.ConfiguredKeyV2, many=True),
        role=Role.ADMIN,
    ),
    Declared(
        "GET",
        "/keys/signing",
        keys.signing_keys,
        IN_PAGES,
        name="list_signing_keys",
        answers=Answers(keys.ConfiguredKeyV2, many=True),
        role=SIGNING,
    ),
    Declared(
        "DELETE",
        "/keys/{key_id}",
        keys.revoke,
        name="revoke_key",
        commands=("keys revoke",),
        answers=Answers(KeyV2),
        refused=(404,),
        role=Role.ADMIN,
    ),
    Declared(
        "GET",
        "/audit",
        keys.audit,
        keys.LISTED,
        name="list_audit",
        answers=Answers(AuditV2, many=True),
        role=Role.ADMIN,
    ),
    Declared(
        "GET",
        "/operations",
        operations,
        IN_PAGES,
        name="list_operations",
        answers=Answers(OperationV2, many=True),
    ),
)
