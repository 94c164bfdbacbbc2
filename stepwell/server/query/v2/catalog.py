"""Apps and functions in the shape of the REST API's second version. Pure."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import msgspec

from stepwell.server.engine.row.run import AppRow, FunctionRow, FunctionVersion
from stepwell.server.query.v2.run import InstantV2, NamedV2
from stepwell.wire.duration import format_instant
from stepwell.wire.function_config import (
    Backlog,
    Batch,
    Cancel,
    Checkpoint,
    Concurrency,
    Debounce,
    Fairness,
    FunctionConfig,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    Trigger,
    decode_function,
    max_attempts,
)
from stepwell.wire.identifier import app_uuid, function_uuid
from stepwell.wire.named_limit import FunctionLimit


class MethodV2(StrEnum):
    """How an app is reached."""

    SERVE = "SERVE"
    CONNECT = "CONNECT"
    API = "API"


class SyncV2(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The last time an app registered; `error` while it cannot be reached."""

    framework: str
    sdk_language: str
    sdk_version: str
    url: str
    synced_at: InstantV2
    error: str = ""


class AppV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An app; of one that is registered no longer (`isArchived`) less is known."""

    id: str
    name: str
    method: MethodV2 | msgspec.UnsetType = msgspec.UNSET
    function_count: int
    created_at: InstantV2
    latest_sync: SyncV2 | msgspec.UnsetType = msgspec.UNSET
    app_version: str = ""
    is_archived: bool = False


class TriggerKindV2(StrEnum):
    """What a trigger listens to."""

    EVENT = "EVENT"
    CRON = "CRON"


class FunctionTriggerV2(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"condition": "if"}
):
    """What starts a function: an event name or a schedule, and a condition."""

    type: TriggerKindV2
    value: str
    condition: str = ""


class RetriesV2(msgspec.Struct, frozen=True, rename="camel"):
    """How often a step is tried again."""

    value: int
    is_default: bool


class CountV2(msgspec.Struct, frozen=True, rename="camel"):
    """A number, and whether somebody else than the function set it."""

    value: int
    is_plan_limit: bool = False


class ConcurrencyV2(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most so many steps, or runs, at once."""

    scope: str
    limit: CountV2
    key: str = ""


class ConfigurationV2(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    """The options of a function. All but the first two are told as they were registered."""

    retries: RetriesV2
    concurrency: tuple[ConcurrencyV2, ...] = ()
    run_concurrency: tuple[ConcurrencyV2, ...] = ()
    limits: tuple[FunctionLimit, ...] = ()
    throttle: Throttle | msgspec.UnsetType = msgspec.UNSET
    rate_limit: RateLimit | msgspec.UnsetType = msgspec.UNSET
    debounce: Debounce | msgspec.UnsetType = msgspec.UNSET
    batch_events: Batch | msgspec.UnsetType = msgspec.UNSET
    priority: Priority | msgspec.UnsetType = msgspec.UNSET
    cancel_on: tuple[Cancel, ...] = ()
    singleton: Singleton | msgspec.UnsetType = msgspec.UNSET
    timeouts: Timeouts | msgspec.UnsetType = msgspec.UNSET
    idempotency: str = ""
    checkpoint: Checkpoint | msgspec.UnsetType = msgspec.UNSET
    fairness: Fairness | msgspec.UnsetType = msgspec.UNSET
    backlog: Backlog | msgspec.UnsetType = msgspec.UNSET


class FunctionV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A function with its configuration; `isPaused` if it rests, `isArchived` if it is served no
    longer. `warnings` tell what of the configuration is probably a mistake, a sentence each."""

    id: str
    slug: str
    name: str
    app: NamedV2
    triggers: tuple[FunctionTriggerV2, ...]
    configuration: ConfigurationV2
    created_at: InstantV2
    version: int
    description: str = ""
    is_paused: bool = False
    is_archived: bool = False
    archived_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    warnings: tuple[str, ...] = ()


class FunctionVersionV2(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    """What a function was registered as from `createdAt` on; `appVersion` is what its app called
    its own version then, `codeVersion` which code it was."""

    version: int
    created_at: InstantV2
    app_version: str = ""
    name: str
    description: str = ""
    triggers: tuple[FunctionTriggerV2, ...]
    configuration: ConfigurationV2
    code_version: str = ""
    on_code_change: str = ""


_METHODS = {"serve": MethodV2.SERVE, "connect": MethodV2.CONNECT}


def app_v2(app: AppRow, functions: Sequence[FunctionRow]) -> AppV2:
    """A registered app; `functions` are those it has now."""
    language, _, version = app.sdk.partition(":")
    synced_at = format_instant(app.synced_ms)
    number = version.removeprefix("v")
    return AppV2(
        id=app_uuid(app.name),
        name=app.name,
        method=_METHODS.get(app.method, MethodV2.API),
        function_count=len(functions),
        created_at=format_instant(min([app.synced_ms, *(row.created_ms for row in functions)])),
        latest_sync=SyncV2(app.framework, language, number, app.url, synced_at, app.error),
        app_version=app.app_version,
    )


def archived_app_v2(name: str, functions: Sequence[FunctionRow]) -> AppV2:
    """An app that is registered no longer: what is left of it are its functions of then."""
    return AppV2(
        id=app_uuid(name),
        name=name,
        function_count=0,
        created_at=format_instant(min(row.created_ms for row in functions)),
        is_archived=True,
    )


def function_v2(
    row: FunctionRow,
    *,
    paused: bool = False,
    advise: Callable[[FunctionConfig], tuple[str, ...]] = lambda config: (),
) -> FunctionV2:
    """A function as v2 tells it; `advise` says what is probably a mistake of one."""
    config = decode_function(row.config)
    return FunctionV2(
        id=function_uuid(row.slug),
        slug=row.slug,
        name=row.name,
        app=NamedV2(app_uuid(row.app), row.app),
        triggers=tuple(_trigger(trigger) for trigger in config.triggers),
        configuration=_configuration(config),
        created_at=format_instant(row.created_ms),
        version=row.version,
        description=config.description,
        is_paused=paused,
        is_archived=bool(row.gone_ms),
        archived_at=format_instant(row.gone_ms) if row.gone_ms else msgspec.UNSET,
        warnings=advise(config),
    )


def version_v2(known: FunctionVersion) -> FunctionVersionV2:
    """A function as it was registered at a time."""
    row = known.function
    config = decode_function(row.config)
    return FunctionVersionV2(
        version=row.version,
        created_at=format_instant(row.created_ms),
        app_version=known.app_version,
        name=row.name,
        description=config.description,
        triggers=tuple(_trigger(trigger) for trigger in config.triggers),
        configuration=_configuration(config),
        code_version=config.code.version,
        on_code_change=config.code.on_change,
    )


def _trigger(trigger: Trigger) -> FunctionTriggerV2:
    if trigger.cron:
        return FunctionTriggerV2(TriggerKindV2.CRON, trigger.cron)
    return FunctionTriggerV2(TriggerKindV2.EVENT, trigger.event, trigger.expression)


def _configuration(config: FunctionConfig) -> ConfigurationV2:
    return ConfigurationV2(
        retries=RetriesV2(max_attempts(config) - 1, config.retries is None),
        concurrency=_concurrency(config.concurrency),
        run_concurrency=_concurrency(config.run_concurrency),
        limits=config.limits,
        throttle=config.throttle or msgspec.UNSET,
        rate_limit=config.rate_limit or msgspec.UNSET,
        debounce=config.debounce or msgspec.UNSET,
        batch_events=config.batch or msgspec.UNSET,
        priority=config.priority or msgspec.UNSET,
        cancel_on=config.cancel,
        singleton=config.singleton or msgspec.UNSET,
        timeouts=config.timeouts or msgspec.UNSET,
        idempotency=config.idempotency,
        checkpoint=config.checkpoint or msgspec.UNSET,
        fairness=config.fairness or msgspec.UNSET,
        backlog=config.backlog or msgspec.UNSET,
    )


def _concurrency(entries: Iterable[Concurrency]) -> tuple[ConcurrencyV2, ...]:
    return tuple(
        ConcurrencyV2((entry.scope or "fn").upper(), CountV2(entry.limit), entry.key)
        for entry in entries
    )
