"""The worker as users hold it: start, close, watch. It joins the parts and decides nothing.

Two threads: the caller's, whose loop runs the user's functions, and the connection's own, where the
socket, the heartbeats, the leases and the answers live. User code cannot starve them. Without
isolation both are one loop, which is quicker by two hops and at the mercy of the user's code.
"""

import asyncio
import random
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from stepwell.sdk.connect.errors import RepliesUnsentError, WorkerError, WorkerUnauthorizedError
from stepwell.sdk.connect.health import WorkerStats, serve_health
from stepwell.sdk.connect.lag import LagWatch
from stepwell.sdk.connect.option import ConnectOptions, Plan
from stepwell.sdk.connect.output import Finished, StateChanged
from stepwell.sdk.connect.phase import ConnectionState
from stepwell.sdk.connect.postbox import Postbox
from stepwell.sdk.connect.processes import ProcessPool
from stepwell.sdk.connect.protocol import WorkerProtocol
from stepwell.sdk.connect.recycle import watch as watch_limits
from stepwell.sdk.connect.runner import Input, Runner
from stepwell.sdk.connect.shell import WorkerShell
from stepwell.sdk.connect.shutdown import SignalWatch, may_watch
from stepwell.sdk.connect.spool import Spool
from stepwell.sdk.connect.statewatch import StateWatch
from stepwell.sdk.errors import ConfigurationError, Error

JOIN_TIMEOUT_S = 10.0


class WorkerConnection:
    """A connection of this process to a server. Made by `connect`; started once."""

    def __init__(self, plan: Plan, options: ConnectOptions) -> None:
        self._plan = plan
        self._options = options
        self._logger = plan.client.log
        self._states = StateWatch()
        self._lock = threading.Lock()
        self._shell: WorkerShell | None = None
        self._early: list[Input] = []
        self._begun = False
        self._close_asked = False
        self._ended: Future[None] = Future()
        self._protocol: WorkerProtocol | None = None
        self._runner: Runner | None = None
        self._lag: LagWatch | None = None
        self._task: asyncio.Task[None] | None = None
        self.health_port: int | None = None
        """Where health is asked for, once the worker has started; None if it was not wanted."""
        self.recycled: str | None = None
        """Why the worker closed by itself, if a limit of requests or memory was reached."""

    def __repr__(self) -> str:
        return f"<WorkerConnection {self.state.value} {', '.join(self._plan.apps)}>"

    # --- what users call -------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect, and serve until closed. Functions run on the loop this is called on.

        Raises WorkerError if the worker ends although nobody asked it to (WorkerUnauthorizedError
        if every key was refused at the first start), RepliesUnsentError if it was closed and some
        answers could not be delivered. Cancelling it ends the worker at once.
        """
        with self._lock:
            if self._begun:
                raise Error("start() was called already; make a new connection with connect()")
            self._begun = True
            closed_before = self._close_asked
        if closed_before:
            self._end()
            return
        try:
            finished = await self._serve()
        except BaseException:
            self._end()
            raise
        self._end()
        self._judge(finished)

    async def close(self, *, wait: bool = False) -> None:
        """Take no more work, finish what runs, deliver every answer, then end.

        Returns once the worker is CLOSING, or with `wait` once it is closed. Harmless if repeated.
        """
        self.ask_close()
        if self._begun:
            await self._states.wait_for(ConnectionState.CLOSING, ConnectionState.CLOSED)
        if wait:
            await self.closed()

    def ask_close(self) -> None:
        """The same without waiting, from any thread."""
        with self._lock:
            self._close_asked = True
            begun = self._begun
        if begun:
            self._post(lambda protocol, now: protocol.close(now))
        elif self.state is not ConnectionState.CLOSED:
            self._states.set(ConnectionState.CLOSING)
            self._states.set(ConnectionState.CLOSED)

    async def closed(self) -> None:
        """Wait until the worker is closed and has released everything."""
        await self._states.wait_for(ConnectionState.CLOSED)
        if self._begun:
            await asyncio.shield(asyncio.wrap_future(self._ended))

    async def pause(self) -> None:
        """Take no new work; what runs goes on, leases and heartbeats too."""
        self._post(lambda protocol, now: protocol.pause(now))
        await self._states.wait_for(ConnectionState.PAUSED)

    async def resume(self) -> None:
        """Take work again. This takes a new connection, which is what the protocol asks for."""
        self._post(lambda protocol, now: protocol.resume(now))
        await self._states.wait_for(ConnectionState.ACTIVE)

    @property
    def state(self) -> ConnectionState:
        """The state now."""
        return self._states.state

    def get_state(self) -> ConnectionState:
        """The state now."""
        return self._states.state

    async def wait_for_state(self, state: ConnectionState) -> None:
        """Wait until the worker is in this state. Raises Error if it is closed instead."""
        await self._states.wait_for(state)

    @property
    def connection_id(self) -> str | None:
        """The id of the newest connection; None before the first."""
        return None if self._protocol is None else self._protocol.connection_id

    def get_connection_id(self) -> str:
        """The id of the newest connection. Raises Error before the first."""
        found = self.connection_id
        if found is None:
            raise Error("connection not established; wait for the state ACTIVE first")
        return found

    def stats(self) -> WorkerStats:
        """What the worker holds and has done so far. Numbers may be a moment old."""
        protocol, runner, lag = self._protocol, self._runner, self._lag
        if protocol is None or runner is None:
            return WorkerStats(self.state)
        return WorkerStats(
            state=self.state,
            connection_id=protocol.connection_id,
            in_flight=protocol.in_flight,
            unacknowledged=protocol.unacknowledged,
            outbox_bytes=protocol.outbox_bytes,
            finished=runner.finished,
            loop_lag_worst_s=0.0 if lag is None else lag.worst_s,
            down_s=protocol.down_s(time.monotonic()),
            counts=dict(protocol.counts),
        )

    async def __aenter__(self) -> Self:
        """Start in the background and wait until connected. Raises what `start` would raise."""
        self._task = asyncio.create_task(self.start())
        active = asyncio.create_task(self._states.wait_for(ConnectionState.ACTIVE))
        await asyncio.wait({self._task, active}, return_when=asyncio.FIRST_COMPLETED)
        if not active.done():
            active.cancel()
        if self._task.done():
            active.cancel()
            await self._task
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
        if self._task is not None:
            await self._task

    # --- how it is joined ------------------------------------------------------------------------

    def _post(self, action: Input) -> None:
        with self._lock:
            shell = self._shell
            if shell is None:
                self._early.append(action)
                return
        shell.post(action)

    def _end(self) -> None:
        if self.state is not ConnectionState.CLOSED:
            self._states.set(ConnectionState.CLOSING)
            self._states.set(ConnectionState.CLOSED)
        if not self._ended.done():
            self._ended.set_result(None)

    def _judge(self, finished: Finished) -> None:
        if finished.unauthorized:
            raise WorkerUnauthorizedError(finished.error or "unauthorized")
        if finished.error is not None:
            raise WorkerError(finished.error)
        if finished.unsent and self._options.outbox_directory is None:
            raise RepliesUnsentError(
                f"closed with {len(finished.unsent)} answers the server has not confirmed; its"
                " leases run out and the work is done again",
                finished.unsent,
            )

    async def _serve(self) -> Finished:
        loop = asyncio.get_running_loop()
        pool = self._process_pool()
        self._runner = Runner(self._plan.apps, loop=loop, elsewhere=pool, logger=self._logger)
        directory = self._options.outbox_directory
        spool = None if directory is None else Spool(directory)
        watch = self._watch_signals()
        home = Postbox(loop)
        connection = self._connection(spool, home, watch)
        try:
            if self._plan.isolated:
                return await self._in_thread(connection)
            return await connection
        finally:
            # Python 3.14 awaits what is done already without a turn of the loop, which would tell.
            home.empty()
            if watch is not None:
                watch.stop()
            if pool is not None:
                pool.close()

    def _process_pool(self) -> ProcessPool | None:
        plan = self._plan
        if not plan.process_functions:
            return None
        return ProcessPool(
            plan.apps, plan.process_functions, count=plan.processes, logger=self._logger
        )

    def _watch_signals(self) -> SignalWatch | None:
        if not self._plan.signals:
            return None
        if not may_watch():
            self._logger.debug("signals are not watched: this is not the main thread")
            return None
        watch = SignalWatch(self._plan.signals)
        watch.start()
        return watch

    async def _in_thread(self, connection: Coroutine[Any, Any, Finished]) -> Finished:
        done: Future[Finished] = Future()

        def run() -> None:
            try:
                with asyncio.Runner() as runner:
                    finished = runner.run(connection)
            except BaseException as error:  # noqa: BLE001 - it is raised where start() is awaited
                done.set_exception(error)
            else:
                done.set_result(finished)

        thread = threading.Thread(target=run, name="stepwell-connect", daemon=True)
        thread.start()
        try:
            return await asyncio.shield(asyncio.wrap_future(done))
        except asyncio.CancelledError:
            self._post(lambda protocol, now: protocol.abort(now))
            raise
        finally:
            thread.join(JOIN_TIMEOUT_S)

    async def _connection(
        self, spool: Spool | None, home: Postbox, watch: SignalWatch | None
    ) -> Finished:
        """Everything that lives on the connection's loop."""
        runner = self._runner
        assert runner is not None
        protocol = WorkerProtocol(self._plan.config, random.random)
        shell = WorkerShell(
            protocol,
            handshake=self._plan.handshake(),
            functions=runner,
            spool=spool,
            logger=self._logger,
            on_state=lambda change: self._changed(change, home),
        )
        runner.connect(shell.post, shell.answer)
        self._protocol = protocol
        with self._lock:
            self._shell = shell
            early, self._early = self._early, []
        for action in early:
            shell.post(action)
        health = await self._serve_health()
        aside = self._aside(runner, home, watch)
        try:
            return await shell.run()
        finally:
            if health is not None:
                health.close()
            for task in aside:
                task.cancel()
            await asyncio.gather(*aside, return_exceptions=True)

    def _aside(
        self, runner: Runner, home: Postbox, watch: SignalWatch | None
    ) -> list[asyncio.Task[None]]:
        """What runs beside the connection, on its loop."""
        tasks: list[asyncio.Task[None]] = []
        if self._plan.isolated:
            self._lag = LagWatch(
                home,
                thread_id=home.thread_id,
                limit_s=self._plan.lag_s,
                busy=lambda: runner.running,
                logger=self._logger,
            )
            tasks.append(asyncio.create_task(self._lag.run()))
        options = self._options
        if options.max_requests is not None or options.max_rss_bytes is not None:
            limits = watch_limits(
                requests_max=options.max_requests,
                bytes_max=options.max_rss_bytes,
                finished=lambda: runner.finished,
                enough=self._had_enough,
            )
            tasks.append(asyncio.create_task(limits))
        if watch is not None:
            tasks.append(watch.listen(lambda number: self._signalled(number.name)))
        return tasks

    async def _serve_health(self) -> asyncio.Server | None:
        port, host = self._options.health_port, self._options.health_host
        if port is None:
            return None
        try:
            server = await serve_health(host, port, self.stats)
        except OSError as error:
            raise ConfigurationError(
                f"health_port = {port}: cannot listen on {host}: {error}; give another, or 0 for"
                " any free one"
            ) from error
        self.health_port = server.sockets[0].getsockname()[1]
        return server

    def _had_enough(self, why: str) -> None:
        self._logger.info("the worker ends to be followed by a fresh one: %s", why)
        self.recycled = why
        self.ask_close()

    def _signalled(self, name: str) -> None:
        self._logger.info("%s: the worker finishes what runs, then ends", name)
        self.ask_close()

    def _changed(self, change: StateChanged, home: Postbox) -> None:
        self._states.set(change.after)
        tell = self._options.on_state_change
        if tell is not None:
            state = change.after
            with suppress(Exception):
                home.put(lambda: _told(tell, state))


def _told(tell: Any, state: ConnectionState) -> None:
    tell(state)
