"""The client: an app's configuration, what it sends, and what it may ask.

Settings are decided at first use, not at construction, so that variables loaded after the module
was imported still count. It is one file because it is one object that users hold; each method hands
over to the room that does the work.
"""

import datetime as dt
import logging
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, cast

import msgspec

from stepwell.sdk.client.annotation import Annotations, Annotator
from stepwell.sdk.client.argument import CLIENT, SEND, problem_of
from stepwell.sdk.client.declarer import Declarer
from stepwell.sdk.client.limits import LimitKeeper
from stepwell.sdk.client.reach import Reach, in_front, reach_within
from stepwell.sdk.client.realtime import Realtime
from stepwell.sdk.errors import ConfigurationError, Error
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.function.middleware_factory import MiddlewareFactory
from stepwell.sdk.invoke.invoker import Invoker
from stepwell.sdk.invoke.port import RunPort
from stepwell.sdk.middleware.chain import Chain
from stepwell.sdk.middleware.enrol import enrolled
from stepwell.sdk.net.engine_port import AnnotationPort, LimitPort, SignalPort
from stepwell.sdk.net.given import HttpCallable, HttpxClient, port_of
from stepwell.sdk.net.port import TIMEOUT_SECONDS_DEFAULT, HttpPort, HttpReply
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.net.shared import shared_streams
from stepwell.sdk.realtime.over_http import HttpRealtime
from stepwell.sdk.realtime.port import Publication, RealtimePort
from stepwell.sdk.send.delivery import EventBatch, EventPort
from stepwell.sdk.send.outbox import OutboxPort
from stepwell.sdk.send.outgoing import Sendable
from stepwell.sdk.send.sending import (
    SendHooks,
    Sending,
    SendResult,
    deliver,
    send,
    send_sync,
    wall_ms,
)
from stepwell.sdk.send.shared_database import SharedDatabasePort
from stepwell.sdk.settings import LOG_LEVELS, LogLevel, Options, Settings, mode_is_told, resolve
from stepwell.sdk.step.log import own_logger, set_own_level, spoken
from stepwell.sdk.step.suspension import current_sessions
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.sdk.value.serializer import Serializer
from stepwell.wire import limit
from stepwell.wire.outside import decode

Logger: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]

_KINDS = {**CLIENT, "schemas": ((EventSchemas,), "EventSchemas(), with what it is to know")}


class EnginePort(EventPort, RunPort, SignalPort, LimitPort, RealtimePort, AnnotationPort, Protocol):
    """An engine in this process."""

    def now_ms(self) -> int:
        """The engine's time: events that are sent to it happened by its clock."""
        ...


class Inngest(Declarer, Invoker, LimitKeeper, Annotator):
    """An app: declare functions with it, send events through it, serve it.

    Every argument may be left out; the environment and then defaults take its place.
    """

    def __init__(
        self,
        *,
        app_id: str,
        api_base_url: str | None = None,
        app_version: str | None = None,
        env: str | None = None,
        event_api_base_url: str | None = None,
        event_key: str | None = None,
        is_production: bool | None = None,
        logger: Logger | None = None,
        middleware: list[MiddlewareFactory] | None = None,
        request_timeout: int | dt.timedelta | None = None,
        serializer: Serializer | None = None,
        signing_key: str | None = None,
        base_url: str | None = None,
        http_client: HttpPort | HttpCallable | HttpxClient | None = None,
        is_dev: bool | None = None,
        mode: Literal["cloud", "dev", "auto"] | None = None,
        schemas: EventSchemas | None = None,
        send_retries: int | None = None,
        send_timeout: int | dt.timedelta | None = None,
        signing_key_fallback: str | None = None,
        checkpointing: bool | None = None,
        serve_origin: str | None = None,
        serve_host: str | None = None,
        serve_path: str | None = None,
        session_propagation: bool | None = None,
        ai_metadata: bool | None = None,
        logs: bool | None = None,
        shares_database: bool | None = None,
    ) -> None:
        """Configure an app.

        Args:
            app_id: The app's id; changing it makes another app of it.
            api_base_url: Origin of the server's API.
            app_version: Any text, shown with the app's deployments.
            env: Branch environment.
            event_api_base_url: Origin of the event API.
            event_key: Key for sending events; a development server needs none.
            is_production: True for cloud mode (signatures are checked), False for dev mode.
            logger: Where the SDK and `ctx.logger` write.
            middleware: Classes or factories, outermost first.
            request_timeout: Of one request to the server: milliseconds or timedelta, default 30 s.
            serializer: For results whose `output_type` is given.
            signing_key: Key that server and app sign with.
            base_url: Origin of both APIs at once.
            http_client: What makes requests, in place of the shared one: a client of httpx, an
                HttpPort or a function.
            is_dev: The opposite of `is_production`.
            mode: The same as text; "auto" goes by the hints hosting platforms give.
            schemas: What events look like: judged when they are sent and when they arrive.
            send_retries: How often a send is repeated after a failure, default 4.
            send_timeout: Of one try to send: milliseconds or timedelta, default `request_timeout`.
            signing_key_fallback: The previous signing key, during a rotation.
            checkpointing: Save finished steps while a call goes on (the default), so that the next
                one runs at once; with False every step is a call of its own.
            serve_origin: Scheme and host at which the server calls this app, unless `serve` says.
            serve_host: Another name of `serve_origin`.
            serve_path: Path at which the server calls this app, unless `serve` says.
            session_propagation: What runs send and invoke inherits the sessions of their events
                (the default).
            ai_metadata: Keep with a step what a model tells of its answer: the model, tokens, why
                it ended, never what was asked or answered (the default).
            logs: Keep with the run what `ctx.logger` writes, from INFO on (the default).
            shares_database: Your tables and the engine's are in one PostgreSQL database: `send`
                with `connection` stores events there, in your transaction, in place of an outbox.

        Raises ConfigurationError for arguments that contradict each other or cannot be used.
        """
        problem = problem_of(locals(), _KINDS)
        if problem is not None:
            raise ConfigurationError(problem)
        if not isinstance(cast(object, app_id), str) or not app_id.strip():
            raise ConfigurationError(f"app_id = {app_id!r}: give the app an id, such as 'shop'")
        self.app_id = app_id
        self.logger: Logger = own_logger if logger is None else _checked(logger)
        self.middleware: list[MiddlewareFactory] = []
        self.serializer, self.schemas, self.logs = serializer, schemas, logs is not False
        self.checkpointing, self.ai_metadata = checkpointing is not False, ai_metadata is not False
        self.serve_origin, self.serve_path = serve_origin or serve_host, serve_path
        self._endpoints = set[str]()
        self._app_version = app_version
        self._options = Options(
            api_base_url=api_base_url,
            event_api_base_url=event_api_base_url,
            base_url=base_url,
            env=env,
            event_key=event_key,
            signing_key=signing_key,
            signing_key_fallback=signing_key_fallback,
            is_production=is_production,
            is_dev=is_dev,
            mode=mode,
            session_propagation=session_propagation,
        )
        resolve(self._options, {})  # what was told here is judged here; the environment later
        whole = _seconds("request_timeout", request_timeout, TIMEOUT_SECONDS_DEFAULT)
        self._timeout_seconds = whole
        self._send_timeout_seconds = _seconds("send_timeout", send_timeout, whole)
        self._tries_max, self._shares_database = _tries(send_retries), shares_database is True
        self._http = None if http_client is None else port_of(http_client)
        self._given: Mapping[str, str] = {}
        self._own_reach: Reach | None = None
        self._told_event_port: EventPort | None = None
        self._engine: EnginePort | None = None
        self._alone = self._level_is_told = False
        self.middleware = enrolled(middleware or [], self, None)

    def __repr__(self) -> str:
        return f"<Inngest {self.app_id}>"

    # Settings

    @property
    def settings(self) -> Settings:
        """What the client is set to, with the reason of every decision. Decided at first use; while
        a request with its own environment is answered, for that environment."""
        return self._reach.settings

    @property
    def _reach(self) -> Reach:
        return reach_within(self) or self.own_reach

    @property
    def own_reach(self) -> Reach:
        """Settings and ports as the process's environment says, whatever request is answered."""
        if self._own_reach is None:
            environ = in_front(self._given, os.environ)
            self._own_reach = self._reach_with(self._options, environ)
            self._heed(self._own_reach.settings)
        return self._own_reach

    def reach_in(
        self,
        variables: Mapping[str, str],
        *,
        is_production: bool | None = None,
        signing_key: str | None = None,
        signing_key_fallback: str | None = None,
    ) -> Reach:
        """Settings and ports in an environment that begins with these variables.

        The client stays as it is. `is_production` decides the mode unless the constructor did; keys
        that are given take the place of the constructor's. Raises ConfigurationError.
        """
        keys = {"signing_key": signing_key, "signing_key_fallback": signing_key_fallback}
        told: dict[str, Any] = {name: key for name, key in keys.items() if key is not None}
        problem = problem_of(told, CLIENT)
        if problem is not None:
            raise ConfigurationError(problem)
        options = self._options
        if is_production is not None and not mode_is_told(options):
            told["is_production"] = is_production
        options = msgspec.structs.replace(options, **told)
        return self._reach_with(options, in_front(variables, in_front(self._given, os.environ)))

    def _reach_with(self, options: Options, environ: Mapping[str, str]) -> Reach:
        return Reach(
            options,
            environ,
            http=self._http,
            alone=self._alone,
            send_timeout_seconds=self._send_timeout_seconds,
        )

    def _heed(self, settings: Settings) -> None:
        """Do what settings ask for at once, and say what is odd about them."""
        told = self._level_is_told
        if settings.log_level is not None and self.logger is own_logger and not told:
            set_own_level(LOG_LEVELS[settings.log_level])
        key = settings.signing_key
        if key is not None and "branch" in key and settings.env is None:
            self.log.warning(
                "the signing key is one for branch environments, but no environment is named; "
                "set INNGEST_ENV or pass env="
            )
        if settings.advice is not None:
            self.log.warning(settings.advice)

    @property
    def environ(self) -> Mapping[str, str]:
        """What settings are read from: what `set_env_vars` gave, then the process's environment."""
        return in_front(self._given, os.environ)

    def set_env_vars(self, variables: Mapping[str, str]) -> None:
        """Put variables in front of the process's environment and decide the settings anew.

        For tests, and for programs that learn their variables late. It changes the client for
        everybody who uses it: an adapter whose platform hands over variables with each request says
        them as `ServeRequest.variables`.
        """
        self._given = {**self._given, **variables}
        self._own_reach = None

    def use(
        self,
        *,
        base_url: str | None = None,
        signing_key: str | None = None,
        signing_key_fallback: str | None = None,
        http_client: HttpPort | HttpCallable | HttpxClient | None = None,
        log_level: LogLevel | None = None,
    ) -> None:
        """Use these from now on, in place of what the constructor was told; None changes nothing.

        `log_level` is that of the SDK's own logger. Raises ConfigurationError for values that
        cannot be used.
        """
        if http_client is not None:
            self._http = port_of(http_client)
            self.set_env_vars({})
        if log_level is not None:
            self._use_level(log_level)
        told = {
            "base_url": base_url,
            "signing_key": signing_key,
            "signing_key_fallback": signing_key_fallback,
        }
        told = {name: value for name, value in told.items() if value is not None}
        if not told:
            return
        problem = problem_of(told, CLIENT)
        if problem is not None:
            raise ConfigurationError(problem)
        if base_url is not None:
            told |= {"api_base_url": base_url, "event_api_base_url": base_url}
        options = msgspec.structs.replace(self._options, **told)
        resolve(options, {})
        self.set_env_vars({})
        self._options = options

    def _use_level(self, level: str) -> None:
        if level not in LOG_LEVELS:
            raise ConfigurationError(f"log_level = {level!r}: give one of {', '.join(LOG_LEVELS)}")
        if self.logger is not own_logger:
            raise ConfigurationError(
                f"log_level = {level!r}: the client has a logger of its own: set the level of that"
            )
        set_own_level(LOG_LEVELS[level])
        self._level_is_told = True

    def set_event_key(self, event_key: str) -> None:
        """Use this event key from now on. Raises ConfigurationError for what is no text."""
        if not isinstance(cast(object, event_key), str):
            raise ConfigurationError(f"event_key = {event_key!r}: give text")
        self.set_env_vars({})
        self._options = msgspec.structs.replace(self._options, event_key=event_key)

    def is_endpoint(self, path: str) -> bool:
        """Whether functions of this client are served at a path, with or without a slash at its
        end: what guards a whole application asks this, and lets the server pass, which has no
        session and signs instead. Below a mount give what comes after its prefix."""
        return (path.rstrip("/") or path) in self._endpoints

    def add_endpoint(self, path: str) -> None:
        """Functions are served at this path, too; adapters say so."""
        self._endpoints.add(path.rstrip("/") or path)

    @property
    def log(self) -> Logger:
        """Where the SDK writes its own lines: to `logger`, in that logger's way."""
        return spoken(self.logger)

    def set_logger(self, logger: Logger) -> None:
        """Write to this logger from now on. Raises ConfigurationError for what is none."""
        self.logger = _checked(logger)

    def add_middleware(self, middleware: MiddlewareFactory) -> None:
        """Add a middleware class or factory, inside those already there; its `init` runs now."""
        self.middleware = [*self.middleware, *enrolled([middleware], self, None)]

    @property
    def session_propagation(self) -> bool:
        """Does what runs send and invoke inherit their sessions?"""
        return self.settings.session_propagation

    @property
    def is_production(self) -> bool:
        """Is the client in cloud mode?"""
        return self.settings.mode == "cloud"

    @is_production.setter
    def is_production(self, value: bool) -> None:
        """Be in cloud mode from now on, or in dev mode, in place of what the constructor was told.
        Raises ConfigurationError for what is neither True nor False."""
        if not isinstance(cast(object, value), bool):
            raise ConfigurationError(f"is_production = {value!r}: give True or False")
        told = msgspec.structs.replace(self._options, is_production=value, is_dev=None, mode=None)
        resolve(told, {})
        self.set_env_vars({})
        self._options = told

    @property
    def api_origin(self) -> str:
        """The URL of the server's API."""
        return self.settings.api_origin

    @property
    def event_api_origin(self) -> str:
        """The URL of the event API."""
        return self.settings.event_origin

    @property
    def env(self) -> str | None:
        """The branch environment, if there is one."""
        return self.settings.env

    @property
    def event_key(self) -> str | None:
        """The event key, if there is one."""
        return self.settings.event_key

    @property
    def signing_key(self) -> str | None:
        """The signing key, if there is one."""
        return self.settings.signing_key

    @property
    def signing_key_fallback(self) -> str | None:
        """The signing key that is being phased out, if there is one."""
        return self.settings.signing_key_fallback

    @property
    def app_version(self) -> str | None:
        """What the app says its version is."""
        return self._app_version

    # Ports

    @property
    def http(self) -> HttpPort:
        """What makes this client's HTTP requests."""
        return self._reach.http

    @property
    def api(self) -> ServerApi:
        """The server's API, with this client's keys."""
        return self._reach.api

    @cached_property
    def realtime(self) -> Realtime:
        """Messages to subscribers, and subscriptions."""
        return Realtime(
            HttpRealtime(lambda: self.api, shared_streams),
            lambda: self._engine,
            lambda: self.api_origin,
            lambda: self.log,
        )

    @property
    def annotations(self) -> Annotations:
        """What brings to where it is kept what `score` and `metadata` say."""
        return Annotations(lambda: self.api, lambda: self._engine, lambda: self._timeout_seconds)

    @property
    def event_port(self) -> EventPort:
        """Where events go: the event API over HTTP, unless another port was put in its place.

        Raises EventKeyUnspecifiedError in cloud mode without an event key.
        """
        if self._told_event_port is not None:
            return self._told_event_port
        return self._reach.event_port

    @event_port.setter
    def event_port(self, port: EventPort | None) -> None:
        """Deliver events through this port; None goes back to HTTP."""
        self._told_event_port = port

    def attach(self, engine: EnginePort | None, *, alone: bool = True) -> None:
        """Send, invoke and signal through an engine in this process; None goes back to HTTP.

        An engine that is `alone` has no API: meanwhile nothing else of the client reaches for the
        network either, unless a server is named.
        """
        self.event_port = self.run_port = self._limit_port = self._engine = engine
        self._alone = alone and engine is not None
        self._own_reach = None

    # Sending

    async def send(
        self,
        events: Sendable | Iterable[Sendable],
        *,
        skip_middleware: bool = False,
        env: str | None = None,
        seed: str | None = None,
        split: bool = False,
        all_or_nothing: bool = False,
        connection: object = None,
    ) -> SendResult:
        """Send one or more events; returns their ids in order.

        Args:
            events: An Event, an EventModel, a mapping with an event's fields, or several of them.
            skip_middleware: Leave out the client's send hooks.
            env: Branch environment for this call only.
            seed: What ids are derived from; the same seed makes a repetition known to the server.
            split: Send more than 5,000 events in several requests.
            all_or_nothing: Refuse here, before any event leaves, what servers refuse: empty,
                reserved and long names, times before 1980 or after 2100, more than 3 MiB. Without
                it the server judges, and what it accepted before is in the error's `ids`. Always so
                with `connection`.
            connection: A connection to your database: the events are sent if, and only if, its
                transaction commits, by a relay (see `stepwell.outbox`), or, with
                `shares_database`, by being stored there.

        Raises EventValidationError before anything is sent if events cannot be written as JSON or
        do not fit their schemas, naming all that is wrong with all of them, ConfigurationError for
        other arguments of a wrong kind,
        EventKeyUnspecifiedError in cloud mode without a key, and SendEventsError, with the ids of
        what was accepted, if the server refuses or cannot be reached after five tries.
        """
        return await send(
            events, self._sending(skip_middleware, env, seed, split, all_or_nothing, connection)
        )

    def send_sync(
        self,
        events: Sendable | Iterable[Sendable],
        *,
        skip_middleware: bool = False,
        env: str | None = None,
        seed: str | None = None,
        split: bool = False,
        all_or_nothing: bool = False,
        connection: object = None,
    ) -> SendResult:
        """The same as `send`, for blocking code."""
        return send_sync(
            events, self._sending(skip_middleware, env, seed, split, all_or_nothing, connection)
        )

    async def send_in_run(
        self, events: Sendable | Iterable[Sendable], *, seed: str, hooks: SendHooks | None
    ) -> SendResult:
        """Send events from a run: through the middleware of its call, its function's included."""
        sending = self._sending(True, None, seed, False)
        return await send(events, msgspec.structs.replace(sending, hooks=hooks))

    def send_in_run_sync(
        self, events: Sendable | Iterable[Sendable], *, seed: str, hooks: SendHooks | None
    ) -> SendResult:
        """The same for blocking code."""
        sending = self._sending(True, None, seed, False)
        return send_sync(events, msgspec.structs.replace(sending, hooks=hooks))

    def _sending(
        self,
        skip_middleware: bool,
        env: str | None,
        seed: str | None,
        split: bool,
        all_or_nothing: bool = False,
        connection: object = None,
    ) -> Sending:
        problem = problem_of(locals(), SEND)
        if problem is not None:
            raise ConfigurationError(problem)
        asked = self.middleware and not skip_middleware
        return Sending(
            port=lambda: self._port_within(connection),
            where=self.settings.event_origin,
            env=env,
            seed=seed,
            tries_max=self._tries_max,
            split=split,
            schemas=self.schemas,
            hooks=Chain(self.middleware).open(self, None) if asked else None,
            logger=self.log,
            sessions=current_sessions(),
            # Nobody would be told of what a server refuses long after the transaction.
            strict=all_or_nothing or connection is not None,
            now_ms=wall_ms if self._engine is None else self._engine.now_ms,
        )

    def _port_within(self, connection: object) -> EventPort:
        """Where events go that are sent in the transaction of a connection; without one, the
        server."""
        if connection is None:
            return self.event_port
        return (SharedDatabasePort if self._shares_database else OutboxPort)(connection)

    async def publish_in_run(self, publication: Publication) -> None:
        """Tell subscribers, from a step."""
        await self.realtime.tell(publication)

    def publish_in_run_sync(self, publication: Publication) -> None:
        """The same for blocking code."""
        self.realtime.tell_sync(publication)

    async def deliver(self, batch: EventBatch) -> list[str]:
        """Send a batch as it is, with as many tries as `send`; returns the ids.

        Raises EventKeyUnspecifiedError and SendEventsError as `send` does.
        """
        return await deliver(batch, self._sending(True, None, None, False))

    async def send_signal(self, signal: str, data: object = None) -> str | None:
        """Resume the run that waits for a signal; returns its id, None if none waits."""
        if self._engine is not None:
            return await self._engine.signal(signal, _signal_data(signal, data))
        return _signalled(await self.api.ask(self._signal(signal, data)))

    def send_signal_sync(self, signal: str, data: object = None) -> str | None:
        """The same as `send_signal`, for blocking code."""
        if self._engine is not None:
            return self._engine.signal_sync(signal, _signal_data(signal, data))
        return _signalled(self.api.ask_sync(self._signal(signal, data)))

    def _signal(self, signal: str, data: object) -> ApiRequest:
        return ApiRequest(
            method="POST",
            path="/v1/signals",
            body=msgspec.json.encode({"signal": signal, "data": _signal_data(signal, data)}),
            timeout_seconds=self._timeout_seconds,
        )


def _signal_data(signal: str, data: object) -> msgspec.Raw:
    """What a signal carries, as JSON. Raises ConfigurationError."""
    if not isinstance(cast(object, signal), str) or not signal:
        raise ConfigurationError(f"signal = {signal!r}: name the signal a function waits for")
    try:
        return encode_any(data)
    except CodecError as error:
        raise ConfigurationError(f'signal "{signal}": data: {error}') from None


def _seconds(name: str, timeout: int | dt.timedelta | None, default: float) -> float:
    if timeout is None:
        return default
    seconds = timeout.total_seconds() if isinstance(timeout, dt.timedelta) else timeout / 1000
    if seconds <= 0:
        raise ConfigurationError(
            f"{name} = {timeout!r}: give a positive number of milliseconds or a timedelta"
        )
    return seconds


def _tries(retries: int | None) -> int:
    if retries is None:
        return limit.SEND_ATTEMPTS_MAX
    if retries < 0:
        raise ConfigurationError(f"send_retries = {retries!r}: give 0 or more")
    return retries + 1


def _signalled(reply: HttpReply) -> str | None:
    """The run a signal resumed; 404 says that none waited for it."""
    if reply.status == 404:
        return None
    try:
        answer = decode(reply.body, _SIGNALLED)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = _SignalAnswer(error=reply.body[:300].decode(errors="replace"))
    if reply.status != 200 or answer.error:
        raise Error(f"sending a signal failed: HTTP {reply.status}: {answer.error}")
    return None if answer.data is None else answer.data.run_id


class _SignalledRun(msgspec.Struct):
    run_id: str | None = None


class _SignalAnswer(msgspec.Struct):
    data: _SignalledRun | None = None
    error: str | None = None


_SIGNALLED = msgspec.json.Decoder(_SignalAnswer)


def _checked(logger: Logger) -> Logger:
    if callable(getattr(logger, "info", None)) and callable(getattr(logger, "error", None)):
        return logger
    raise ConfigurationError(
        f"logger = {logger!r}: give one of logging, structlog or loguru, or an object with methods"
        " such as info and error"
    )
