"""The engine inside your own process: functions, queue, scheduler and state together.

    engine = Engine(client, [fn], database="app.db")

    async with engine:                      # a script or a notebook
        await client.send(Event(name="shop/order", data={"id": 1}))

    app = FastAPI(lifespan=engine.lifespan)  # a web application

The same code later talks to a server: leave the engine out and the client uses HTTP again. Only
this module knows both the SDK and the server.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import msgspec

from stepwell.sdk.background import BackgroundLoop
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import Error
from stepwell.sdk.events.registry import event_schemas
from stepwell.sdk.execution.run import run_call
from stepwell.sdk.extra import Extra
from stepwell.sdk.function.function import Function
from stepwell.sdk.invoke.port import Invoked, RunSeen
from stepwell.sdk.net.agent import SDK_IN_BODY
from stepwell.sdk.realtime.port import Publication, SubscriptionEnded
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.sdk.serve.framework import Framework
from stepwell.wire.duration import format_instant, parse_duration_ms
from stepwell.wire.event import decode_events
from stepwell.wire.execution import CallRequest, CallResponse
from stepwell.wire.failure import decode_failure
from stepwell.wire.identifier import (
    ENTROPY_BYTES,
    FIRST_SEEDED,
    Seed,
    parse_seed,
    seeded_ulid,
    ulid_at,
)
from stepwell.wire.lifecycle import Invocation, function_invoked
from stepwell.wire.limit_state import LimitNumbers, LimitState
from stepwell.wire.metadata import MetadataTarget, Updates
from stepwell.wire.realtime import DATA, Message, TopicPlace
from stepwell.wire.registration import Registration

with Extra("server", "an engine of your own"):
    from starlette.types import ASGIApp, Scope

    from stepwell.server.advice import advice
    from stepwell.server.api.access.role import Caller
    from stepwell.server.config import Postgres
    from stepwell.server.drivers.gateway_driver import GatewayDriver
    from stepwell.server.drivers.http_pool import HttpPool
    from stepwell.server.drivers.local_driver import LocalCall, LocalDriver
    from stepwell.server.drivers.port import Save
    from stepwell.server.engine.message.input import (
        Done,
        Input,
        InvokeAsked,
        LimitDropped,
        LimitSet,
        RunAnnotated,
        SignalSent,
        Verdict,
    )
    from stepwell.server.engine.row.annotation import updates_of
    from stepwell.server.engine.row.event import event_row
    from stepwell.server.engine.row.key import Role
    from stepwell.server.engine.row.run import Run, RunStatus
    from stepwell.server.engine.rules import DEFAULT, Rules
    from stepwell.server.intake import PART, Refused, received, registered
    from stepwell.server.ledger import EngineFault, LedgerClosed
    from stepwell.server.mounted import Mounted, Place
    from stepwell.server.node import GRACE_S, RETENTION_MS, Node
    from stepwell.server.postgres_store import postgres_store
    from stepwell.server.query.limits import limit_state
    from stepwell.server.query.run_object import ENVIRONMENT_ID
    from stepwell.server.realtime.hub import Subscriber, Told, TooManySubscribers
    from stepwell.server.registration import app_registered
    from stepwell.server.runtime.asked import asked
    from stepwell.server.store.port import Store, StoreError, Unstorable
    from stepwell.server.store.sqlite.scratch import ScratchStore
    from stepwell.server.store.sqlite.store import SqliteStore

T = TypeVar("T")

DATABASE = "stepwell.db"
MEMORY = ":memory:"
POSTGRESQL = ("postgresql://", "postgres://")
CONCURRENCY = 256
FRAMEWORK = Framework.EMBEDDED

HEARING_S = 60.0
URL = "http://embedded.invalid"
"""Where calls would go if they went anywhere: a registered function must name a URL."""


class EngineError(Error):
    """The engine could not do what was asked: its database refused, or it is stopping. The text
    says why."""


@contextlib.contextmanager
def _in_sdk_words(asked: str) -> Generator[None]:
    """What goes wrong in the engine is an error of the SDK for whoever uses it."""
    try:
        yield
    except (StoreError, EngineFault, LedgerClosed) as error:
        raise EngineError(f"{asked}: {error}") from error


class StepRefused(Error):
    """A finished step was not kept, because its run has ended or somebody else has taken it up."""


class Viewer(msgspec.Struct, frozen=True):
    """Who looks at the dashboard: a name, which the audit keeps beside what they change, and what
    they may: "read" looks, "operate" also cancels, runs again, sends and pauses, "admin" also reads
    the audit."""

    name: str
    role: Literal["read", "operate", "admin"] = "operate"


_ANYBODY = Viewer("dashboard")


class Engine:
    """Everything durable, in this process. An async context manager.

    Events that the client sends are stored by the engine and never leave the process.
    """

    def __init__(
        self,
        client: Inngest,
        functions: Sequence[Function[Any]],
        *,
        database: str | Path = DATABASE,
        durability: Literal["full", "relaxed"] = "full",
        concurrency: int = CONCURRENCY,
        retention_days: float = RETENTION_MS / 86_400_000,
        rules: Rules = DEFAULT,
        grace_seconds: float = GRACE_S,
    ) -> None:
        """Prepare an engine; nothing happens before it is started.

        Args:
            client: The app's client; while the engine runs, its events go to the engine.
            functions: The app's functions.
            database: File of the SQLite database, or ":memory:" to keep nothing; or the URI of a
                PostgreSQL database, "postgresql://user:password@host:5432/name", which many
                processes may use at the same time (it needs the extra `postgres`).
            durability: "full" survives a lost machine: every commit is flushed to disk before it
                is acknowledged. "relaxed" survives a killed process, not a power failure.
            concurrency: How many calls of functions may be under way at once.
            retention_days: How long ended runs and their events are kept; 0 keeps them for ever.
            rules: Numbers of the engine, such as the retry interval.
            grace_seconds: How long `stop` waits for calls under way.
        """
        _check(database, durability, concurrency, retention_days, grace_seconds)
        self._apps: list[tuple[Inngest, tuple[Function[Any], ...]]] = []
        self._database = str(database)
        self._durability: Literal["full", "relaxed"] = durability
        self._concurrency = concurrency
        self._retention_ms = int(retention_days * 86_400_000)
        self._rules = rules
        self._grace_s = grace_seconds
        self._pool = HttpPool()
        """For the requests a function has its server make: `step.fetch` and `step.ai.infer`."""
        self._node: Node | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mounted: list[Mounted] = []
        self._background: BackgroundLoop | None = None
        self.add(client, functions)

    def add(self, client: Inngest, functions: Sequence[Function[Any]]) -> None:
        """One more app in the same engine. Before it is started."""
        if self._node is not None:
            raise RuntimeError("add apps before the engine is started")
        _check_app(client, functions)
        served = tuple(one for function in functions for one in function.served())
        _refuse_duplicates(served)
        self._apps.append((client, served))

    @property
    def node(self) -> Node:
        """The running node. Raises RuntimeError while the engine is not started."""
        if self._node is None:
            raise RuntimeError("the engine is not running: use `async with engine:` or start()")
        return self._node

    async def start(self) -> None:
        """Open the database and take up all work, on the running event loop.

        Raises EngineError where the database cannot be used: another process has it, its folder
        is not there, it is damaged.
        """
        if self._node is not None:
            raise RuntimeError("the engine is running already")
        self._loop = asyncio.get_running_loop()
        with _in_sdk_words("the engine cannot start"):
            node = self._node = await self._opened()
        try:
            node.reach_gateway(GatewayDriver(self._pool), self._concurrency)
            for client, functions in self._apps:
                await attach(node, client, functions, concurrency=self._concurrency)
            await node.start()  # last: what is due may be events that these functions listen to
        except BaseException:
            await self.stop()
            raise

    async def _opened(self) -> Node:
        """The node over its database: opened beside the loop, as it may take a while."""
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            node = (await asyncio.gather(opening, return_exceptions=True))[0]
            if isinstance(node, Node):
                await node.stop()
            raise

    def _open(self) -> Node:
        return Node(
            _store(self._database, self._durability),
            rules=self._rules,
            retention_ms=self._retention_ms,
            grace_s=self._grace_s,
        )

    async def stop(self) -> None:
        """Let calls under way end, then close the database. What is left goes on next time."""
        node, self._node = self.node, None
        for client, _ in self._apps:
            client.attach(None)
        for mounted in self._mounted:
            mounted.close()
        await node.stop()
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        """For FastAPI, Starlette and others: `FastAPI(lifespan=engine.lifespan)`."""
        async with self:
            yield

    def start_in_background(self) -> None:
        """Run on a thread of its own: for Flask, Django, and programs without an event loop."""
        self._background = BackgroundLoop()
        self._background.run(self.start())

    def stop_in_background(self) -> None:
        """The counterpart of `start_in_background`."""
        if self._background is None:
            raise RuntimeError("the engine was not started in the background")
        self._background.run(self.stop())
        self._background.stop()
        self._background = None

    def dashboard(
        self, who: Callable[["Scope"], Viewer | None] = lambda scope: _ANYBODY
    ) -> "ASGIApp":
        """The dashboard as an ASGI app to mount, behind a login of your own:
        `app.mount("/stepwell", engine.dashboard())`. It asks for no key and lets in whoever reaches
        it. While the engine does not run it answers 503.

        Args:
            who: Who looks, by the ASGI scope of a request; called for each, on the application's
                loop. None refuses the request with 403. By default everybody may operate.
        """

        def caller(scope: Scope) -> Caller | None:
            viewer = who(scope)
            if viewer is None:
                return None
            return Caller(Role[viewer.role.upper()], viewer.name)

        self._mounted.append(Mounted(self._place, caller))
        return self._mounted[-1]

    def _place(self) -> "Place | None":
        if self._node is None or self._loop is None:
            return None
        return Place(self._node, self._loop)

    async def result_of(self, event_id: str, *, timeout_seconds: float | None = None) -> object:
        """What the run that an event started returned. Waits until it has ended.

        Raises LookupError if the event started no run, TimeoutError if it takes longer, and
        RunFailed if the run failed or was cancelled.
        """
        with _in_sdk_words(f"event {event_id}"):
            reader = self.node.reader
            runs = await asked(reader, partial(reader.runs_of_event, event_id))
        if not runs:
            raise LookupError(f"event {event_id} started no run: does a function listen to it?")
        run = await self.node.run_ended(runs[0].id, timeout_seconds)
        return _output(run)


async def attach(
    node: Node,
    client: Inngest,
    functions: Sequence[Function[Any]],
    *,
    concurrency: int = CONCURRENCY,
    alone: bool = True,
) -> None:
    """Serve an app's functions from this process, on a node that runs on the current loop.

    `functions` are all that may be called, companions included (`Function.served`). From now on
    the client's events, invocations and signals go to the node. `alone` says that nothing serves
    the node's API, so that there is nothing else to be asked.
    """
    await register(node, client, functions)
    call = local_call(lambda: client, functions)
    node.reach(client.app_id, LocalDriver(call, node.clock), concurrency)
    client.attach(InProcess(node, asyncio.get_running_loop()), alone=alone)


class RunFailed(Error):
    """A run ended without a result. `run_id` names it; the text is its error, name and message."""

    def __init__(self, run_id: str, message: str) -> None:
        super().__init__(message)
        self.run_id = run_id


def _output(run: Run) -> object:
    if run.status is RunStatus.COMPLETED:
        return None if run.output is None else msgspec.json.decode(run.output)
    if run.status is RunStatus.CANCELLED or run.output is None:
        raise RunFailed(run.id, f"run {run.id} was {run.status.word.lower()}")
    raise RunFailed(run.id, f"run {run.id} failed: {decode_failure(run.output).told}")


def _refuse_duplicates(functions: Sequence[Function[Any]]) -> None:
    seen: set[str] = set()
    for function in functions:
        if function.id in seen:
            raise ValueError(
                f'Duplicate function ID "{function.id}"; please change a function\'s name or'
                " provide an explicit ID to avoid conflicts."
            )
        seen.add(function.id)


def _check(
    database: object,
    durability: str,
    concurrency: int,
    retention_days: float,
    grace_seconds: float,
) -> None:
    if not isinstance(database, str | Path) or not str(database):
        raise ValueError(f'database = {database!r}: name a file, or ":memory:" to keep nothing')
    if durability not in ("full", "relaxed"):
        raise ValueError(f'durability = {durability!r}: use "full" or "relaxed"')
    if concurrency < 1:
        raise ValueError(f"concurrency = {concurrency}: at least one call must be possible")
    if retention_days < 0:
        raise ValueError(f"retention_days = {retention_days}: use 0 to keep runs for ever")
    if grace_seconds < 0:
        raise ValueError(f"grace_seconds = {grace_seconds}: use 0 to wait for nobody")


def _check_app(client: object, functions: Sequence[object]) -> None:
    if not isinstance(client, Inngest):
        raise TypeError(f"client = {client!r}: give the app's stepwell.Inngest")
    for place, function in enumerate(functions):
        if not isinstance(function, Function):
            raise TypeError(
                f"functions[{place}] = {function!r}: give what create_function made of a handler"
            )


def _store(database: str, durability: Literal["full", "relaxed"]) -> Store:
    if database == MEMORY:
        return ScratchStore()
    if database.startswith(POSTGRESQL):
        return postgres_store(Postgres(database), durability)
    return SqliteStore(database, durability=durability)


async def register(node: Node, client: Inngest, functions: Sequence[Function[Any]]) -> None:
    """Tell a node of an app and its functions."""
    kinds = [kind for function in functions for kind in function.kinds]
    registration = Registration(
        app_name=client.app_id,
        url=URL,
        sdk=SDK_IN_BODY,
        framework=FRAMEWORK,
        app_version=client.app_version or "",
        functions=tuple(function.config(URL) for function in functions),
        event_schemas=event_schemas(client.schemas, kinds),
    )
    catalog = node.ledger.catalog
    given = app_registered(registration, "local", catalog, node.clock.now_ms())
    await registered(node.ledger, given)
    for warning in advice(registration.functions):
        client.log.warning("%s", warning)


def local_call(client: Callable[[], Inngest], functions: Sequence[Function[Any]]) -> LocalCall:
    """How the functions of an app in this process are called, each time for the client that there
    is then."""
    by_id = {function.id: function for function in functions}

    async def call(slug: str, target: str, request: CallRequest, save: Save) -> CallResponse:
        async def keep(operations: Any) -> None:
            done = await save(operations)
            if done.verdict is not Verdict.APPLIED:
                raise StepRefused(done.reason)

        # A targeted call answers for one step; only discoveries go on from step to step.
        function, told = by_id[slug], client()
        goes_on = target == "step" and function.saves_steps(told.checkpointing)
        live = keep if goes_on else None
        return await run_call(function, request, client=told, target=target, save=live)

    return call


class InProcess:
    """The client's way to the engine: the same as over HTTP, without the way."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`loop` is the one the node runs on; `entropy` gives the chance of ids."""
        self._node = node
        self._loop = loop
        self._entropy = entropy

    def now_ms(self) -> int:
        """The engine's time, in milliseconds since 1970."""
        return self._node.clock.now_ms()

    async def deliver(self, batch: EventBatch) -> Delivery:
        """Store the events; answers after the commit."""
        return await self.there(self._deliver(batch))

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        """The same for blocking code, which must not be on the engine's own loop."""
        return self._there_sync(self._deliver(batch), "send")

    async def start(self, invoked: Invoked) -> str:
        """Start a run; answers after the commit."""
        return await self.there(self._start(invoked))

    def start_sync(self, invoked: Invoked) -> str:
        """The same for blocking code, which must not be on the engine's own loop."""
        return self._there_sync(self._start(invoked), "invoke")

    async def look(self, run_id: str, wait_seconds: float) -> RunSeen:
        """The run when it has ended, or as it is after so long."""
        return await self.there(self._look(run_id, wait_seconds))

    def look_sync(self, run_id: str, wait_seconds: float) -> RunSeen:
        """The same for blocking code, which must not be on the engine's own loop."""
        return self._there_sync(self._look(run_id, wait_seconds), "invoke")

    async def signal(self, name: str, data: msgspec.Raw) -> str | None:
        """Deliver a signal once; the run that waited for it, None if none did."""
        return await self.there(self._signal(name, data))

    def signal_sync(self, name: str, data: msgspec.Raw) -> str | None:
        """The same for blocking code, which must not be on the engine's own loop."""
        return self._there_sync(self._signal(name, data), "send_signal")

    async def _signal(self, name: str, data: msgspec.Raw) -> str | None:
        answer = await self._done(f'signal "{name}"', SignalSent(name, bytes(data)))
        return answer.subject if answer.verdict is Verdict.APPLIED else None

    async def annotate(self, run_id: str, target: MetadataTarget, updates: Updates) -> None:
        """Keep what is said of a run; answers after the commit."""
        await self.there(self._annotate(run_id, target, updates))

    def annotate_sync(self, run_id: str, target: MetadataTarget, updates: Updates) -> None:
        """The same for blocking code, which must not be on the engine's own loop."""
        self._there_sync(self._annotate(run_id, target, updates), "metadata")

    async def _annotate(self, run_id: str, target: MetadataTarget, updates: Updates) -> None:
        rows = updates_of(run_id, target, updates, self._node.clock.now_ms())
        answer = await self._done(f"metadata of run {run_id}", RunAnnotated(run_id, rows))
        if answer.verdict is not Verdict.APPLIED:
            raise Error(f"nothing was kept of run {run_id}: {answer.reason}")

    async def publish(self, publication: Publication) -> None:
        """Tell whoever subscribes in this process."""
        await self.there(self._publish(publication))

    def publish_sync(self, publication: Publication) -> None:
        """The same for blocking code, which must not be on the engine's own loop."""
        self._there_sync(self._publish(publication), "realtime.publish")

    async def _publish(self, publication: Publication) -> None:
        message = Message(
            DATA,
            publication.data,
            channel=publication.place.channel,
            topic=publication.place.topic,
            created_at=format_instant(self._node.clock.now_ms()),
            env_id=ENVIRONMENT_ID,
            run_id=publication.run_id,
        )
        self._node.hub.publish(message)

    async def listen(self, topics: Sequence[TopicPlace], since: str) -> "Hearing":
        """Hear of topics from now on, or from what came after a message with this id."""
        return Hearing(self, await self.there(self._subscribe(topics, since)))

    async def _subscribe(self, topics: Sequence[TopicPlace], since: str) -> Subscriber:
        try:
            return self._node.hub.subscribe(topics, since)
        except TooManySubscribers as full:
            raise Error(str(full)) from None

    async def limits(self) -> list[LimitState]:
        """Every named limit."""
        return await self.there(self._limits())

    def limits_sync(self) -> list[LimitState]:
        """The same for blocking code, which must not be on the engine's own loop."""
        return self._there_sync(self._limits(), "limits")

    async def set_limit(self, name: str, numbers: LimitNumbers) -> LimitState:
        """Give a limit other numbers; answers after the commit."""
        return await self.there(self._set_limit(name, numbers))

    def set_limit_sync(self, name: str, numbers: LimitNumbers) -> LimitState:
        """The same for blocking code, which must not be on the engine's own loop."""
        return self._there_sync(self._set_limit(name, numbers), "set_limit")

    async def reset_limit(self, name: str) -> LimitState:
        """Let the numbers of the code hold again. Raises Error where there is no such limit."""
        return await self.there(self._reset_limit(name))

    def reset_limit_sync(self, name: str) -> LimitState:
        """The same for blocking code, which must not be on the engine's own loop."""
        return self._there_sync(self._reset_limit(name), "reset_limit")

    async def _limits(self) -> list[LimitState]:
        return [self._limit(name) for name in sorted(self._node.ledger.catalog.limits)]

    async def _set_limit(self, name: str, numbers: LimitNumbers) -> LimitState:
        period_ms = parse_duration_ms(numbers.period) if numbers.period else 0
        given = LimitSet(name, numbers.concurrency, numbers.rate, period_ms)
        await self._done(f'limit "{name}"', given)
        return self._limit(name)

    async def _reset_limit(self, name: str) -> LimitState:
        answer = await self._done(f'limit "{name}"', LimitDropped(name))
        if answer.verdict is Verdict.GONE:
            raise Error(answer.reason)
        return self._limit(name)

    def _limit(self, name: str) -> LimitState:
        catalog, now_ms = self._node.ledger.catalog, self._node.clock.now_ms()
        return limit_state(self._node.reader, catalog, name, now_ms)

    async def _done(self, what: str, given: Input) -> Done:
        """What the engine makes of an input. Raises EngineError if it can make nothing of it."""
        with _in_sdk_words(what):
            answer = await self._node.ledger.submit(given)
        assert isinstance(answer, Done)
        return answer

    async def there(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives on the engine's own loop."""
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _there_sync(self, work: Coroutine[Any, Any, T], verb: str) -> T:
        running = None
        with contextlib.suppress(RuntimeError):
            running = asyncio.get_running_loop()
        if running is self._loop:
            work.close()
            raise RuntimeError(
                f"{verb}_sync would block the event loop the engine runs on:"
                f" use `await client.{verb}`"
            )
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self, invoked: Invoked) -> str:
        now_ms = self._node.clock.now_ms()
        event_id = ulid_at(now_ms, self._entropy(ENTROPY_BYTES))
        event = function_invoked(
            event_id,
            now_ms,
            Invocation(invoked.slug),
            data=invoked.data,
            user=invoked.user,
            v=invoked.v,
        )
        given = InvokeAsked(event_row(event_id, event, now_ms), invoked.slug)
        answer = await self._done(f'invoke "{invoked.slug}"', given)
        if answer.verdict is Verdict.GONE:
            raise Error(f'invoke "{invoked.slug}": {answer.reason}')
        return answer.subject

    async def _look(self, run_id: str, wait_seconds: float) -> RunSeen:
        with _in_sdk_words(f"run {run_id}"):
            with contextlib.suppress(TimeoutError):
                await self._node.run_ended(run_id, wait_seconds)
            reader = self._node.reader
            run = await asked(reader, partial(reader.run, run_id))
        if run is None:
            raise Error(f"run {run_id}: there is none")
        return RunSeen(run.id, run.status.word, msgspec.Raw(run.output or b"null"))

    async def _deliver(self, batch: EventBatch) -> Delivery:
        now_ms = self._node.clock.now_ms()
        decoded = decode_events(batch.body, None, now_ms)
        seed = parse_seed(batch.seed) or Seed(now_ms, self._entropy(ENTROPY_BYTES))
        rows = tuple(
            event_row(seeded_ulid(seed, place), event, now_ms)
            for place, event in enumerate(decoded.events, FIRST_SEEDED)
        )
        ids: tuple[str, ...] = ()
        if rows:
            # A part may be stored and the rest refused: then the same comes again.
            fresh = batch.fresh and len(rows) <= PART
            try:
                ids = await received(self._node.ledger, rows, fresh=fresh)
            except Refused as refused:
                status = 400 if isinstance(refused.reason, Unstorable) else 503
                return Delivery(status, refused.ids, str(refused.reason))
        if decoded.problem is not None:
            return Delivery(400, ids, decoded.problem.told)
        return Delivery(200, ids)


class Hearing:
    """Messages of the engine in this process, on whatever loop they are wanted."""

    def __init__(self, engine: InProcess, subscriber: Subscriber) -> None:
        self._engine = engine
        self._subscriber = subscriber
        self._asked: asyncio.Future[Told | None] | None = None

    async def next(self) -> Message | None:
        """The next message; None if it read too slowly. Raises SubscriptionEnded once the engine
        has stopped."""
        # Who stops waiting here has not taken what arrives meanwhile: it is there the next time.
        if self._asked is None:
            asked = self._engine.there(self._subscriber.next(HEARING_S))
            self._asked = asyncio.ensure_future(asked)
        told = await asyncio.shield(self._asked)
        self._asked = None
        if told is not None:
            return msgspec.json.decode(told.body, type=Message)
        if self._subscriber.is_dropped:
            return None
        if self._subscriber.is_over:
            raise SubscriptionEnded
        return Message("")

    async def close(self) -> None:
        """Hear no more."""
        if self._asked is not None:
            self._asked.cancel()
        with contextlib.suppress(RuntimeError):  # the engine's loop may be gone
            await self._engine.there(self._closed())

    async def _closed(self) -> None:
        self._subscriber.close()


__all__ = [
    "Engine",
    "EngineError",
    "InProcess",
    "RunFailed",
    "StepRefused",
    "attach",
    "local_call",
    "register",
]
