"""The shell around one worker connection on the server: one socket, one protocol object, no rule.

It reads frames and hands them to the protocol, performs what that asks for, and passes what it
tells to a `Desk`, which is where the server decides. The same shell serves the gateway's own port
and the main port; they differ only in their `FramePort`. Everything runs on the server's loop.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

import msgspec

from stepwell.server.gateway import output as out
from stepwell.server.gateway.frame_port import FramePort, SocketEnded
from stepwell.server.gateway.protocol import GatewayConfig, GatewayProtocol
from stepwell.wire.connect_limit import CLOSE_ABNORMAL, CLOSE_INTERNAL, REASON_INTERNAL
from stepwell.wire.connect_word import (
    Checkpoint,
    CheckpointOutcome,
    ExecutorRequest,
    ExtendLease,
    Reply,
    SyncFailed,
    WorkerConnect,
    WorkerStatus,
)

WRITE_TIMEOUT_S = 5.0
log = logging.getLogger("stepwell.gateway")


class Accepted(msgspec.Struct, frozen=True):
    """The worker may stay; these extensions are spoken with it."""

    extensions: tuple[str, ...] = ()


class Rejected(msgspec.Struct, frozen=True):
    """The worker may not stay."""

    code: int
    reason: str
    problem: SyncFailed | None = None


class Desk(Protocol):
    """Where the server decides about one connection. Methods return at once; answers that take
    time are given later through the connection."""

    async def introduced(
        self, connection: "GatewayConnection", worker: WorkerConnect
    ) -> Accepted | Rejected:
        """Check a worker's token and register its apps."""
        ...

    def became(self, connection: "GatewayConnection", *, routable: bool) -> None:
        """The worker takes work, or no longer."""
        ...

    def taken(self, connection: "GatewayConnection", request_id: str) -> None:
        """A forwarded request was claimed."""
        ...

    def not_taken(self, connection: "GatewayConnection", request_id: str, why: str) -> None:
        """A forwarded request was not claimed and will not be."""
        ...

    def lease_asked(self, connection: "GatewayConnection", asked: ExtendLease) -> None:
        """Extend a lease, then `connection.answer_lease`."""
        ...

    def reply_came(self, connection: "GatewayConnection", reply: Reply) -> None:
        """Store an answer, then `connection.acknowledge`."""
        ...

    def checkpoint_came(self, connection: "GatewayConnection", steps: Checkpoint) -> None:
        """Store steps, then `connection.answer_checkpoint`."""
        ...

    def status_came(self, connection: "GatewayConnection", status: WorkerStatus) -> None:
        """What the worker holds."""
        ...

    def ended(self, connection: "GatewayConnection", reason: str) -> None:
        """The connection is over."""
        ...


class GatewayConnection:
    """One connection while it lives. Its methods write, or do nothing if it may not be written."""

    def __init__(self, port: FramePort, desk: Desk, config: GatewayConfig) -> None:
        """Made on the loop it will run on."""
        self.protocol = GatewayProtocol(config)
        self.port = port
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._more = asyncio.Event()
        self._last: out.Close | out.Drop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at: float | None = None
        self._timing = False
        self._flushing = False
        self._performing = False
        self._introduction: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def worker(self) -> WorkerConnect | None:
        """Who is there, once it said so."""
        return self.protocol.worker

    def routable(self) -> bool:
        """May work be forwarded now?"""
        return self.protocol.routable(self._loop.time())

    @property
    def silence_s(self) -> float:
        """Seconds since the worker was last heard."""
        return self._loop.time() - self.protocol.heard_at

    async def run(self, *, draining: bool = False) -> None:
        """Serve the connection until it is over."""
        self.protocol.open(self._loop.time(), draining=draining)
        self._reader = self._loop.create_task(self._read())
        writer = self._loop.create_task(self._write())
        self._perform_all()
        self.port.listen(self._hear)
        try:
            await asyncio.wait({self._reader})
            if not self._reader.cancelled() and (error := self._reader.exception()):
                log.error("a worker connection has a fault and ends", exc_info=error)
        finally:
            self._reader.cancel()
            self.protocol.closed(CLOSE_ABNORMAL, "")
            self._perform_all()
            if self._timer is not None:
                self._timer.cancel()
            if self._introduction is not None:
                self._introduction.cancel()
            if self._last is None:
                writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer

    # --- what the server sends --------------------------------------------------------------

    def forward(self, request: ExecutorRequest) -> bool:
        """Give the worker a request; False if it may not be given any."""
        given = self.protocol.forward(request, self._loop.time())
        self._perform_all()
        return given

    def acknowledge(self, request_id: str) -> None:
        """An answer is stored."""
        self.protocol.acknowledge(request_id)
        self._perform_all()

    def answer_lease(self, asked: ExtendLease | ExecutorRequest, lease_id: str | None) -> None:
        """The next lease, or None: refused, even unasked."""
        self.protocol.answer_lease(asked, lease_id)
        self._perform_all()

    def answer_checkpoint(
        self, asked: Checkpoint, outcome: CheckpointOutcome, message: str = ""
    ) -> None:
        """What became of steps."""
        self.protocol.answer_checkpoint(asked, outcome, message)
        self._perform_all()

    def drain(self) -> None:
        """Ask the worker to connect elsewhere."""
        self.protocol.drain(self._loop.time())
        self._perform_all()

    def dismiss(self) -> None:
        """The server ends: close at once, without waiting for the worker to leave."""
        self.protocol.dismiss()
        self._perform_all()

    # --- the socket -------------------------------------------------------------------------

    def _hear(self, frame: bytes) -> None:
        """A message that came by itself. A fault of ours ends the connection, nothing else."""
        if self._last is not None:
            return
        try:
            self.protocol.receive(frame, self._loop.time())
            self._perform_all()
        except Exception:
            log.exception("a worker connection has a fault and ends")
            self._abort()

    async def _read(self) -> None:
        port, protocol, loop = self.port, self.protocol, self._loop
        try:
            while self._last is None:
                protocol.receive(await port.receive(), loop.time())
                self._perform_all()
        except SocketEnded as ended:
            protocol.closed(ended.code, ended.reason)
            self._perform_all()

    def _flush(self) -> None:
        """Write at once; what cannot be written so, the writer waits for."""
        self._flushing = False
        if not self._frames:
            return
        if self.port.send_now(self._frames):
            self._frames.clear()
        else:
            self._more.set()

    async def _write(self) -> None:
        """Write in order what could not be written at once; a peer that does not read is gone."""
        try:
            while True:
                while self._frames:
                    frames, self._frames = self._frames, []
                    async with asyncio.timeout(WRITE_TIMEOUT_S):
                        await self.port.send(frames)
                if self._last is not None:
                    await self._end(self._last)
                    return
                self._more.clear()
                await self._more.wait()
        except TimeoutError:
            log.warning("a worker at %s does not read; its connection is dropped", self.port.peer)
            self._abort()
        except SocketEnded:
            return  # the reader hears of it too

    async def _end(self, last: out.Close | out.Drop) -> None:
        if isinstance(last, out.Close):
            await self.port.close(last.code, last.reason)
        else:
            self._abort()

    def _abort(self) -> None:
        self.port.abort()
        if self._reader is not None:
            self._reader.cancel()
        self.protocol.closed(CLOSE_ABNORMAL, "")
        self._perform_all()

    # --- outputs and time -------------------------------------------------------------------

    def _perform_all(self) -> None:
        if self._performing:
            return
        self._performing = True
        try:
            while outputs := self.protocol.outputs():
                for output in outputs:
                    self._perform(output)
        finally:
            self._performing = False
        if not self._timing:
            # Once for all inputs of one turn of the loop.
            self._timing = True
            self._loop.call_soon(self._set_timer)

    def _set_timer(self) -> None:
        self._timing = False
        due = self.protocol.deadline()
        if due is None or (self._rings_at is not None and self._rings_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = due
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = self._rings_at = None
        self.protocol.tick(self._loop.time())
        self._perform_all()

    def _perform(self, output: out.Output) -> None:
        desk = self._desk
        match output:
            case out.Transmit():
                self._frames.append(output.frame)
                if not self._flushing:
                    # Once for everything written in one turn of the loop.
                    self._flushing = True
                    self._loop.call_soon(self._flush)
            case out.ReplyCame():
                desk.reply_came(self, output.reply)
            case out.Taken():
                desk.taken(self, output.request_id)
            case out.CheckpointCame():
                desk.checkpoint_came(self, output.checkpoint)
            case out.LeaseAsked():
                desk.lease_asked(self, output.message)
            case out.NotTaken():
                desk.not_taken(self, output.request_id, output.why)
            case out.Became():
                desk.became(self, routable=output.routable)
            case out.StatusCame():
                desk.status_came(self, output.status)
            case out.Introduced():
                self._introduction = self._loop.create_task(self._introduced(output.worker))
            case out.Close() | out.Drop():
                self._last = output
                self._more.set()
            case out.Ended():
                desk.ended(self, output.reason)

    async def _introduced(self, worker: WorkerConnect) -> None:
        try:
            verdict = await self._desk.introduced(self, worker)
        except Exception:
            log.exception("a worker could not be admitted")
            verdict = Rejected(CLOSE_INTERNAL, REASON_INTERNAL)
        if isinstance(verdict, Accepted):
            self.port.welcome()
            self.protocol.accept(self._loop.time(), extensions=verdict.extensions)
        else:
            self.protocol.reject(verdict.code, verdict.reason, problem=verdict.problem)
        self._perform_all()
