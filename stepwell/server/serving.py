"""A whole server from a configuration: engine, HTTP API, drivers and pollers. The only place that
knows them all; the command line runs it, tests and programs may too.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import Self, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.server import loop_watch
from stepwell.server.api.app import api_app
from stepwell.server.api.apps.discovery import Discovery
from stepwell.server.api.apps.polling import Poller
from stepwell.server.api.deps import ApiDeps, ProcessSeen, Synced
from stepwell.server.api.routing.problem import KindHeader
from stepwell.server.config import ServerConfig
from stepwell.server.config.network import Networks
from stepwell.server.dashboard.page import Dashboard
from stepwell.server.descriptors import connections_that_fit
from stepwell.server.drivers.endpoint_driver import EndpointDriver
from stepwell.server.drivers.gateway_driver import GatewayDriver
from stepwell.server.drivers.http_driver import HttpDriver
from stepwell.server.drivers.http_pool import HttpPool
from stepwell.server.drivers.port import Driver
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.name.held import is_held
from stepwell.server.engine.row.run import AppRow, RunStatus
from stepwell.server.engine.rules import Rules
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.front.body_budget import BodyBudget
from stepwell.server.front.bounds import Bounds
from stepwell.server.front.host_guard import HostGuard
from stepwell.server.front.http_protocol import BoundedHttp
from stepwell.server.front.socket_protocol import BoundedSocket
from stepwell.server.front.watch import Watch
from stepwell.server.gateway.connect_driver import ConnectDriver
from stepwell.server.gateway.gateway import Gateway, GatewaySettings
from stepwell.server.gateway.http_endpoint import PREFIX, ConnectApi
from stepwell.server.gateway.listener import Listener
from stepwell.server.gateway.roll import workers
from stepwell.server.hosts import Hosts
from stepwell.server.listening import CannotListen, is_loopback, open_sockets, port_of, url_of
from stepwell.server.loop_watch import LoopWatch
from stepwell.server.meters import Spread
from stepwell.server.mounted import feed_from
from stepwell.server.node import GRACE_S, Node
from stepwell.server.postgres_store import postgres_store
from stepwell.server.runtime.journal import Journal
from stepwell.server.store.port import RunFilter, Store, StoreError
from stepwell.server.store.sqlite.scratch import ScratchStore
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.server.telemetry.exporter import Exporter
from stepwell.wire.connect_limit import GATEWAY_READ_BYTES_MAX
from stepwell.wire.realtime import CONNECT_PATH

log = logging.getLogger("stepwell.server")

KEEP_ALIVE_S = 65
"""Longer than what clients keep connections for: they close first, so no request is lost."""


class Server:
    """One server. `start` returns when it answers; `stop` when nothing is left undone in memory."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        sockets: Sequence[socket.socket] | None = None,
        grace_s: float = GRACE_S,
        bounds: Bounds | None = None,
        brings_apps: bool = False,
    ) -> None:
        """`sockets` that already listen take the place of the configured host and port; `bounds`
        on what a connection may hold, those of the configuration. `brings_apps` says that apps of
        this machine are being started beside the server: until they register, or `release_apps`,
        their functions are not called where they were served before.

        Raises `CannotListen`, and what the store raises when its file cannot be used.
        """
        self.config = config
        self._sockets = tuple(sockets or open_sockets(config.host, config.port))
        self._gateway_sockets = _gateway_sockets(config)
        self._grace_s = grace_s
        self._brings_apps = brings_apps
        try:
            self.node = Node(
                _store(config),
                rules=Rules(
                    retry_interval_ms=config.retry_interval_ms,
                    cron_catch_up=config.cron_catch_up,
                ),
                retention_ms=config.retention_ms or 0,
                unserved_ms=config.unserved_ms or 0,
                grace_s=grace_s,
            )
        except BaseException:
            self._close_sockets()
            raise
        cluster = self.node.store.cluster
        # Workers and pages may go on at another server of the same database.
        secret = token_bytes(32) if cluster is None else cluster.secret
        self.deps = ApiDeps(
            self.node.ledger,
            self.node.reader,
            self.node.clock,
            config,
            self._registered,
            lane=self.node.dispatcher.lane,
            named=self._named_at,
            sync=self._asked_to_register,
            workers=lambda: workers(self.gateway.sessions, self.node.clock.now_ms()),
            under_way=self.node.dispatcher.runs_called,
            process=self._process_seen,
            hub=self.node.hub,
            secret=secret,
        )
        self.node.performer.subscribe(
            Topic.RUN_ENDED, lambda announced: self.deps.ends.hear(announced.subject)
        )
        feed_from(self.node, self.deps.feed)
        self._exporter = Exporter(self.node.reader, self.node.clock, config.trace_url)
        if config.trace_url:
            self.node.performer.subscribe(
                Topic.RUN_ENDED, lambda announced: self._exporter.hear(announced.subject)
            )
        self._lag = Spread(loop_watch.BOUNDS_S)
        self._loop = LoopWatch(self._lag.add)
        self._journal = Journal(self.node.performer, self.node.reader)
        self._pool = HttpPool()
        # Requests of steps may not go everywhere, so they share no connections with calls of apps.
        networks = Networks.of(config.fetch_deny, config.fetch_allow)
        self._fetching = HttpPool(networks=networks)
        reached = (self._pool, self.node.clock.now_ms, config.signing_key)
        self._drivers: dict[str, Driver] = {
            "serve": HttpDriver(*reached),
            "api": EndpointDriver(*reached),
        }
        self._poller: Poller | None = None
        self._began_ms = self.node.clock.now_ms()
        self.gateway = Gateway(
            self.node.ledger,
            self.node.clock.now_ms,
            secret=secret,
            settings=_gateway_settings(config),
            on_slots=self._reach_workers,
            on_app=self._registered,
            had_work=self._ask_had_work,
            cluster=cluster,
        )
        self.node.clock_moved.append(self.gateway.clock_moved)
        self.node.ledger.on_catalog = self._catalog_changed
        self._workers = ConnectDriver(self.gateway)
        hosts = Hosts.of(config)
        self._watch = Watch(bounds or Bounds(connections=_connections_max(config)))
        self._listener = Listener(
            self.gateway, self._gateway_sockets, hosts, self._watch.took_the_last
        )
        connect = ConnectApi(
            self.gateway,
            secret=secret,
            now_ms=self.node.clock.now_ms,
            may_ask=self.deps.access.may_ask,
            gateway_port=lambda: self.gateway_port,
        )
        api = api_app(self.deps, Dashboard if config.ui else None)
        front: ASGIApp = _Front(api, KindHeader(connect.app, config.kind))
        self._bodies = front = BodyBudget(front, config.body_memory_bytes)
        if hosts is not None:
            front = HostGuard(front, hosts)
        self._http = _Http(_http_config(front, self._watch, grace_s))
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return port_of(self._sockets)

    @property
    def gateway_port(self) -> int:
        """The port workers connect to."""
        return port_of(self._gateway_sockets)

    @property
    def url(self) -> str:
        """Where a client on this machine finds it."""
        return url_of(self.config.host, self.port)

    async def start(self) -> None:
        """Take up all work and answer requests, on the running event loop."""
        for app in self.node.ledger.catalog.apps.values():
            if not self._awaited(app):
                self._reach(app)
        self.node.reach_gateway(GatewayDriver(self._fetching), self.config.queue_workers)
        await self.node.start()
        self.gateway.start()
        await self._listener.start()
        self._watch.start()
        self._loop.start()
        if self.config.trace_url:
            self._exporter.start()
        self._serving = asyncio.get_running_loop().create_task(
            self._http.serve(sockets=list(self._sockets))
        )
        while not self._http.started:
            if self._serving.done():
                self._serving.result()
                raise RuntimeError("the HTTP server ended before it began")
            await asyncio.sleep(0.005)
        discovery = Discovery(self._pool, self.port) if self.config.discovery else None
        self._poller = Poller(self.deps, self._pool, discovery, awaited=self._awaited)
        self._poller.start()

    async def stop(self) -> None:
        """Let calls under way end (they may still save steps), then close everything."""
        if self._poller is not None:
            await self._poller.stop()
        self.node.pump.stop()
        self.gateway.drain()
        await self.node.dispatcher.close(self._grace_s)
        await self.gateway.stop()
        await self._listener.stop()
        self.deps.ends.release()
        self.deps.feed.close()
        self.node.hub.close()
        self._http.should_exit = True
        if self._serving is not None:
            await self._serving
        await self._watch.stop()
        self._loop.stop()
        await asyncio.to_thread(self._journal.close)
        await self._exporter.stop()
        await self.node.stop()
        await self._pool.close()
        await self._fetching.close()
        self._close_sockets()

    def release_apps(self) -> None:
        """What is started beside the server is up: call all other apps where they were."""
        self._brings_apps = False
        for app in self.node.ledger.catalog.apps.values():
            self._reach(app)

    async def sync(self, url: str) -> str:
        """Ask the app at a URL to register; gives what is wrong, or nothing."""
        return (await self._asked_to_register(url)).problem

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _awaited(self, app: AppRow) -> bool:
        """Whether an app may be one that is being started: then it will tell a new address."""
        return self._brings_apps and _is_here(app)

    def _registered(self, app: AppRow) -> None:
        functions = len(self.node.ledger.catalog.of_app(app.name))
        self._journal.registered(app, functions)
        self._reach(app)

    def _catalog_changed(self, before: Catalog, after: Catalog) -> None:
        """Apps registered at another server of the same database."""
        for name, app in after.apps.items():
            if before.apps.get(name) != app:
                self._reach(app)

    def _reach(self, app: AppRow) -> None:
        if app.method in self._drivers:
            self.node.reach(app.name, self._drivers[app.method], self.config.queue_workers)
        else:
            # Until its workers take work nobody is to be called: not where it was served before.
            for driver in self._drivers.values():
                self.node.dispatcher.drop_lane(app.name, driver)

    def _reach_workers(self, place: str, slots: int) -> None:
        """So many calls of an app, or of what waits for some code of it, can be under way at its
        workers."""
        row = self.node.ledger.catalog.apps.get(place)
        if not is_held(place) and (row is None or row.method != "connect"):
            return  # it registered over HTTP since then
        if slots:
            self.node.reach(place, self._workers, slots)
        else:
            self.node.dispatcher.drop_lane(place)

    async def _asked_to_register(self, url: str) -> Synced:
        if self._poller is None:
            raise RuntimeError("the server is not started")
        return await self._poller.sync(url)

    def _named_at(self, app: str) -> str:
        """At which of the addresses in the settings an app answered."""
        return "" if self._poller is None else self._poller.named_at(app)

    def _ask_had_work(self, app: str, told: Callable[[bool], None]) -> None:
        # Whoever cannot tell waits for those who may have been at work.
        if not self.node.reader.blocks:
            had_work = True
            with suppress(StoreError):
                had_work = self._had_work(app)
            told(had_work)
            return
        asking = asyncio.ensure_future(asyncio.to_thread(self._had_work, app))
        asking.add_done_callback(
            lambda done: told(done.cancelled() or done.exception() is not None or done.result())
        )

    def _had_work(self, app: str) -> bool:
        """May a worker of this app be at work on something an earlier server gave it?"""
        wanted = RunFilter(
            statuses=(RunStatus.SCHEDULED, RunStatus.RUNNING),
            apps=(app,),
            until_ms=self._began_ms,
            limit=1,
        )
        return bool(self.node.reader.runs(wanted))

    def _process_seen(self) -> ProcessSeen:
        store = self.node.store
        path = store.path if isinstance(store, SqliteStore) else ""
        return ProcessSeen(
            began_ms=self._began_ms,
            database_bytes=_size(path),
            log_bytes=_size(f"{path}-wal"),
            connections=len(self._watch.connections),
            workers=len(self.gateway.sessions),
            body_bytes=self._bodies.held,
            bodies_refused=self._bodies.refused,
            stall_s=self._loop.longest_s,
            stall_work_s=self._loop.longest_work_s,
            lag=self._lag,
        )

    def _close_sockets(self) -> None:
        for one in (*self._sockets, *self._gateway_sockets):
            one.close()


def _is_here(app: AppRow) -> bool:
    """Whether an app is served on this machine: perhaps by a process of an earlier server."""
    return app.method == "serve" and is_loopback(app.url)


def _store(config: ServerConfig) -> Store:
    if config.postgres is not None:
        return postgres_store(config.postgres, config.durability)
    path = config.database
    if path is None:
        return ScratchStore(durability=config.durability)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SqliteStore(path, durability=config.durability)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _connections_max(config: ServerConfig) -> int:
    wanted = config.http_connections_max
    fit = connections_that_fit(wanted)
    if fit < wanted:
        log.warning(
            "at most %d connections are taken instead of %d: this process may open no more files;"
            " raise the limit (ulimit -n), or lower --http-connections-max",
            fit,
            wanted,
        )
    return fit


def _gateway_settings(config: ServerConfig) -> GatewaySettings:
    if config.kind == "cloud":
        return GatewaySettings(connections_max=config.connections_max)
    # One who develops goes back to what he had, and sees it at once.
    return GatewaySettings(connections_max=config.connections_max, former_ms=None)


def _gateway_sockets(config: ServerConfig) -> tuple[socket.socket, ...]:
    """The gateway's port, or a free one if it is taken: workers are told which."""
    try:
        return open_sockets(config.host, config.connect_gateway_port)
    except CannotListen:
        return open_sockets(config.host, 0)


class _Front:
    """Sends what is for the worker gateway there, everything else to the API."""

    def __init__(self, api: ASGIApp, connect: ASGIApp) -> None:
        self._api = api
        self._connect = connect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["type"] == "websocket" and scope["path"] != CONNECT_PATH
        if is_socket or (scope["type"] == "http" and scope["path"].startswith(PREFIX)):
            await self._connect(scope, receive, send)
        else:
            await self._api(scope, receive, send)


def _http_config(app: ASGIApp, watch: Watch, grace_s: float) -> uvicorn.Config:
    # uvicorn calls what it is given as a class; these classes need to know one thing more.
    protocol = cast("type[asyncio.Protocol]", partial(BoundedHttp, watch=watch))
    socket_protocol = cast("type[asyncio.Protocol]", partial(BoundedSocket, watch=watch))
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        http=protocol,
        ws=socket_protocol,
        ws_max_size=GATEWAY_READ_BYTES_MAX,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(grace_s) or 1,
    )


class _Http(uvicorn.Server):
    """Signals belong to whoever runs the server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the process's signal handlers alone."""
        yield
