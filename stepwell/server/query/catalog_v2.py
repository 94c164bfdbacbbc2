"""Apps and functions in the shape of the REST API's second version (server.md 6.4). Pure."""

from collections.abc import Sequence

import msgspec

from stepwell.server.engine.row import AppRow, FunctionRow
from stepwell.wire.duration import format_instant
from stepwell.wire.function_config import Concurrency, FunctionConfig, decode_function, max_attempts
from stepwell.wire.identifier import app_uuid, function_uuid

Told = dict[str, object]
_METHODS = {"serve": "SERVE", "connect": "CONNECT"}


def app_v2(app: AppRow, functions: Sequence[FunctionRow]) -> Told:
    """A registered app; `functions` are those it has now."""
    language, _, version = app.sdk.partition(":")
    created_ms = min([app.synced_ms, *(row.created_ms for row in functions)])
    sync: Told = {
        "framework": app.framework,
        "sdkLanguage": language,
        "sdkVersion": version.removeprefix("v"),
        "url": app.url,
        "syncedAt": format_instant(app.synced_ms),
    }
    if app.error:
        sync["error"] = app.error
    told: Told = {
        "id": app_uuid(app.name),
        "name": app.name,
        "method": _METHODS.get(app.method, "API"),
        "functionCount": len(functions),
        "createdAt": format_instant(created_ms),
        "latestSync": sync,
    }
    if app.app_version:
        told["appVersion"] = app.app_version
    return told


def archived_app_v2(name: str, functions: Sequence[FunctionRow]) -> Told:
    """An app that is registered no longer: what is left of it are its functions of then."""
    created_ms = min(row.created_ms for row in functions)
    return {
        "id": app_uuid(name),
        "name": name,
        "functionCount": 0,
        "createdAt": format_instant(created_ms),
        "isArchived": True,
    }


def function_v2(row: FunctionRow) -> Told:
    """A function with its configuration; `isArchived` if it is served no longer."""
    config = decode_function(row.config)
    told: Told = {
        "id": function_uuid(row.slug),
        "slug": row.slug,
        "name": row.name,
        "app": {"id": app_uuid(row.app), "name": row.app},
        "triggers": [_trigger(config, place) for place in range(len(config.triggers))],
        "configuration": _configuration(config),
        "createdAt": format_instant(row.created_ms),
        "version": row.version,
    }
    if row.gone_ms:
        told |= {"isArchived": True, "archivedAt": format_instant(row.gone_ms)}
    return told


def _trigger(config: FunctionConfig, place: int) -> Told:
    trigger = config.triggers[place]
    if trigger.cron:
        return {"type": "CRON", "value": trigger.cron}
    told: Told = {"type": "EVENT", "value": trigger.event}
    if trigger.expression:
        told["if"] = trigger.expression
    return told


def _configuration(config: FunctionConfig) -> Told:
    retries = {"value": max_attempts(config) - 1, "isDefault": config.retries is None}
    told: Told = {"retries": retries}
    if config.concurrency:
        told["concurrency"] = [_concurrency(one) for one in config.concurrency]
    # What is left is told as it was registered, by the names it was registered under.
    rest = {
        "throttle": config.throttle,
        "rateLimit": config.rate_limit,
        "debounce": config.debounce,
        "batchEvents": config.batch,
        "priority": config.priority,
        "cancelOn": config.cancel,
        "singleton": config.singleton,
        "timeouts": config.timeouts,
        "idempotency": config.idempotency,
        "checkpoint": config.checkpoint,
        "fairness": config.fairness,
        "backlog": config.backlog,
    }
    told |= {name: msgspec.to_builtins(value) for name, value in rest.items() if value}
    return told


def _concurrency(limit: Concurrency) -> Told:
    told: Told = {
        "scope": (limit.scope or "fn").upper(),
        "limit": {"value": limit.limit, "isPlanLimit": False},
    }
    if limit.key:
        told["key"] = limit.key
    return told
