"""The input and output around the worker's protocol: HTTP, timers, its sockets, on one event loop.

It performs what the protocol asks for and tells it what came of it; it decides nothing. All of it
lives on the connection's own thread, where user code never runs. `post` may be called from any
thread, everything else on the loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from stepwell.sdk.connect.backoff import StartFailure
from stepwell.sdk.connect.errors import WorkerError
from stepwell.sdk.connect.gateway_socket import CLOSE_TIMEOUT_S, GatewaySocket, Logger
from stepwell.sdk.connect.handshake import FlushFailure, Handshake
from stepwell.sdk.connect.output import (
    AskStart,
    CancelWork,
    CheckpointSettled,
    CloseSocket,
    Dial,
    Execute,
    Finished,
    Flush,
    Level,
    Notice,
    Output,
    ReplySettled,
    StateChanged,
    Transmit,
)
from stepwell.sdk.connect.phase import ConnectionState
from stepwell.sdk.connect.postbox import Postbox
from stepwell.sdk.connect.protocol import WorkerProtocol
from stepwell.sdk.connect.runner import Input
from stepwell.sdk.connect.spool import Spool
from stepwell.wire.connect_encode import encode_reply
from stepwell.wire.connect_limit import CLOSE_WORKER_FAILED, REASON_UNEXPECTED
from stepwell.wire.connect_word import Reply, StartResponse

FAULTS_MAX = 10
FAULT_DELAY_S = 0.5
FAULT_DELAY_MAX_S = 30.0
_LEVELS = {
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}


class Functions(Protocol):
    """Where requests are run; see `runner.py`."""

    def begin(self, execute: Execute) -> None:
        """Run a request."""
        ...

    def cancel(self, request_id: str, reason: str) -> None:
        """Tell its function that nobody wants the answer."""
        ...

    def checkpoint_settled(self, settled: CheckpointSettled) -> None:
        """Tell its function what became of its steps."""
        ...


class WorkerShell:
    """Runs one protocol object until it is CLOSED."""

    def __init__(
        self,
        protocol: WorkerProtocol,
        *,
        handshake: Handshake,
        functions: Functions,
        spool: Spool | None,
        logger: Logger,
        on_state: Callable[[StateChanged], None],
    ) -> None:
        """Made on the loop it will run on."""
        self._protocol = protocol
        self._handshake = handshake
        self._functions = functions
        self._spool = spool
        self._logger = logger
        self._on_state = on_state
        self._loop = asyncio.get_running_loop()
        self._postbox = Postbox(self._loop)
        self._sockets: dict[int, GatewaySocket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starts: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at: float | None = None
        self._timing = False
        self._performing = False
        self._due: list[Output] = []
        self._faults = 0
        self._finished: asyncio.Future[Finished] = self._loop.create_future()

    async def run(self) -> Finished:
        """Connect, and stay connected, until the worker is closed or fails."""
        if self._spool is not None:
            for request_id, payload in self._spool.load().items():
                self._protocol.restore(request_id, payload)
        wall_ms = int(time.time() * 1000)
        self._input(lambda protocol, now: protocol.begin(now, wall_ms=wall_ms))
        try:
            return await self._finished
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._end_tasks()
            if self._spool is not None:
                self._spool.close()

    async def _end_tasks(self) -> None:
        """Let close frames go out, for a moment; then end whatever is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)

    def post(self, action: Input) -> None:
        """Give the protocol an input, from any thread."""
        self._postbox.put(lambda: self._input(action))

    # --- inputs and outputs --------------------------------------------------------------------

    def answer(self, reply: Reply) -> None:
        """Give a function's answer, from any thread."""
        self._postbox.put(lambda: self._answered(reply))

    def _answered(self, reply: Reply, *, again: bool = False) -> None:
        """It is on disk, if it is to be, before it is anywhere else."""
        spool = self._spool
        if spool is not None and not spool.keep(reply.request_id, encode_reply(reply)):
            self._logger.error("the answer to %s could not be spooled", reply.request_id)
        faults = self._faults
        self._input(lambda protocol, now: protocol.reply(reply, now))
        if self._faults > faults and not again:
            self._loop.call_soon(lambda: self._answered(reply, again=True))
        elif self._faults > faults:
            # Its lease must not be extended for ever: let it run out, and the work be done again.
            self._input(lambda protocol, now: protocol.abandon(reply.request_id, now))

    def _input(self, action: Input) -> None:
        """Tell the protocol something, then do what it wants."""
        if self._finished.done():
            return
        try:
            action(self._protocol, self._loop.time())
            if not self._performing:
                self._perform_all()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker outlives it
            self._fault(error)

    def _fault(self, error: BaseException) -> None:
        """A fault of ours ends every socket, not the worker: what it holds goes on over the next.

        Ten faults without a connection between them end it.
        """
        if self._finished.done():
            return
        self._faults += 1
        words = f"the worker connection has a fault: {error!r}"
        with suppress(Exception):
            self._logger.error("%s", words, exc_info=error)
        if self._faults >= FAULTS_MAX:
            ended = WorkerError(f"{words}; it is the {FAULTS_MAX}th in a row")
            ended.__cause__ = error
            self._finished.set_exception(ended)
            return
        for number in {*self._sockets, *self._starts}:
            self._close(CloseSocket(number, CLOSE_WORKER_FAILED, REASON_UNEXPECTED))
        # These are about sockets that are gone now; all else is still to be done.
        self._due = [o for o in self._due if not isinstance(o, AskStart | Dial | Transmit)]
        wait_s = min(FAULT_DELAY_S * 2 ** (self._faults - 1), FAULT_DELAY_MAX_S)
        recovering: Input = lambda protocol, now: protocol.recover(now, wait_s=wait_s)  # noqa: E731
        self._loop.call_soon(self._input, recovering)

    def _perform_all(self) -> None:
        self._performing = True
        try:
            while outputs := self._due or self._protocol.outputs():
                left = iter(outputs)
                self._due = []
                try:
                    for output in left:
                        self._perform(output)
                except BaseException:
                    self._due = list(left)
                    raise
        finally:
            self._performing = False
        if not self._timing:
            # Once for all inputs of one turn of the loop.
            self._timing = True
            self._loop.call_soon(self._set_timer)

    def _set_timer(self) -> None:
        self._timing = False
        due = self._protocol.deadline()
        if due is None or (self._rings_at is not None and self._rings_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = due
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = self._rings_at = None
        self._input(lambda protocol, now: protocol.tick(now))

    def _perform(self, output: Output) -> None:
        match output:
            case Transmit():
                self._transmit(output)
            case Execute():
                self._functions.begin(output)
            case ReplySettled():
                if self._spool is not None:
                    self._spool.forget(output.request_id)
            case CheckpointSettled():
                self._functions.checkpoint_settled(output)
            case CancelWork():
                self._functions.cancel(output.request_id, output.reason)
            case Notice():
                self._log(output)
            case StateChanged():
                if output.after is ConnectionState.ACTIVE:
                    self._faults = 0
                self._on_state(output)
                words = f"worker: {output.before.value} → {output.after.value}"
                self._log(Notice(Level.DEBUG, words))
            case AskStart() | Dial() | Flush() | CloseSocket():
                self._begin(output)
            case Finished():
                if not self._finished.done():
                    self._finished.set_result(output)

    def _log(self, notice: Notice) -> None:
        """Say it; a logger of the user's that raises is no reason to stop."""
        facts = ", ".join(f"{name}={value}" for name, value in notice.facts.items())
        line = f"{notice.words} ({facts})" if facts else notice.words
        with suppress(Exception):
            self._logger.log(_LEVELS[notice.level], "%s", line)

    def _begin(self, output: AskStart | Dial | Flush | CloseSocket) -> None:
        match output:
            case AskStart():
                self._starts[output.attempt] = self._spawn(self._start(output))
            case Dial():
                socket = GatewaySocket(
                    output.attempt, tell=self._input, ended=self._ended, logger=self._logger
                )
                self._sockets[output.attempt] = socket
                self._spawn(self._live(output, socket))
            case Flush():
                self._spawn(self._flush(output))
            case CloseSocket():
                self._close(output)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fault(error)

    # --- HTTP ------------------------------------------------------------------------------------

    async def _start(self, asked: AskStart) -> None:
        attempt = asked.attempt
        try:
            answer = await self._handshake.start(asked.key, asked.exclude_gateways)
        except Exception as error:  # noqa: BLE001 - what the user's HTTP client may raise
            answer = StartFailure(repr(error))
        finally:
            self._starts.pop(attempt, None)
        if isinstance(answer, StartResponse):
            response = answer
            self._input(lambda protocol, now: protocol.start_answered(attempt, response, now))
        else:
            failure = answer
            self._input(lambda protocol, now: protocol.start_failed(attempt, failure, now))

    async def _flush(self, asked: Flush) -> None:
        request_id = asked.request_id
        try:
            failure = await self._handshake.flush(asked.payload)
        except Exception as error:  # noqa: BLE001 - what the user's HTTP client may raise
            failure = FlushFailure(repr(error))
        if failure is None:
            self._input(lambda protocol, now: protocol.flushed(request_id, now))
        else:
            status, words = failure.status, failure.message
            self._input(lambda protocol, now: protocol.flush_failed(request_id, status, words, now))

    # --- sockets ---------------------------------------------------------------------------

    def _transmit(self, output: Transmit) -> None:
        socket = self._sockets.get(output.socket)
        if socket is not None:
            socket.transmit(output.frame)

    def _close(self, asked: CloseSocket) -> None:
        start = self._starts.pop(asked.socket, None)
        if start is not None:
            start.cancel()
        socket = self._sockets.pop(asked.socket, None)
        if socket is not None:
            socket.close(asked.code, asked.reason)

    async def _live(self, asked: Dial, socket: GatewaySocket) -> None:
        try:
            await socket.live(asked.endpoint)
        finally:
            self._sockets.pop(asked.attempt, None)
