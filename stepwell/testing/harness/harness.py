"""What a test holds in its hand: the engine, the clock, the stubs. For tests that are coroutines;
`harness_sync.py` is the same for those that are not."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar, cast

from stepwell.embedded import InProcess
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.dependency import Provider, override
from stepwell.sdk.function.function import Function
from stepwell.sdk.realtime.topic import Topic
from stepwell.sdk.send.outgoing import Sendable
from stepwell.server.engine.message.input import CancelAsked
from stepwell.server.node import Node
from stepwell.server.store.port import RunFilter
from stepwell.testing.harness.app import App, app_of, apps_of, clients_of
from stepwell.testing.harness.clock import (
    START,
    StandingClock,
    instant_ms,
    length_ms,
    moment_of,
)
from stepwell.testing.harness.engine import HarnessEngine
from stepwell.testing.harness.errors import HarnessError
from stepwell.testing.harness.order import Order
from stepwell.testing.harness.points import Points
from stepwell.testing.harness.port import BeginningPort
from stepwell.testing.harness.run import Look, Run, Sent
from stepwell.testing.harness.stub import Raisable, Stub, Stubs
from stepwell.testing.replay import misfit, read_recorded, step_words, with_results
from stepwell.wire.recorded_run import NotRecorded, RecordedRun

T = TypeVar("T")

RUNS_MAX = 10_000
PATIENCE_MS = 400 * 86_400_000
"""How far `advance(until=run)` goes: beyond the longest sleep and wait there are."""


class Harness:
    """The real engine in memory, on a clock that stands still until the test moves it.

    After each call of `send`, `invoke`, `signal`, `cancel`, `advance` and `freeze`, whatever is due
    has been done. Nothing leaves the process.
    """

    def __init__(
        self,
        module: ModuleType | None = None,
        *,
        now: dt.datetime | str = START,
        seed: int = 0,
        order: Order | None = None,
    ) -> None:
        """A harness for the apps that a test module is about; nothing runs before it is used.

        Args:
            module: Where clients and functions are looked for: here, and in what it imports of the
                project. None: only what `serve` names.
            now: When the test begins: an aware datetime, or a text as ISO 8601 writes it.
            seed: What ids are drawn with.
            order: In which order things happen that may happen in any.

        Raises HarnessError for a time that is none.
        """
        self._seed = seed
        self._began_ms = instant_ms(now, "now")
        self._clock = StandingClock(self._began_ms)
        self._order = order
        self._points: Points | None = None
        self._stubs = Stubs()
        self._overrides = ExitStack()
        self._apps: list[App] = []
        self._engine: HarnessEngine | None = None
        self._functions: dict[str, Function[Any]] = {}
        self._look = Look(self._node, self._functions)
        self._loop: Callable[[], asyncio.AbstractEventLoop | None] = _unknown
        self._guarded: list[Inngest] = []
        self._found: list[App] = []
        self._unclear: HarnessError | None = None
        if module is not None:
            self._find(module)

    def _find(self, module: ModuleType) -> None:
        for client in clients_of(module):
            self._guard(client)
        try:
            self._found = apps_of(module)
        except HarnessError as error:
            self._unclear = error  # unless the test names what it is about

    def _guard(self, client: Inngest) -> None:
        """From now on nothing of this client leaves the process."""
        if client not in self._guarded:
            self._guarded.append(client)
            client.attach(BeginningPort(self._port, self._where, self._now_ms))

    async def _port(self) -> InProcess:
        return (await self._running()).port

    def _where(self) -> asyncio.AbstractEventLoop | None:
        return self._loop()

    def _now_ms(self) -> int:
        return self._clock.now_ms()

    def run_on(self, loop: Callable[[], asyncio.AbstractEventLoop | None]) -> None:
        """Where the engine is to run, for whoever sends from elsewhere; until this is said, where
        it is first used."""
        self._loop = loop

    # What is tested

    def serve(self, client: Inngest, functions: Sequence[Function[Any]]) -> None:
        """Test these functions of a client, in place of those that are found. Before the first
        event. Raises HarnessError naming what is wrong with them."""
        if self._engine is not None:
            raise HarnessError("serve(...) comes too late: call it before anything is sent")
        self._apps.append(app_of(client, functions))
        self._guard(client)

    def stub(
        self,
        step: str,
        *,
        returns: Any = None,
        raises: Sequence[Raisable] | Raisable | None = None,
        calls: Any = None,
    ) -> Stub:
        """From now on, answer for a step in place of its handler, or of the server.

        Args:
            step: The step's id, in whichever function.
            returns: What it gives. For a step that waits for an event: an Event, or None for one
                that waits in vain.
            raises: An exception that each try raises; or a list, one for each try, after which the
                step gives what it `returns`.
            calls: A function that is called with the step's arguments in its place.

        Returns the stub, to be asked what it was called with. A stub that is never used fails the
        test at its end. Raises HarnessError for what cannot be meant.
        """
        return self._stubs.add(step, returns, raises, calls)

    def override(self, provider: Provider, replacement: Provider) -> None:
        """Until the test ends, ask `replacement` in place of a provider of `Depends`. Raises
        HarnessError for what is no function."""
        for name, given in (("provider", provider), ("replacement", replacement)):
            if not callable(given):
                raise HarnessError(f"override({name}={given!r}): give a function, called for it")
        self._overrides.enter_context(override(provider, replacement))

    # What happens

    async def send(
        self, events: Sendable | Iterable[Sendable], *, client: Inngest | None = None
    ) -> Sent:
        """Send events as the application does, and do what is due by them.

        `client` is the one that sends, if there are several: else the first.
        """
        engine = await self._running()
        listed: list[Any] = list(events) if isinstance(events, list | tuple) else [events]
        sent = await (client or self._client()).send(listed)
        await engine.settle()
        return Sent(sent, [_name_of(event) for event in listed], self._look)

    async def invoke(
        self, function: Function[Any, Any], data: object = None, *, client: Inngest | None = None
    ) -> Run:
        """Start a function with this data, whatever its triggers, and do what is due by it."""
        engine = await self._running()
        if not isinstance(cast(object, function), Function):
            raise HarnessError(f"invoke({function!r}): give what create_function made")
        self._check_served("invoke", function.id)
        run_id = await (client or self._client()).invoke(function, data=data, wait=False)
        await engine.settle()
        return Run(run_id, self._look)

    async def signal(self, name: str, data: object = None) -> Run | None:
        """Send a signal; the run that waited for it, None if none did."""
        engine = await self._running()
        run_id = await self._client().send_signal(name, data)
        await engine.settle()
        return None if run_id is None else Run(run_id, self._look)

    async def replay(
        self,
        file: str | Path,
        *,
        before: str | None = None,
        results: Mapping[str, object] | None = None,
    ) -> Run:
        """Go on with a run that was exported elsewhere, by the code as it is now.

        Its stored steps are not done again; what comes after them is. `before` names a step, as
        `Run.steps` does: it and all that ended after it are done anew, too. `results` are other
        results of steps, by name: a value that is JSON, or the exception that a step failed with.
        What ended after the last of these is done anew, unless `before` says how much.

        Raises HarnessError for a file that holds no run, for a step that it has not, for a
        function that is not served, and if the code no longer asks for the steps that are kept:
        the text names the first.
        """
        engine = await self._running()
        try:
            recorded = with_results(read_recorded(file), results or {})
        except NotRecorded as error:
            raise HarnessError(f"replay: {error}") from None
        self._check_served("replay", recorded.function)
        function = self._functions[recorded.function]
        (client,) = (app.client for app in self._apps if function in app.functions)
        count = _kept(recorded, before, results or {})
        if problem := await misfit(recorded, function, client, steps=count):
            raise HarnessError(f"replay {file}: {problem}")
        return Run(await engine.replay(recorded, count), self._look)

    async def cancel(self, run: Run) -> None:
        """Cancel a run, as an operator does."""
        engine = await self._running()
        await engine.node.ledger.submit(CancelAsked(run.id))
        await engine.settle()

    def runs(self, function: Function[Any, Any] | None = None) -> list[Run]:
        """The runs of a function, or all, in the order in which they were started."""
        wanted = () if function is None else (function.id,)
        rows = self._node().reader.runs(RunFilter(functions=wanted, ascending=True, limit=RUNS_MAX))
        return [Run(row.id, self._look) for row in rows]

    def published(self, topic: Topic[T]) -> list[T]:
        """What was told to the subscribers of a topic, in order. Raises ConfigurationError for a
        topic whose channel has blanks."""
        place = topic.place
        told = [] if self._engine is None else self._engine.published
        return [topic.codec.decode(one.data) for one in told if one.place == place]

    # Time

    @property
    def now(self) -> dt.datetime:
        """The time of the test, in UTC. Only `advance` and `freeze` move it."""
        return moment_of(self._clock.now_ms())

    async def advance(
        self,
        by: dt.timedelta | None = None,
        *,
        until: Run | None = None,
        **parts: float,
    ) -> None:
        """Let time pass: each thing that falls due is done at its time, in order.

        `advance(days=3)`, `advance(hours=1, minutes=30)` and so on as in a timedelta, which may be
        given as well. `advance(until=run)` lets as much pass as the run needs to end.

        Raises HarnessError for a length below 0, and for a run that will never end by itself.
        """
        engine = await self._running()
        if until is not None:
            if by is not None or parts:
                raise HarnessError("advance: give a length of time or a run, not both")
            await self._advance_to_end(engine, until)
            return
        to_ms = self._clock.now_ms() + length_ms(by, parts)
        while await engine.next_due(to_ms):
            pass
        await engine.jump(to_ms)

    async def _advance_to_end(self, engine: HarnessEngine, run: Run) -> None:
        last_ms = self._clock.now_ms() + PATIENCE_MS
        await engine.settle()
        while run.waits_for:
            if not await engine.next_due(last_ms):
                raise HarnessError(
                    f"the run of {run.function} does not end by itself: {run.waits_for}"
                )

    async def run_until_idle(self) -> None:
        """Do whatever is due now, such as what the application itself has sent. The clock stays."""
        await (await self._running()).settle()

    async def freeze(self, at: dt.datetime | str) -> None:
        """Set the clock, as if the server had stood still until then: what fell due meanwhile is
        done at this time. Raises HarnessError for a time that has passed."""
        to_ms = instant_ms(at, "freeze")
        if to_ms < self._clock.now_ms():
            raise HarnessError(
                f"freeze({at!s}) is before {self.now.isoformat()}, where the test is: time goes"
                " forward only; say when it begins with @pytest.mark.stepwell(now=...)"
            )
        if self._engine is None:
            self._clock.set(to_ms)
        else:
            await self._engine.jump(to_ms)

    # Beginning and end

    async def __aenter__(self) -> Self:
        """For use without a fixture: `async with Harness() as stepwell:`."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Check the stubs, if nothing else went wrong, and close."""
        try:
            if kind is None:
                self.check()
        finally:
            await self.close()

    def begin(self, points: Points | None, order: Order | None) -> None:
        """Begin anew: for one of several passes through a test (`passes`). Raises HarnessError if
        something runs already."""
        if self._engine is not None:
            raise HarnessError(
                "a test that is gone through several times begins with nothing: send in the test"
                " itself, not in its fixtures, which are made once"
            )
        self._clock = StandingClock(self._began_ms)
        self._stubs.begin()
        self._points, self._order = points, order

    async def stop(self) -> None:
        """Abandon what is left; a further use begins anew. Idempotent."""
        engine, self._engine = self._engine, None
        guarded, self._guarded = self._guarded, []
        for client in guarded:
            self._guard(client)
        if engine is not None:
            await engine.stop()

    async def close(self) -> None:
        """Abandon what is left; the application's clients are as before. Idempotent."""
        self._overrides.close()
        try:
            await self.stop()
        finally:
            for client in self._guarded:
                client.attach(None)

    def check(self) -> None:
        """Raises HarnessError for a stub that was never used and never asked after."""
        self._stubs.check()

    async def _running(self) -> HarnessEngine:
        if self._engine is None:
            if not self._apps:
                if self._unclear is not None:
                    raise self._unclear
                self._apps = self._found
            self._functions.update({f.id: f for app in self._apps for f in app.functions})
            engine = HarnessEngine(
                self._apps,
                self._guarded,
                self._clock,
                self._stubs,
                seed=self._seed,
                order=self._order,
                points=self._points,
            )
            self._engine = engine
        await self._engine.start()
        return self._engine

    def _check_served(self, asked: str, function: str) -> None:
        if function not in self._functions:
            known = ", ".join(sorted(self._functions)) or "none"
            raise HarnessError(
                f'{asked}: function "{function}" is not served here (served: {known}): name it'
                " with stepwell.serve(client, [...])"
            )

    def _node(self) -> Node:
        if self._engine is None:
            raise HarnessError("there are no runs: nothing was sent yet, or the test is over")
        return self._engine.node

    def _client(self) -> Inngest:
        if not self._apps:
            raise HarnessError(
                "no client was found in this test's module, nor in what it imports: import the"
                " application's, or name it with stepwell.serve(client, [...])"
            )
        return self._apps[0].client


def _unknown() -> None:
    """Nobody has said yet where the engine is to run."""


def _kept(recorded: RecordedRun, before: str | None, results: Iterable[str]) -> int:
    """How many of the steps are kept: those before one, or up to the last that ended otherwise."""
    changed = {word: _place_of(recorded, word) for word in results}
    if before is None:
        return max(changed.values()) + 1 if changed else len(recorded.steps)
    count = _place_of(recorded, before)
    for word, place in changed.items():
        if place >= count:
            raise HarnessError(f'replay: step "{word}" is done anew, because of before="{before}"')
    return count


def _place_of(recorded: RecordedRun, before: str) -> int:
    """How many steps had ended before this one."""
    names = list(step_words(recorded).values())
    if before not in names:
        known = ", ".join(f'"{name}"' for name in names) or "none"
        raise HarnessError(f'replay: the run has no step "{before}" (it has {known})')
    return names.index(before)


def _name_of(event: object) -> str:
    name: object = getattr(event, "name", "")
    return name if isinstance(name, str) else ""
