"""Runs, events and functions as the REST API shows them. Pure."""

import msgspec

from stepwell.server.engine.row.run import AppRow, EventRow, FunctionRow, Run, RunStatus
from stepwell.wire.duration import format_instant
from stepwell.wire.event import decode_event
from stepwell.wire.identifier import app_uuid, function_uuid

ENVIRONMENT_ID = "00000000-0000-4000-b000-000000000000"
ACCOUNT_ID = "00000000-0000-4000-a000-000000000000"
NULL = msgspec.Raw(b"null")


class RunObject(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `function` and `app` are additions of ours: what people know functions by."""

    run_id: str
    run_started_at: str
    function_id: str
    function_version: int
    environment_id: str
    event_id: str
    status: str
    ended_at: str | None
    output: msgspec.Raw
    function: str
    app: str
    queued_at: str
    batch_id: str | msgspec.UnsetType = msgspec.UNSET
    cron: str | msgspec.UnsetType = msgspec.UNSET
    original_run_id: str | msgspec.UnsetType = msgspec.UNSET


class EventObject(msgspec.Struct, frozen=True, kw_only=True):
    """An event. `id` is the sender's where one was given."""

    internal_id: str
    account_id: str
    environment_id: str
    source: str
    source_id: str | None
    received_at: str
    id: str
    name: str
    data: msgspec.Raw
    ts: int
    user: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    v: str | msgspec.UnsetType = msgspec.UNSET
    meta: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class FunctionObject(msgspec.Struct, frozen=True, kw_only=True):
    """A registered function."""

    internal_id: str
    env_id: str
    app_id: str
    id: str
    name: str
    config: msgspec.Raw
    created_at: str
    archived_at: str | None = None


class AppObject(msgspec.Struct, frozen=True, kw_only=True):
    """A registered app."""

    id: str
    name: str
    url: str
    method: str
    sdk: str
    framework: str
    app_version: str
    synced_at: str
    error: str


def status_named(text: str) -> RunStatus:
    """A status by its word, whatever its case; `queued` is `scheduled`. Raises ValueError."""
    name = text.upper()
    try:
        return RunStatus["SCHEDULED" if name == "QUEUED" else name]
    except KeyError:
        words = ", ".join(status.word for status in RunStatus)
        raise ValueError(f"status {text!r} is unknown: use {words}") from None


def run_object(run: Run, version: int = 0) -> RunObject:
    """A run; `version` is that of its function today."""
    started = run.started_ms or run.queued_ms
    return RunObject(
        run_id=run.id,
        run_started_at=format_instant(started),
        function_id=function_uuid(run.function),
        function_version=version,
        environment_id=ENVIRONMENT_ID,
        event_id=run.event_ids[0] if run.event_ids else "",
        status=run.status.word,
        ended_at=format_instant(run.ended_ms) if run.ended else None,
        output=NULL if run.output is None else msgspec.Raw(run.output),
        function=run.function,
        app=run.app,
        queued_at=format_instant(run.queued_ms),
        batch_id=run.batch or msgspec.UNSET,
        cron=run.cron or msgspec.UNSET,
        original_run_id=run.original or msgspec.UNSET,
    )


def event_object(row: EventRow) -> EventObject:
    """An event, its body opened."""
    event = decode_event(row.body)
    user = event.user
    return EventObject(
        internal_id=row.id,
        account_id=ACCOUNT_ID,
        environment_id=ENVIRONMENT_ID,
        source="",
        source_id=None,
        received_at=format_instant(row.received_ms),
        id=row.key or event.id or row.id,
        name=row.name,
        data=event.data,
        ts=row.ts,
        user=msgspec.UNSET if user is None or bytes(user) == b"{}" else user,
        v=event.v if event.v is not None else msgspec.UNSET,
        meta=event.meta if event.meta is not None else msgspec.UNSET,
    )


def function_object(row: FunctionRow) -> FunctionObject:
    """A function with its configuration."""
    return FunctionObject(
        internal_id=function_uuid(row.slug),
        env_id=ENVIRONMENT_ID,
        app_id=app_uuid(row.app),
        id=row.slug,
        name=row.name,
        config=msgspec.Raw(row.config),
        created_at=format_instant(row.created_ms),
    )


def app_object(row: AppRow) -> AppObject:
    """An app and how it is."""
    return AppObject(
        id=app_uuid(row.name),
        name=row.name,
        url=row.url,
        method=row.method,
        sdk=row.sdk,
        framework=row.framework,
        app_version=row.app_version,
        synced_at=format_instant(row.synced_ms),
        error=row.error,
    )
