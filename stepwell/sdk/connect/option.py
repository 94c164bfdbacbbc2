"""What a worker was told, judged once: its apps, its limits, its keys, where it connects.

The only place that reads the worker's environment variables and that refuses what cannot work; each
refusal names the option, its value and the fix.
"""

import datetime as dt
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec

from stepwell.sdk.client.argument import problem_of
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.connect.backoff import SCHEDULE_S
from stepwell.sdk.connect.endpoint import endpoint_problem
from stepwell.sdk.connect.handshake import Handshake
from stepwell.sdk.connect.introduction import WorkerConfig
from stepwell.sdk.connect.option_kind import WORKER, caught, port_problem, several
from stepwell.sdk.connect.phase import ConnectionState
from stepwell.sdk.connect.recycle import resident_bytes
from stepwell.sdk.connect.runner import Served
from stepwell.sdk.connect.system import cpu_cores, host_name, system_attributes
from stepwell.sdk.errors import ConfigurationError, SigningKeyMissingError
from stepwell.sdk.function.function import Function
from stepwell.sdk.net.agent import LANGUAGE, VERSION, common_headers
from stepwell.sdk.net.plain import PlainHttp
from stepwell.sdk.net.shared import shared_port
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.table import FunctionTable
from stepwell.sdk.settings import cloud_hint, parse_flag
from stepwell.wire import header
from stepwell.wire.connect_limit import EXTENSION_CHECKPOINT
from stepwell.wire.connect_word import AppConfig
from stepwell.wire.function_config import RUNTIME_WEBSOCKET, encode_function
from stepwell.wire.registration import CAPABILITIES
from stepwell.wire.signature import SigningKeyError, bearer

SERVE_URL = "wss://connect"
FRAMEWORK = Framework.CONNECT
BACKOFF_DEV_MAX_S = 2.0
DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Seconds: TypeAlias = float | dt.timedelta
ExecutorKind: TypeAlias = Literal["thread", "process"]


@dataclass(frozen=True, slots=True)
class ConnectApp:
    """One app of a worker: its client and the functions it serves.

    Without functions named, those declared with the client when the worker is made.
    """

    client: Inngest
    functions: Sequence[Function[Any]] | None = None


App: TypeAlias = ConnectApp | Inngest | tuple[Inngest, Sequence[Function[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """What `connect` was told besides its apps; None means "not said"."""

    instance_id: str | None = None
    rewrite_gateway_endpoint: Callable[[str], str] | None = None
    gateway_url: str | None = None
    shutdown_signals: Sequence[signal.Signals] | None = None
    handle_shutdown_signals: Sequence[signal.Signals] | None = None
    max_worker_concurrency: int | None = None
    signing_key: str | None = None
    signing_key_fallback: str | None = None
    on_state_change: Callable[[ConnectionState], object] | None = None
    outbox_directory: str | os.PathLike[str] | None = None
    outbox_bytes_max: int | None = None
    give_up_after: Seconds | None = None
    shutdown_timeout: Seconds | None = None
    executor: ExecutorKind | Mapping[str, ExecutorKind] = "thread"
    processes: int | None = None
    isolate_execution: bool | None = None
    loop_lag_warning: Seconds = 1.0
    health_port: int | None = None
    health_host: str = "127.0.0.1"
    max_requests: int | None = None
    max_rss_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything decided: what the parts of a worker are made of."""

    client: Inngest
    apps: dict[str, Served]
    config: WorkerConfig
    tokens: tuple[str, ...]
    headers: dict[str, str]
    origin: str
    rewrite: Callable[[str], str] | None
    signals: tuple[signal.Signals, ...]
    isolated: bool
    lag_s: float
    process_functions: frozenset[str]
    processes: int

    def handshake(self) -> Handshake:
        """The HTTP half of the connection."""
        return Handshake(
            lambda: self.client.http,
            origin=self.origin,
            headers=self.headers,
            tokens=self.tokens,
            rewrite=self.rewrite,
            start_http=PlainHttp() if self.client.http is shared_port() else None,
            advice=cloud_hint(self.origin),
        )


def plan(apps: Iterable[App], options: ConnectOptions) -> Plan:
    """Judge what a worker was told. Raises ConfigurationError for what cannot work."""
    given = {field.name: getattr(options, field.name) for field in fields(options)}
    problem = problem_of(given, WORKER) or port_problem("health_port", options.health_port)
    if problem is not None:
        raise ConfigurationError(problem)
    listed = several("apps", apps, "a list such as [client] or [(client, [function])]")
    told = [_app(index, app) for index, app in enumerate(listed)]
    if not told:
        raise ConfigurationError(
            "No apps provided: give connect() a list such as [client] or [(client, [function])]"
        )
    first = told[0].client
    _check_alike(told)
    served = {app.client.app_id: _served(app) for app in told}
    settings = first.settings
    if settings.mode == "cloud":
        _check_keys(first, options)
    _check_positive("max_requests", options.max_requests)
    _check_positive("max_rss_bytes", options.max_rss_bytes)
    _check_memory(options.max_rss_bytes)
    return Plan(
        client=first,
        apps=served,
        config=_config(served, first, options),
        tokens=_tokens(first, options),
        headers=_headers(first),
        origin=settings.api_origin,
        rewrite=_rewrite(first, options),
        signals=_signals(options),
        isolated=_isolated(first, options),
        lag_s=_seconds("loop_lag_warning", options.loop_lag_warning),
        process_functions=_process_functions(served, options.executor),
        processes=_processes(options),
    )


def _app(index: int, app: object) -> ConnectApp:
    if isinstance(app, ConnectApp):
        return app
    if isinstance(app, Inngest):
        return ConnectApp(app)
    if isinstance(app, tuple):
        parts = cast("tuple[object, ...]", app)
        if len(parts) == 2 and isinstance(parts[0], Inngest):
            functions = several(f"apps[{index}][1]", parts[1], "a list of functions")
            return ConnectApp(parts[0], cast("tuple[Function[Any], ...]", functions))
    raise ConfigurationError(
        f"apps[{index}] is {app!r}: give a client, a pair (client, [functions]) or a ConnectApp"
    )


def _served(app: ConnectApp) -> Served:
    client = app.client
    if app.functions is None and not client.functions:
        raise ConfigurationError(
            f"the app {client.app_id!r} has no functions yet: import the modules that declare them"
            " before connect() is called, or name them, as in [(client, [function])]"
        )
    functions = client.functions if app.functions is None else app.functions
    if not functions:
        client.log.warning(
            "the app %r is connected without functions: nothing will be called", client.app_id
        )
    return Served(client, FunctionTable(client.app_id, functions, client.log))


def _check_alike(apps: list[ConnectApp]) -> None:
    first = apps[0].client
    seen: set[str] = set()
    for client in (app.client for app in apps):
        if client.app_id in seen:
            raise ConfigurationError(
                f"Duplicate app id: {client.app_id}; give each app of a worker an id of its own"
            )
        seen.add(client.app_id)
        for words, mine, theirs in (
            ("API base URL", client.settings.api_origin, first.settings.api_origin),
            ("env", client.settings.env, first.settings.env),
            ("mode", client.settings.mode, first.settings.mode),
            ("signing key", client.settings.signing_key, first.settings.signing_key),
        ):
            if mine != theirs:
                raise ConfigurationError(
                    f"inconsistent app config: {words} of {client.app_id!r} differs from"
                    f" {first.app_id!r}; apps that share a connection must share it"
                )


def _keys(client: Inngest, options: ConnectOptions) -> list[str]:
    settings = client.settings
    found = [
        options.signing_key or settings.signing_key,
        options.signing_key_fallback or settings.signing_key_fallback,
    ]
    return list(dict.fromkeys(key for key in found if key))


def _check_keys(client: Inngest, options: ConnectOptions) -> None:
    keys = _keys(client, options)
    if not keys:
        raise SigningKeyMissingError(
            "Signing key is required: set INNGEST_SIGNING_KEY or pass signing_key=; for a"
            " development server, set INNGEST_DEV=1"
        )
    if keys[0].startswith("signkey-branch") and not client.settings.env:
        raise ConfigurationError(
            "Environment is required when using branch environment signing keys: set INNGEST_ENV"
            " or pass env= to the client"
        )


def _tokens(client: Inngest, options: ConnectOptions) -> tuple[str, ...]:
    try:
        return tuple(bearer(key) for key in _keys(client, options))
    except SigningKeyError as error:
        raise ConfigurationError(f"signing_key: {error}") from None


def _headers(client: Inngest) -> dict[str, str]:
    headers = common_headers(client.settings, framework=FRAMEWORK)
    return {name: value for name, value in headers.items() if name != header.REQ_VERSION}


def _config(served: dict[str, Served], first: Inngest, options: ConnectOptions) -> WorkerConfig:
    settings = first.settings
    capabilities = {**CAPABILITIES, EXTENSION_CHECKPOINT: "v1"}
    give_up, patience = options.give_up_after, options.shutdown_timeout
    config = WorkerConfig(
        instance_id=options.instance_id or host_name(),
        apps=tuple(_app_config(app) for app in served.values()),
        capabilities=msgspec.json.encode(capabilities),
        sdk_version=VERSION,
        sdk_language=LANGUAGE,
        framework=FRAMEWORK,
        environment=settings.env,
        platform=settings.platform,
        system=system_attributes(),
        concurrency_max=_concurrency(first, options),
        keys=len(_keys(first, options)),
        give_up_after_s=None if give_up is None else _seconds("give_up_after", give_up),
        shutdown_timeout_s=None if patience is None else _seconds("shutdown_timeout", patience),
        backoff_max_s=SCHEDULE_S[-1] if settings.mode == "cloud" else BACKOFF_DEV_MAX_S,
    )
    if options.outbox_bytes_max is None:
        return config
    if options.outbox_bytes_max < 1:
        raise ConfigurationError(
            f"outbox_bytes_max = {options.outbox_bytes_max!r}: give a positive number of bytes"
        )
    return msgspec.structs.replace(config, outbox_bytes_max=options.outbox_bytes_max)


def _app_config(app: Served) -> AppConfig:
    functions = [
        msgspec.Raw(encode_function(function.config(SERVE_URL, runtime=RUNTIME_WEBSOCKET)))
        for function in app.table.by_id.values()
    ]
    return AppConfig(app.client.app_id, msgspec.json.encode(functions), app.client.app_version)


def _concurrency(client: Inngest, options: ConnectOptions) -> int | None:
    told = options.max_worker_concurrency
    if told is not None:
        if told < 1:
            raise ConfigurationError(
                f"max_worker_concurrency = {told!r}: give a whole number above 0, or leave it out"
            )
        return told
    # The official workers ignore a value they cannot read; so does this one.
    text = client.environ.get("INNGEST_CONNECT_MAX_WORKER_CONCURRENCY", "")
    return int(text) if text.isdecimal() and int(text) > 0 else None


def _isolated(client: Inngest, options: ConnectOptions) -> bool:
    if options.isolate_execution is not None:
        return options.isolate_execution
    name = "INNGEST_CONNECT_ISOLATE_EXECUTION"
    text = client.environ.get(name, "")
    return parse_flag(name, text) if text else True


def _signals(options: ConnectOptions) -> tuple[signal.Signals, ...]:
    told, also = options.shutdown_signals, options.handle_shutdown_signals
    if told is not None and also is not None:
        raise ConfigurationError(
            "shutdown_signals and handle_shutdown_signals are two names of one option: give one"
        )
    if also is not None:
        return caught("handle_shutdown_signals", also)
    return DEFAULT_SIGNALS if told is None else caught("shutdown_signals", told)


def _rewrite(client: Inngest, options: ConnectOptions) -> Callable[[str], str] | None:
    url = options.gateway_url or client.environ.get("INNGEST_CONNECT_GATEWAY_URL") or None
    if options.rewrite_gateway_endpoint is not None:
        if options.gateway_url is not None:
            raise ConfigurationError(
                "gateway_url and rewrite_gateway_endpoint both say where to connect: give one"
            )
        return options.rewrite_gateway_endpoint
    if url is None:
        return None
    problem = endpoint_problem(url)
    if problem is not None:
        raise ConfigurationError(f"gateway_url: {problem}")
    there = urlsplit(url)

    def placed(endpoint: str) -> str:
        """The gateway of everybody else, behind this address; its path unless one was given."""
        path = there.path if there.path not in {"", "/"} else urlsplit(endpoint).path
        query = there.query or urlsplit(endpoint).query  # which says that we are expected
        return urlunsplit(there._replace(path=path, query=query))

    return placed


def _seconds(name: str, value: Seconds) -> float:
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else float(value)
    if seconds <= 0:
        raise ConfigurationError(f"{name} = {value!r}: give a positive number of seconds")
    return seconds


def _process_functions(
    served: dict[str, Served], executor: ExecutorKind | Mapping[str, ExecutorKind]
) -> frozenset[str]:
    """The composite ids of the functions that run in processes."""
    known = {name for app in served.values() for name in app.table.by_id}
    if isinstance(executor, str):
        _check_executor("executor", executor)
        return frozenset(known) if executor == "process" else frozenset()
    found: set[str] = set()
    for given, kind in executor.items():
        _check_executor(f"executor[{given!r}]", kind)
        names = {given, *(f"{app}-{given}" for app in served)} & known
        if not names:
            raise ConfigurationError(
                f"executor names the function {given!r}, which this worker does not serve; it"
                f" serves {', '.join(sorted(known))}"
            )
        if kind == "process":
            found |= names
    return frozenset(found)


def _check_executor(name: str, kind: object) -> None:
    if kind not in {"thread", "process"}:
        raise ConfigurationError(f'{name} = {kind!r}: say "thread" or "process"')


def _processes(options: ConnectOptions) -> int:
    told = options.processes
    _check_positive("processes", told)
    return told or cpu_cores() or 1


def _check_memory(told: int | None) -> None:
    """A limit that is passed already would have the worker begin anew for ever."""
    if told is None:
        return
    held = resident_bytes()
    if not held:
        raise ConfigurationError(
            f"max_rss_bytes = {told!r}: this system does not tell how much memory a process holds;"
            " use max_requests instead"
        )
    if told <= held:
        raise ConfigurationError(
            f"max_rss_bytes = {told!r}: the process holds {held} bytes before its first call; give"
            " more"
        )


def _check_positive(name: str, told: int | None) -> None:
    if told is not None and told < 1:
        raise ConfigurationError(f"{name} = {told!r}: give a whole number above 0")
