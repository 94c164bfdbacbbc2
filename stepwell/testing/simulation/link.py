"""A worker and its gateways joined by a pretend wire, on virtual time, with faults drawn by a seed.

Both sides are the real protocol objects; only sockets, HTTP and clocks are pretended. Frames can be
delayed, lost, repeated, reordered; sockets can be cut; gateways drain, die and come back; the start
call and the flush can fail; the worker's process can be killed. The laws that must hold at every
instant are asserted here, so that every test that uses a link checks them.
"""

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

import msgspec

from stepwell.sdk.connect import output as worker_output
from stepwell.sdk.connect.backoff import StartFailure
from stepwell.sdk.connect.introduction import WorkerConfig
from stepwell.sdk.connect.phase import ConnectionState, SocketPhase
from stepwell.sdk.connect.protocol import WorkerProtocol
from stepwell.server.gateway import output as gateway_output
from stepwell.server.gateway.protocol import GatewayConfig, GatewayProtocol
from stepwell.testing.simulation.desk import Call, Desk
from stepwell.wire.connect_decode import decode_frame, decode_reply
from stepwell.wire.connect_encode import encode_reply
from stepwell.wire.connect_limit import (
    CLOSE_ABNORMAL,
    CLOSE_POLICY,
    EXTENSION_CHECKPOINT,
    REASON_AUTH_FAILED,
)
from stepwell.wire.connect_word import (
    AppConfig,
    ExecutorRequest,
    Message,
    Reply,
    ReplyStatus,
    StartResponse,
    WorkerConnect,
)
from stepwell.wire.identifier import ulid_at

READ_ALL = 1 << 62
APP = "app"


class Faults(msgspec.Struct, frozen=True):
    """How bad the wire is: chances per frame or call, delays in seconds."""

    loss: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    cut: float = 0.0
    http_failure: float = 0.0
    delay_s: tuple[float, float] = (0.001, 0.005)
    reorder_s: float = 0.2


class Broken(AssertionError):
    """A law of the worker connection did not hold."""


class Socket:
    """One pretend socket between the worker and one gateway."""

    def __init__(self, id: int, gateway: int, protocol: GatewayProtocol) -> None:
        self.id = id
        self.gateway = gateway
        self.protocol = protocol
        self.open = True
        self.dark = False
        """Half open: both sides think it lives, nothing arrives any more, not even its end."""
        self.arrives = {True: 0.0, False: 0.0}
        """When the last frame of each direction arrives: frames keep their order."""


class Gateway:
    """One pretend gateway process: what it knows dies with it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True
        self.draining = False
        self.sockets: dict[int, Socket] = {}


Tap = Callable[[bool, Message], bool]
"""(from the worker?, message) → may it pass?"""


class Link:
    """The joined pair. `run` moves virtual time; everything else happens at the present instant."""

    def __init__(
        self,
        seed: int = 0,
        *,
        faults: Faults | None = None,
        gateways: int = 1,
        worker: WorkerConfig | None = None,
        gateway: GatewayConfig | None = None,
        checkpoints: bool = True,
        lease_s: float = 120.0,
    ) -> None:
        self.chance = Random(seed)
        self.faults = faults or Faults()
        self.now = 1_000_000.0
        self.desk = Desk(self.chance, lease_s=lease_s)
        self.gateways = [Gateway(number) for number in range(gateways)]
        self.gateway_config = gateway or GatewayConfig()
        self.worker_config = worker or default_config()
        self.checkpoints = checkpoints
        self.api_status: int | None = 200
        """What the start call and the flush answer; None: nobody answers."""
        self.flush_bytes_max = READ_ALL
        self.worker_stuck = False
        """Pretend the connection's thread is stopped: nothing is heard, nothing is done."""
        self.refuse: tuple[int, str] | None = None
        self.tap: Tap = lambda from_worker, message: True
        self.trace: list[str] = []
        self.states: list[ConnectionState] = []
        self.edges: set[tuple[ConnectionState, ConnectionState]] = set()
        """The changes of state there were, in every life of the worker."""
        self.executions: list[str] = []
        self.cancelled: list[str] = []
        self.starts: list[worker_output.AskStart] = []
        self.flushes: list[str] = []
        self.notices: list[worker_output.Notice] = []
        self.checkpointed: list[worker_output.CheckpointSettled] = []
        self.finished: worker_output.Finished | None = None
        self.spool: dict[str, bytes] = {}
        self.introductions: list[WorkerConnect] = []
        self.closes: list[tuple[str, int, str]] = []
        self.on_execute: Callable[[ExecutorRequest, bool], None] = self._work
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._alarm: dict[object, float] = {}
        self._life = 0
        self._executed_in_life: set[str] = set()
        self._acked_in_life: set[str] = set()
        self._fates: dict[tuple[int, str], int] = {}
        self.worker = self._new_worker()

    # --- time -----------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._run_to(self.now + seconds, lambda: False)

    def run_until(self, done: Callable[[], bool], *, within_s: float = 600.0) -> float:
        """Let time pass until `done` holds; gives the seconds it took. Broken if it never does."""
        began = self.now
        if not done():
            self._run_to(self.now + within_s, done)
        if not done():
            tail = "\n".join(self.trace[-40:])
            raise Broken(f"did not come true within {within_s:g} s of virtual time\n{tail}")
        return self.now - began

    def _run_to(self, until: float, done: Callable[[], bool]) -> None:
        while self._heap and self._heap[0][0] <= until:
            at, _, action = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            action()
            if done():
                return
        self.now = max(self.now, until)

    def at(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._heap, (self.now + delay_s, next(self._order), action))

    def _delay(self) -> float:
        return self.chance.uniform(*self.faults.delay_s)

    def _chance_of(self, probability: float) -> bool:
        return probability > 0 and self.chance.random() < probability

    # --- the worker -----------------------------------------------------------------------------

    def _new_worker(self) -> WorkerProtocol:
        self._life += 1
        self._executed_in_life = set()
        self._acked_in_life = set()
        worker = WorkerProtocol(self.worker_config, self.chance.random)
        for request_id, payload in self.spool.items():
            worker.restore(request_id, payload)
        return worker

    def start(self) -> None:
        """Start the worker, and the server's own pulse: it dispatches once a second."""
        self.worker.begin(self.now)
        self._attend_worker()
        self._pulse()

    def _pulse(self) -> None:
        self.dispatch()
        self.at(1.0, self._pulse)

    def call_worker(self, action: Callable[[WorkerProtocol, float], object]) -> None:
        """Give the worker one input, as its shell would."""
        if self.finished is None:
            action(self.worker, self.now)
            self._attend_worker()

    def kill_worker(self, *, keep_spool: bool = True) -> None:
        """kill -9, then a new process: it knows nothing but what was spooled."""
        if not keep_spool:
            self.spool.clear()
        for gateway in self.gateways:
            for socket in list(gateway.sockets.values()):
                self._end_at_gateway(socket, CLOSE_ABNORMAL, "")
        self._trace("worker killed")
        self.finished = None
        self.worker = self._new_worker()
        self.worker.begin(self.now)
        self._attend_worker()

    def _attend_worker(self) -> None:
        worker = self.worker
        for output in worker.outputs():
            self._perform_worker(output)
        active = [c for c in worker.connections() if c.phase is SocketPhase.ACTIVE]
        trying = [c for c in worker.connections() if c.connecting]
        if len(active) > 1 or len(trying) > 1:
            raise Broken(f"{len(active)} active sockets and {len(trying)} attempts at once")
        self._set_alarm(worker, worker.deadline, self._tick_worker)

    def _tick_worker(self) -> None:
        if self.worker_stuck:
            self.at(1.0, self._tick_worker)
            return
        worker = self.worker
        worker.tick(self.now)
        due = worker.deadline()
        pending = worker.peek()
        if due is not None and due <= self.now and not pending:
            raise Broken(f"the worker wants to be woken at once, again and again: {due}")
        self._attend_worker()

    def _set_alarm(
        self, who: object, deadline: Callable[[], float | None], tick: Callable[[], None]
    ) -> None:
        due = deadline()
        if due is None or self._alarm.get(who) == due:
            return
        self._alarm[who] = due

        def ring() -> None:
            if self._alarm.get(who) != due:
                return
            del self._alarm[who]
            still = who is self.worker or isinstance(who, GatewayProtocol)
            if still:
                tick()

        self.at(max(0.0, due - self.now), ring)

    def _perform_worker(self, output: worker_output.Output) -> None:
        match output:
            case worker_output.AskStart():
                self.starts.append(output)
                self.at(self._delay(), self._in_life(lambda: self._answer_start(output)))
            case worker_output.Dial():
                self.at(self._delay(), self._in_life(lambda: self._dial(output)))
            case worker_output.Transmit():
                self._from_worker(output)
            case worker_output.CloseSocket():
                self.closes.append(("worker", output.code, output.reason))
                self._close_from_worker(output)
            case worker_output.Execute():
                self._execute(output)
            case worker_output.CancelWork():
                self.cancelled.append(output.request_id)
            case worker_output.Flush():
                self.flushes.append(output.request_id)
                self.at(self._delay(), self._in_life(lambda: self._answer_flush(output)))
            case worker_output.ReplySettled():
                self._settled(output.request_id)
            case worker_output.CheckpointSettled():
                self.checkpointed.append(output)
            case worker_output.StateChanged():
                if not self.states:
                    self.states.append(output.before)
                self.states.append(output.after)
                self.edges.add((output.before, output.after))
                self._trace(f"worker is {output.after.value}")
            case worker_output.Notice():
                self.notices.append(output)
                self._trace(f"notice: {output.words} {output.facts}")
            case worker_output.Finished():
                self.finished = output

    def _in_life(self, action: Callable[[], None]) -> Callable[[], None]:
        """An answer reaches only the process that asked."""
        life = self._life
        return lambda: action() if life == self._life else None

    def _execute(self, output: worker_output.Execute) -> None:
        request = output.request
        if request.request_id in self._executed_in_life:
            raise Broken(f"{request.request_id} is executed twice")
        if request.request_id not in self._acked_in_life:
            raise Broken(f"{request.request_id} is executed before it was claimed")
        self._executed_in_life.add(request.request_id)
        self.executions.append(request.request_id)
        self.on_execute(request, output.checkpointing)

    def _work(self, request: ExecutorRequest, checkpointing: bool) -> None:
        call = next(c for c in self.desk.calls if c.job == request.job_id)
        self.at(call.work_s, self._in_life(lambda: self.finish(request)))

    def finish(self, request: ExecutorRequest, body: bytes = b'"done"') -> None:
        """The function of a request returns; the answer is spooled before it is sent."""
        if self.worker_stuck:
            self.at(1.0, self._in_life(lambda: self.finish(request, body)))
            return
        reply = Reply(
            request_id=request.request_id,
            account_id=request.account_id,
            env_id=request.env_id,
            app_id=request.app_id,
            status=ReplyStatus.DONE,
            body=body,
            run_id=request.run_id,
            system_trace=request.system_trace,
            user_trace=request.user_trace,
        )
        self.spool[request.request_id] = encode_reply(reply)
        self.call_worker(lambda worker, now: worker.reply(reply, now))

    def _settled(self, request_id: str) -> None:
        if request_id not in self.desk.told and not self._refused_for_good():
            raise Broken(f"{request_id} is forgotten, but the server never had its answer")
        self.spool.pop(request_id, None)

    def _refused_for_good(self) -> bool:
        return self.api_status is not None and 400 <= self.api_status < 500

    # --- HTTP -----------------------------------------------------------------------------------

    def _http_status(self) -> int | None:
        if self._chance_of(self.faults.http_failure):
            return None if self.chance.random() < 0.5 else 503
        return self.api_status

    def _answer_start(self, asked: worker_output.AskStart) -> None:
        status = self._http_status()
        alive = [g for g in self.gateways if g.alive and not g.draining]
        if status == 200 and not alive:
            status = 503
        if status != 200:
            failure = StartFailure("the API is down" if status is None else "no", status)
            self.call_worker(lambda w, now: w.start_failed(asked.attempt, failure, now))
            return
        wanted = [g for g in alive if f"group-{g.number}" not in asked.exclude_gateways] or alive
        gateway = self.chance.choice(wanted)
        response = StartResponse(
            connection_id=ulid_at(int(self.now * 1000), self.chance.randbytes(10)),
            gateway_endpoint=f"ws://gateway-{gateway.number}/v0/connect",
            gateway_group=f"group-{gateway.number}",
            session_token="session",  # noqa: S106 - pretended
            sync_token="sync",  # noqa: S106
        )
        self.call_worker(lambda w, now: w.start_answered(asked.attempt, response, now))

    def _answer_flush(self, asked: worker_output.Flush) -> None:
        status = 413 if len(asked.payload) > self.flush_bytes_max else self._http_status()
        if status == 200:
            self.desk.answered(decode_reply(asked.payload))
            if self._chance_of(self.faults.http_failure):
                status = None
        if status == 200:
            self.call_worker(lambda w, now: w.flushed(asked.request_id, now))
        else:
            self.call_worker(lambda w, now: w.flush_failed(asked.request_id, status, "no", now))

    # --- sockets --------------------------------------------------------------------------------

    def _dial(self, asked: worker_output.Dial) -> None:
        gateway = self.gateways[int(asked.endpoint.split("-")[1].split("/")[0])]
        wanted = any(c.id == asked.attempt and c.connecting for c in self.worker.connections())
        if not wanted:
            return
        if not gateway.alive:
            self.call_worker(lambda w, now: w.open_failed(asked.attempt, "refused", now))
            return
        socket = Socket(asked.attempt, gateway.number, GatewayProtocol(self.gateway_config))
        gateway.sockets[socket.id] = socket
        self.call_worker(lambda w, now: w.opened(asked.attempt, now))
        socket.protocol.open(self.now, draining=gateway.draining)
        self._attend_gateway(socket)

    def sockets(self) -> list[Socket]:
        """Every socket a gateway still holds open."""
        return [s for g in self.gateways for s in g.sockets.values() if s.open]

    def cut(self) -> None:
        """Every TCP connection ends without a word; both sides notice at once."""
        for socket in self.sockets():
            self._cut(socket)

    def darken(self) -> None:
        """Every TCP connection is half open from now on: a partition nobody is told of."""
        for socket in self.sockets():
            socket.dark = True

    def _cut(self, socket: Socket) -> None:
        if not socket.open:
            return
        self._trace(f"socket {socket.id} cut")
        self._end_at_gateway(socket, CLOSE_ABNORMAL, "")
        self._close_at_worker(socket, CLOSE_ABNORMAL, "")

    def _close_at_worker(self, socket: Socket, code: int, reason: str) -> None:
        self.call_worker(lambda w, now: w.closed(socket.id, code, reason, now))

    def _end_at_gateway(self, socket: Socket, code: int, reason: str) -> None:
        if socket.open:
            socket.open = False
            self.gateways[socket.gateway].sockets.pop(socket.id, None)
            socket.protocol.closed(code, reason)
            self._attend_gateway(socket)

    def _close_from_worker(self, asked: worker_output.CloseSocket) -> None:
        for gateway in self.gateways:
            socket = gateway.sockets.get(asked.socket)
            if socket is not None and not socket.dark:
                later = partial(self._end_at_gateway, socket, asked.code, asked.reason)
                self.at(max(self._delay(), socket.arrives[True] - self.now), later)

    def _from_worker(self, output: worker_output.Transmit) -> None:
        message = decode_frame(output.frame, bytes_max=READ_ALL)
        if type(message).__name__ == "RequestAck":
            self._acked_in_life.add(getattr(message, "request_id", ""))
        self._trace(f"worker → {output.socket}: {_brief(message)}")
        for gateway in self.gateways:
            socket = gateway.sockets.get(output.socket)
            if socket is not None:
                self._carry(socket, message, output.frame, from_worker=True)

    def _carry(self, socket: Socket, message: Message, frame: bytes, *, from_worker: bool) -> None:
        lost = socket.dark or self._chance_of(self.faults.loss)
        if lost or not self.tap(from_worker, message):
            self._trace(f"lost: {_brief(message)}")
            return
        if self._chance_of(self.faults.cut):
            self.at(0.0, lambda: self._cut(socket))
        for _ in range(2 if self._chance_of(self.faults.repeat) else 1):
            arrives = max(self.now + self._delay(), socket.arrives[from_worker])
            if self._chance_of(self.faults.reorder):
                arrives += self.chance.uniform(0, self.faults.reorder_s)
            else:
                socket.arrives[from_worker] = arrives
            arrival = partial(self._deliver, socket, frame, self._life, from_worker=from_worker)
            self.at(arrives - self.now, arrival)

    def _deliver(self, socket: Socket, frame: bytes, life: int, *, from_worker: bool) -> None:
        if not socket.open or life != self._life:
            return
        if from_worker:
            self._to_gateway(socket, frame)
        else:
            self._to_worker(socket, frame)

    def _to_worker(self, socket: Socket, frame: bytes) -> None:
        if self.worker_stuck:
            self.at(1.0, lambda: self._to_worker(socket, frame))
            return
        self.call_worker(lambda w, now: w.receive(socket.id, frame, now))

    def _to_gateway(self, socket: Socket, frame: bytes) -> None:
        socket.protocol.receive(frame, self.now)
        self._attend_gateway(socket)

    # --- gateways -------------------------------------------------------------------------------

    def _attend_gateway(self, socket: Socket) -> None:
        for output in socket.protocol.outputs():
            self._perform_gateway(socket, output)
        self._set_alarm(
            socket.protocol, socket.protocol.deadline, lambda: self._tick_gateway(socket)
        )

    def _tick_gateway(self, socket: Socket) -> None:
        if not self.gateways[socket.gateway].alive:
            return
        socket.protocol.tick(self.now)
        due = socket.protocol.deadline()
        if due is not None and due <= self.now:
            raise Broken(f"a gateway wants to be woken at once, again and again: {due}")
        self._attend_gateway(socket)

    def _perform_gateway(self, socket: Socket, output: gateway_output.Output) -> None:
        match output:
            case gateway_output.Transmit():
                message = decode_frame(output.frame, bytes_max=READ_ALL)
                self._trace(f"{socket.id} → worker: {_brief(message)}")
                self._carry(socket, message, output.frame, from_worker=False)
            case gateway_output.Close():
                self.closes.append(("gateway", output.code, output.reason))
                self._trace(f"gateway closes {socket.id}: {output.code} {output.reason}")
                self._hang_up(socket, output.code, output.reason)
            case gateway_output.Drop():
                self.closes.append(("gateway", CLOSE_ABNORMAL, output.reason))
                self._hang_up(socket, CLOSE_ABNORMAL, "")
            case gateway_output.Introduced():
                self.introductions.append(output.worker)
                self.at(self._delay(), lambda: self._verdict(socket))
            case gateway_output.Became():
                if output.routable:
                    self.dispatch()
            case gateway_output.Taken():
                self._fate(socket, output.request_id)
                self.desk.taken(output.request_id)
            case gateway_output.NotTaken():
                self._fate(socket, output.request_id)
                self.desk.not_taken(output.request_id, (socket.gateway, socket.id))
            case gateway_output.LeaseAsked():
                asked = output.message
                lease = self.desk.extend(asked.request_id, asked.lease_id, self.now)
                socket.protocol.answer_lease(asked, lease)
                self._attend_gateway(socket)
            case gateway_output.ReplyCame():
                self.desk.answered(output.reply)
                socket.protocol.acknowledge(output.reply.request_id)
                self._attend_gateway(socket)
            case gateway_output.CheckpointCame():
                asked_steps = output.checkpoint
                outcome = self.desk.save(
                    asked_steps.request_id, asked_steps.sequence, asked_steps.steps
                )
                socket.protocol.answer_checkpoint(asked_steps, outcome)
                self._attend_gateway(socket)
            case gateway_output.StatusCame() | gateway_output.Ended():
                self._trace(f"gateway: {output}")

    def _fate(self, socket: Socket, request_id: str) -> None:
        key = (socket.id, request_id)
        if not self._fates.get(key):
            raise Broken(f"the fate of {request_id} was told more often than it was forwarded")
        self._fates[key] -= 1

    def _hang_up(self, socket: Socket, code: int, reason: str) -> None:
        """The gateway ended the socket: what it sent before still arrives."""
        self.gateways[socket.gateway].sockets.pop(socket.id, None)

        def arrives() -> None:
            socket.open = False
            if not socket.dark:
                self._close_at_worker(socket, code, reason)

        self.at(max(self._delay(), socket.arrives[False] - self.now), arrives)

    def _verdict(self, socket: Socket) -> None:
        if self.refuse is not None:
            socket.protocol.reject(*self.refuse)
        else:
            extensions = (EXTENSION_CHECKPOINT,) if self.checkpoints else ()
            socket.protocol.accept(self.now, extensions=extensions)
        self._attend_gateway(socket)

    def dispatch(self) -> None:
        """Forward every waiting call to some connection that can take it."""
        for call in self.desk.waiting(self.now):
            able = [s for s in self.sockets() if s.protocol.routable(self.now)]
            if not able:
                return
            self._forward(call, self.chance.choice(able))

    def _forward(self, call: Call, socket: Socket) -> None:
        request = self.desk.dispatch(call, (socket.gateway, socket.id), self.now)
        key = (socket.id, request.request_id)
        self._fates.setdefault(key, 0)
        if self._fates[key]:
            return
        self._fates[key] += 1
        socket.protocol.forward(request, self.now)
        self._attend_gateway(socket)

    def drain(self, number: int = 0) -> None:
        """A gateway asks its workers to leave; new ones are sent elsewhere."""
        gateway = self.gateways[number]
        gateway.draining = True
        for socket in list(gateway.sockets.values()):
            socket.protocol.drain(self.now)
            self._attend_gateway(socket)

    def kill_gateway(self, number: int = 0) -> None:
        """kill -9 of a gateway: its sockets die, what it knew is gone. The desk survives."""
        gateway = self.gateways[number]
        gateway.alive = False
        self._trace(f"gateway {number} killed")
        for socket in list(gateway.sockets.values()):
            socket.open = False
            for call in self.desk.calls:
                if call.given_to == (number, socket.id) and not call.claimed:
                    call.given_to = None
            self._close_at_worker(socket, CLOSE_ABNORMAL, "")
        gateway.sockets.clear()

    def revive(self, number: int = 0) -> None:
        """A gateway is started anew, or takes workers again."""
        gateway = self.gateways[number]
        gateway.alive = True
        gateway.draining = False

    def heal(self) -> None:
        """End every fault."""
        self.faults = Faults()
        self.api_status = 200
        self.refuse = None
        self.worker_stuck = False
        for gateway in self.gateways:
            self.revive(gateway.number)

    def want(self, work_s: float = 0.1, *, function: str = "app-fn", app: str = APP) -> Call:
        """Ask for one call."""
        call = self.desk.want(app, function, work_s)
        self.dispatch()
        return call

    def _trace(self, line: str) -> None:
        self.trace.append(f"{self.now - 1_000_000:10.3f} {line}")


def default_config() -> WorkerConfig:
    """A worker with one app and one function."""
    functions = b'[{"id":"app-fn"}]'
    return WorkerConfig(
        instance_id="instance",
        apps=(AppConfig(APP, functions),),
        capabilities=b'{"connect":"v1","checkpoint":"v1"}',
        sdk_version="0.0.0",
        keys=1,
    )


AUTH_REFUSED = (CLOSE_POLICY, REASON_AUTH_FAILED)


def _brief(message: Message) -> str:
    request_id = getattr(message, "request_id", "")
    return f"{type(message).__name__} {request_id}".rstrip()
