"""The worker's side of the worker connection: every rule of it, and no input or output.

The law: **this object never waits and never acts.** Its shell tells it what happened and when
(`start_answered`, `opened`, `receive`, `closed`, `reply`, `flushed`, `tick` …), performs what
`outputs` asks for in that order, and calls `tick` when `deadline` has come. Times are monotonic
seconds; chance is drawn by the shell.

What it guarantees, whatever the wire does:

* One id is executed once, and acknowledged before it is executed.
* An answer is kept until the server has it: acknowledged, or flushed over HTTP. Nothing is evicted;
  when the outbox is full the worker pauses instead, and comes back with a new connection.
* A lease is extended from the claim until the answer is settled, with the newest lease id known.
* Every state change is an edge of the table in `phase.py`; CLOSING never goes back.
* It always ends up connected again, unless it was closed, was refused at the first try, or was told
  to give up after some time.

It is one file because it is one state machine: every method may change the state, the attempt and
the active socket. What has rules of its own is elsewhere: one socket in `connection.py`, requests
and answers in `traffic.py`, tries in `retries.py`, the end in `closing.py`.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from stepwell.sdk.connect import backoff
from stepwell.sdk.connect.closing import Closing
from stepwell.sdk.connect.connection import PHASE_TIMEOUT_S, Connection
from stepwell.sdk.connect.endpoint import shown_endpoint
from stepwell.sdk.connect.introduction import WorkerConfig, introduction
from stepwell.sdk.connect.output import (
    AskStart,
    CancelWork,
    CloseSocket,
    Dial,
    Finished,
    Level,
    Notice,
    Output,
    StateChanged,
)
from stepwell.sdk.connect.phase import (
    OPEN_PHASES,
    ConnectionState,
    LocalProtocolError,
    SocketPhase,
    check_state,
)
from stepwell.sdk.connect.repetition import Repetition
from stepwell.sdk.connect.retries import Retries
from stepwell.sdk.connect.traffic import Sockets, Traffic
from stepwell.sdk.connect.workload import Stage
from stepwell.wire.connect_decode import FrameError, decode_frame
from stepwell.wire.connect_limit import (
    CLOSE_ABNORMAL,
    CLOSE_GOING_AWAY,
    CLOSE_NORMAL,
    CLOSE_TOO_BIG,
    CLOSE_WORKER_FAILED,
    REASON_GATEWAY_CLOSING,
    REASON_UNEXPECTED,
    REASON_WORKER_SHUTDOWN,
    REPLY_ACK_TIMEOUT_S,
    WORKER_READ_BYTES_MAX,
)
from stepwell.wire.connect_word import (
    CheckpointAck,
    ConnectionReady,
    ExecutorRequest,
    ExtendLeaseAck,
    GatewayClosing,
    GatewayHeartbeat,
    GatewayHello,
    Message,
    Reply,
    ReplyAck,
    StartResponse,
    SyncFailed,
    Unknown,
    WorkerHeartbeat,
    WorkerPause,
    WorkerReady,
    WorkerStatus,
)

STABLE_AFTER_S: Final = 10.0
OUTBOX_FULL: Final = "outbox"


class WorkerProtocol:
    """One worker: at most one attempt and one active socket at a time, and what outlives them."""

    def __init__(self, config: WorkerConfig, chance: Callable[[], float]) -> None:
        self._config = config
        self._retries = Retries(keys=config.keys, delay_max_s=config.backoff_max_s, chance=chance)
        self._repetition = Repetition()
        self._outputs: list[Output] = []
        self.counts: Counter[str] = Counter()
        self.state = ConnectionState.CONNECTING
        self.connection_id: str | None = None
        self._connections: dict[int, Connection] = {}
        self._attempts = 0
        self._attempt: Connection | None = None
        self._active: Connection | None = None
        self._retry_at: float | None = None
        self._down_since = 0.0
        self._pauses: set[str] = set()
        self._closing = Closing(config.shutdown_timeout_s)
        self._epoch_ms: float | None = None
        self._traffic = Traffic(
            apps=frozenset(app.name for app in config.apps),
            concurrency_max=config.concurrency_max,
            outbox_bytes_max=config.outbox_bytes_max,
            outbox_count_max=config.outbox_count_max,
            emit=self._outputs.append,
            counts=self.counts,
        )

    # --- what the shell asks ------------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """What is to be done, in this order; each is given once."""
        taken = list(self._outputs)
        self._outputs.clear()
        return taken

    def deadline(self) -> float | None:
        """When `tick` must be called at the latest; None: only something from outside matters."""
        if self.state is ConnectionState.CLOSED:
            return None
        times = [connection.deadline() for connection in self._connections.values()]
        times += [self._retry_at, self._give_up_at(), self._traffic.deadline()]
        times += self._closing.deadlines()
        return min((t for t in times if t is not None), default=None)

    def _give_up_at(self) -> float | None:
        give_up = self._config.give_up_after_s
        return None if give_up is None or self._active is not None else self._down_since + give_up

    def down_s(self, now: float) -> float:
        """Seconds without a connection; 0 while there is one."""
        return 0.0 if self._active is not None else max(0.0, now - self._down_since)

    def peek(self) -> bool:
        """Is there anything to be done right now?"""
        return bool(self._outputs)

    def connections(self) -> list[Connection]:
        """The attempt and the sockets there are, oldest first; to be looked at, not changed."""
        return list(self._connections.values())

    @property
    def in_flight(self) -> tuple[str, ...]:
        """The ids of every request this worker holds, oldest first."""
        return self._traffic.work.ids()

    @property
    def unacknowledged(self) -> int:
        """How many answers the server has not confirmed."""
        return len(self._traffic.outbox)

    @property
    def outbox_bytes(self) -> int:
        """How many bytes of answers the server has not confirmed."""
        return self._traffic.outbox.bytes

    # --- the life of a worker -----------------------------------------------------------------

    def begin(self, now: float, *, wall_ms: int | None = None) -> None:
        """Start connecting; once. `wall_ms` is the same instant for others, if they may know."""
        self._down_since = now
        self._epoch_ms = None if wall_ms is None else wall_ms - now * 1000
        self._new_attempt(now)

    def restore(self, request_id: str, payload: bytes) -> None:
        """An answer an earlier process left behind: it is flushed before anything else."""
        self._traffic.restore(request_id, payload)

    def pause(self, now: float, *, why: str = "user") -> None:
        """Take no new work; what runs goes on. Harmless if already paused for this reason."""
        self._pauses.add(why)
        self._say_pause()
        if self.state is ConnectionState.ACTIVE:
            self._go(ConnectionState.PAUSED)

    def resume(self, now: float, *, why: str = "user") -> None:
        """End a pause. A gateway hears no READY after a PAUSE, so this takes a new connection."""
        self._pauses.discard(why)
        if self._pauses or self._closing.begun:
            return
        paused = self._active
        if paused is not None and paused.paused:
            self._drain(paused, now)
        self._mind_state()
        if self._active is None and self._attempt is None and self._retry_at is None:
            self._new_attempt(now)

    def close(self, now: float) -> None:
        """Finish what runs, deliver every answer, then end. Harmless if already closing."""
        if self._closing.begun or self.state is ConnectionState.CLOSED:
            return
        self._closing.begin(now)
        self._closing.wait_for_work(now)
        self._go(ConnectionState.CLOSING)
        self._say_pause()
        self._traffic.outbox.hurry()
        self._tend(now)

    def abort(self, now: float) -> None:
        """End at once, whatever runs or is unacknowledged."""
        if not self._closing.begun and self.state is not ConnectionState.CLOSED:
            self._closing.begin(now)
            self._go(ConnectionState.CLOSING)
        self._finish(None)

    def recover(self, now: float, *, wait_s: float) -> None:
        """The shell had a fault: every socket is gone, what it carried goes on over the next."""
        for connection in self.connections():
            self._forget(connection)
        self.counts["faults"] += 1
        self._down(now)
        if self.state is ConnectionState.CONNECTING:
            self._go(ConnectionState.RECONNECTING)
        self._retry_at = now + wait_s

    # --- attempts ------------------------------------------------------------------------------

    def _new_attempt(self, now: float) -> None:
        self._retry_at = None
        if self.state is ConnectionState.RECONNECTING:
            self._go(ConnectionState.CONNECTING)
        self._attempts += 1
        self._attempt = Connection(self._attempts, now)
        self._connections[self._attempt.id] = self._attempt
        self.counts["attempts"] += 1
        self._traffic.outbox.hurry()
        self._outputs.append(
            AskStart(self._attempt.id, self._retries.key, self._retries.avoided(now))
        )

    def start_answered(self, attempt: int, response: StartResponse, now: float) -> None:
        """The start call gave a place to connect."""
        connection = self._trying(attempt, SocketPhase.STARTING)
        if connection is None:
            return
        self._retries.key_accepted()
        connection.start = response
        connection.go(SocketPhase.DIALING, now)
        self._outputs.append(Dial(attempt, response.gateway_endpoint))

    def start_failed(self, attempt: int, failure: backoff.StartFailure, now: float) -> None:
        """The start call failed, or its answer was no good."""
        connection = self._trying(attempt, SocketPhase.STARTING)
        if connection is None:
            return
        self._forget(connection)
        self._judge(self._retries.start_failed(failure), now)

    def opened(self, attempt: int, now: float) -> None:
        """The socket is open; the gateway speaks first."""
        connection = self._trying(attempt, SocketPhase.DIALING)
        if connection is not None:
            connection.go(SocketPhase.GREETING, now)

    def open_failed(self, attempt: int, message: str, now: float) -> None:
        """The socket could not be opened."""
        connection = self._trying(attempt, SocketPhase.DIALING)
        if connection is not None:
            closure = backoff.Closure(CLOSE_ABNORMAL, message)
            self._attempt_failed(connection, closure, now)

    def _trying(self, attempt: int, phase: SocketPhase) -> Connection | None:
        """The attempt an answer belongs to, if it is still wanted and waits for that answer."""
        connection = self._attempt
        if connection is None or connection.id != attempt or connection.phase is not phase:
            return None
        return connection

    def _attempt_failed(self, connection: Connection, closure: backoff.Closure, now: float) -> None:
        self._retries.avoid(connection.group, now)
        self._forget(connection)
        self._judge(self._retries.attempt_failed(closure), now)

    def _judge(self, verdict: backoff.Verdict, now: float) -> None:
        if verdict.fatal and not self._closing.begun:
            self._fail(verdict.words, now, unauthorized=verdict.unauthorized)
            return
        level = Level.ERROR if verdict.loud else Level.WARNING
        told = self._repetition.tell(verdict.words, now)
        retry_in_s = round(verdict.delay_s, 1)
        self._note(level if told else Level.DEBUG, told or verdict.words, retry_in_s=retry_in_s)
        if self.state is ConnectionState.CONNECTING:
            self._go(ConnectionState.RECONNECTING)
        self._retry_at = now + verdict.delay_s
        if verdict.delay_s == 0 and self._wants_connection():
            self._new_attempt(now)

    def _wants_connection(self) -> bool:
        """A closing worker connects only for work in flight; answers alone travel over HTTP."""
        return not self._closing.begun or self._traffic.work.unfinished > 0

    # --- sockets -------------------------------------------------------------------------------

    def receive(self, socket: int, frame: bytes | str, now: float) -> None:
        """One frame arrived. A frame that cannot be read, or is out of place, harms nothing."""
        connection = self._connections.get(socket)
        if connection is None:
            return
        if isinstance(frame, str):
            self._note(Level.WARNING, "the gateway sent a text frame; it is ignored")
            return
        try:
            message = decode_frame(frame, bytes_max=WORKER_READ_BYTES_MAX)
        except FrameError as error:
            self._note(Level.ERROR, f"a frame could not be read and is ignored: {error}")
            return
        match connection.phase:
            case SocketPhase.GREETING:
                self._greeted(connection, message, now)
            case SocketPhase.INTRODUCED:
                self._introduced(connection, message, now)
            case SocketPhase.ACTIVE | SocketPhase.DRAINING:
                self._spoken(connection, message, now)
            case SocketPhase.STARTING | SocketPhase.DIALING | SocketPhase.CLOSED:
                self._note(Level.DEBUG, "a frame of a socket that is not open is ignored")
        self._look(now)

    def closed(self, socket: int, code: int, reason: str, now: float) -> None:
        """A socket ended, by the peer or by the network."""
        connection = self._connections.get(socket)
        if connection is None:
            return
        if connection.connecting:
            closure = backoff.Closure(code, reason, connection.sync_failed)
            self._attempt_failed(connection, closure, now)
        elif connection.phase is SocketPhase.DRAINING:
            self._forget(connection, too_big=code == CLOSE_TOO_BIG)
            self._mind_state()
        else:
            self._lost(connection, backoff.Closure(code, reason, was_active=True), now)
        self._tend(now)

    def _lost(self, connection: Connection, closure: backoff.Closure, now: float) -> None:
        """The active socket ended without a replacement."""
        self.counts["reconnects"] += 1
        self._forget(connection, too_big=closure.code == CLOSE_TOO_BIG)
        if now - connection.ready_at >= STABLE_AFTER_S:
            self._retries.stable()
        verdict = self._retries.lost(closure)
        self._down(now)
        self._judge(verdict, now)

    def _down(self, now: float) -> None:
        self._down_since = now
        self._mind_state()

    def _mind_state(self) -> None:
        """With no socket left a worker is reconnecting, unless its user paused it."""
        going = self.state in {ConnectionState.ACTIVE, ConnectionState.PAUSED}
        if not going or self._pauses or any(c.phase in OPEN_PHASES for c in self.connections()):
            return
        self._go(ConnectionState.RECONNECTING)
        if self._attempt is not None:
            self._go(ConnectionState.CONNECTING)

    def _forget(self, connection: Connection, *, too_big: bool = False) -> None:
        if connection.phase is not SocketPhase.CLOSED:
            connection.phase = SocketPhase.CLOSED
        self._connections.pop(connection.id, None)
        if self._attempt is connection:
            self._attempt = None
        if self._active is connection:
            self._active = None
        self._traffic.socket_lost(connection.id, too_big=too_big)

    def _cut(self, connection: Connection, code: int, reason: str) -> None:
        """End a socket from this side."""
        self._outputs.append(CloseSocket(connection.id, code, reason))
        self._forget(connection)

    # --- the handshake -------------------------------------------------------------------------

    def _greeted(self, connection: Connection, message: Message, now: float) -> None:
        if not isinstance(message, GatewayHello):
            words = f"expected the gateway's hello, got {type(message).__name__}"
            self._outputs.append(CloseSocket(connection.id, CLOSE_WORKER_FAILED, REASON_UNEXPECTED))
            closure = backoff.Closure(CLOSE_ABNORMAL, words)
            self._attempt_failed(connection, closure, now)
            return
        if connection.start is None:
            raise LocalProtocolError("a socket was opened before the start call was answered")
        began_ms = None if self._epoch_ms is None else int(self._epoch_ms + connection.began * 1000)
        who = introduction(self._config, connection.start, began_ms=began_ms)
        self._outputs.append(connection.transmit(who))
        connection.go(SocketPhase.INTRODUCED, now)

    def _introduced(self, connection: Connection, message: Message, now: float) -> None:
        match message:
            case ConnectionReady():
                self._ready(connection, message, now)
            case SyncFailed():
                connection.sync_failed = message
                words = f"the apps could not be registered: {message.code} {message.message}"
                self._note(Level.ERROR, words.rstrip())
            case GatewayClosing():
                self._outputs.append(
                    CloseSocket(connection.id, CLOSE_WORKER_FAILED, REASON_UNEXPECTED)
                )
                closure = backoff.Closure(CLOSE_GOING_AWAY, REASON_GATEWAY_CLOSING)
                self._attempt_failed(connection, closure, now)
            case _:
                self._out_of_place(connection, message)

    def _ready(self, connection: Connection, message: ConnectionReady, now: float) -> None:
        connection.ready(message, now)
        self._attempt = None
        self._active = connection
        self._retries.succeeded(connection.group)
        self._repetition.over()
        self.counts["connects"] += 1
        if connection.start is not None:
            self.connection_id = connection.start.connection_id
            facts = {"gateway": shown_endpoint(connection.start.gateway_endpoint)}
            apps = ", ".join(app.name for app in self._config.apps)
            self._note(Level.INFO, f"the worker is connected and serves {apps}", **facts)
        if self._pauses or self._closing.begun:
            self._say_pause()
        else:
            self._outputs.append(connection.transmit(WorkerReady()))
        if not self._closing.begun:
            if self.state is not ConnectionState.PAUSED or not self._pauses:
                self._go(ConnectionState.ACTIVE)
            if self._pauses and self.state is ConnectionState.ACTIVE:
                self._go(ConnectionState.PAUSED)
        self._traffic.socket_ready(connection, now)
        for old in self._draining():
            self._retire(old, now)

    def _draining(self) -> list[Connection]:
        return [c for c in self._connections.values() if c.phase is SocketPhase.DRAINING]

    def _retire(self, old: Connection, now: float) -> None:
        """A replacement is active: end the old socket once nothing is awaited from it."""
        if not self._traffic.outbox.awaits(old.id):
            self._cut(old, CLOSE_NORMAL, REASON_WORKER_SHUTDOWN)
        elif old.deadline_at is None:
            old.retire(now + REPLY_ACK_TIMEOUT_S)

    # --- what an open socket says ----------------------------------------------------------------

    def _spoken(self, connection: Connection, message: Message, now: float) -> None:
        match message:
            case ExecutorRequest():
                self._requested(connection, message, now)
            case ReplyAck():
                self._traffic.settled(message.request_id)
                if connection.phase is SocketPhase.DRAINING and connection.deadline_at is not None:
                    self._retire(connection, now)
            case ExtendLeaseAck():
                self._traffic.lease_answered(message)
            case CheckpointAck():
                self._traffic.checkpoint_answered(message)
            case GatewayHeartbeat():
                connection.answered()
                self._traffic.outbox.hurry()
            case GatewayClosing():
                if connection.phase is SocketPhase.ACTIVE:
                    self._note(Level.INFO, "the gateway drains; connecting elsewhere")
                    self._retries.avoid(connection.group, now)
                    self._drain(connection, now)
            case _:
                self._out_of_place(connection, message)

    def _requested(self, connection: Connection, request: ExecutorRequest, now: float) -> None:
        takes = connection.phase is SocketPhase.ACTIVE and not connection.paused
        if takes and not self._closing.begun:
            self._traffic.request(connection, request, now)
            return
        words = "a request came while this worker takes none; it is left to others"
        self._note(Level.WARNING, words, request_id=request.request_id)

    def _out_of_place(self, connection: Connection, message: Message) -> None:
        kind = message.kind if isinstance(message, Unknown) else type(message).__name__
        words = f"a message is ignored while {connection.phase.value}: {kind}"
        self._note(Level.DEBUG, words)

    def _drain(self, connection: Connection, now: float) -> None:
        """Seek a replacement at once; the old socket goes on being read and written meanwhile.

        Until there is one the worker is PAUSED: it takes no work, what it holds goes on.
        """
        connection.go(SocketPhase.DRAINING, now)
        self._active = None
        self.counts["drains"] += 1
        if now - connection.ready_at >= STABLE_AFTER_S:
            self._retries.stable()
        self._down_since = now
        if self.state is ConnectionState.ACTIVE:
            self._go(ConnectionState.PAUSED)
        if self._wants_connection():
            self._new_attempt(now)

    def _say_pause(self) -> None:
        if self._active is not None and not self._active.paused:
            self._active.paused = True
            self._outputs.append(self._active.transmit(WorkerPause()))

    # --- what functions say ----------------------------------------------------------------------

    def reply(self, reply: Reply, now: float) -> None:
        """A function gave its answer."""
        if self.state is not ConnectionState.CLOSED:
            self._traffic.reply(reply, self._sockets(), now)
            self._look(now)

    def abandon(self, request_id: str, now: float) -> None:
        """A function ended without an answer, for instance because it was cancelled."""
        self._traffic.abandon(request_id, self._sockets())
        self._look(now)

    def checkpoint(self, request_id: str, steps: bytes, now: float) -> int | None:
        """Store steps of a running request while it goes on; `CheckpointSettled` answers.

        `steps` is a JSON array of opcodes. Gives the checkpoint's number, or None if they belong
        into the answer: because nobody can store them now, or because this worker closes, so that
        a call of many steps ends with the one it is at and goes on elsewhere.
        """
        if self._closing.begun:
            return None
        return self._traffic.checkpoint(request_id, steps, self._sockets(), now)

    def flushed(self, request_id: str, now: float) -> None:
        """The server took a flush."""
        self._traffic.flushed(request_id)
        self._tend(now)

    def flush_failed(self, request_id: str, status: int | None, message: str, now: float) -> None:
        """A flush failed; `status` is None if nobody answered."""
        self._traffic.flush_failed(request_id, status, message, now)
        self._tend(now)

    def _sockets(self) -> Sockets:
        draining = self._draining()
        return Sockets(self._active, draining[-1] if draining else None)

    # --- time passes -----------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do whatever is due. Calling it too often is harmless."""
        self._tend(now)

    def _look(self, now: float) -> None:
        """Do at once what an input may have made possible. What has a time waits for `tick`."""
        if self._closing.begun or self._pauses or self._traffic.outbox.full:
            self._tend(now)

    def _tend(self, now: float) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        for connection in list(self._connections.values()):
            self._tend_connection(connection, now)
        if self._retry_at is not None and self._retry_at <= now:
            self._retry_at = None
            if self._attempt is None and self._active is None and self._wants_connection():
                self._new_attempt(now)
        give_up = self._config.give_up_after_s
        if give_up is not None and self._active is None and self._down_since + give_up <= now:
            self._fail(f"no connection for {give_up:g} s; giving up", now)
            return
        self._traffic.tend(self._sockets(), now)
        self._mind_outbox(now)
        self._mind_closing(now)

    def _tend_connection(self, connection: Connection, now: float) -> None:
        if connection.overdue(now):
            self._overdue(connection, now)
        elif connection.beat_due(now):
            if connection.dead:
                self._dead(connection, now)
                return
            connection.beat(now)
            self._outputs.append(connection.transmit(WorkerHeartbeat()))
        if connection.phase in OPEN_PHASES and connection.status_due(now):
            status = WorkerStatus(self.in_flight, self._closing.begun)
            self._outputs.append(connection.transmit(status))

    def _overdue(self, connection: Connection, now: float) -> None:
        phase = connection.phase
        if phase is SocketPhase.DRAINING:
            self._cut(connection, CLOSE_NORMAL, REASON_WORKER_SHUTDOWN)
            return
        self._outputs.append(CloseSocket(connection.id, CLOSE_WORKER_FAILED, REASON_UNEXPECTED))
        limit_s = PHASE_TIMEOUT_S[phase]
        words = f"nothing within {limit_s:g} s while {phase.value}"
        if phase is SocketPhase.STARTING:
            self.start_failed(connection.id, backoff.StartFailure(words), now)
        else:
            closure = backoff.Closure(CLOSE_ABNORMAL, words, connection.sync_failed)
            self._attempt_failed(connection, closure, now)

    def _dead(self, connection: Connection, now: float) -> None:
        self.counts["heartbeats_missed"] += 1
        words = "the gateway stopped answering heartbeats"
        self._outputs.append(CloseSocket(connection.id, CLOSE_WORKER_FAILED, REASON_UNEXPECTED))
        if connection.phase is SocketPhase.DRAINING:
            self._forget(connection)
            self._mind_state()
        else:
            self._lost(connection, backoff.Closure(CLOSE_ABNORMAL, words, was_active=True), now)

    def _mind_outbox(self, now: float) -> None:
        """Take no more work while too many answers are unacknowledged."""
        outbox = self._traffic.outbox
        if outbox.full and OUTBOX_FULL not in self._pauses:
            words = "too many answers are unacknowledged; this worker takes no new work for now"
            self._note(Level.WARNING, words, answers=len(outbox), bytes=outbox.bytes)
            self.pause(now, why=OUTBOX_FULL)
        elif OUTBOX_FULL in self._pauses and outbox.relieved:
            self._note(Level.INFO, "answers are acknowledged again; taking work")
            self.resume(now, why=OUTBOX_FULL)

    # --- the end ---------------------------------------------------------------------------------

    def _mind_closing(self, now: float) -> None:
        if not self._closing.begun or self.state is ConnectionState.CLOSED:
            return
        if self._closing.patience_over(now):
            self._cancel_all("the worker is shutting down")
        elif self._traffic.work.unfinished:
            if self._closing.tell_due(now):
                self._tell_what_runs()
            return
        if self._closing.settle(now):
            self._traffic.outbox.hurry()
            self._traffic.tend(self._sockets(), now)
        if not len(self._traffic.outbox) or self._closing.settled(now):
            self._finish(None)

    def _tell_what_runs(self) -> None:
        """Whoever waits for the end of a worker wants to know what it waits for."""
        running = [w.request.function_slug for w in self._traffic.work if w.stage is Stage.RUNNING]
        words = "the worker is closing and waits for what runs"
        self._note(Level.INFO, words, functions=", ".join(sorted(set(running))), calls=len(running))

    def _cancel_all(self, why: str) -> None:
        for work in self._traffic.work:
            if work.stage is Stage.RUNNING and not work.lost:
                work.lost = True
                self._outputs.append(CancelWork(work.request.request_id, why))

    def _fail(self, words: str, now: float, *, unauthorized: bool = False) -> None:
        if not self._closing.begun:
            self._closing.begin(now)
            self._go(ConnectionState.CLOSING)
        self._note(Level.ERROR, words)
        self._finish(words, unauthorized=unauthorized)

    def _finish(self, error: str | None, *, unauthorized: bool = False) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        self._cancel_all("the worker has ended")
        for connection in list(self._connections.values()):
            self._cut(connection, CLOSE_NORMAL, REASON_WORKER_SHUTDOWN)
        self._retry_at = None
        unsent = tuple(kept.request_id for kept in self._traffic.outbox)
        if unsent:
            words = "the worker ends with answers the server has not confirmed"
            self._note(Level.ERROR, words, answers=len(unsent), first=unsent[0])
        self._go(ConnectionState.CLOSED)
        self._outputs.append(Finished(error, unauthorized, unsent))

    def _go(self, state: ConnectionState) -> None:
        if state is self.state:
            return
        check_state(self.state, state)
        before, self.state = self.state, state
        self._outputs.append(StateChanged(before, state))

    def _note(self, level: Level, words: str, **facts: str | float | None) -> None:
        self._outputs.append(Notice(level, words, facts))
