"""The gateway of one node: every worker connection, every request in a worker's hands.

What a worker says becomes an input of the ledger, and is acknowledged only after its commit. What
the engine wants called is given to a session, and comes back as stored, lost or not taken. Nothing
durable lives here: after a restart a worker's leases and answers still find their items, because
the trace context they echo names them. Everything runs on the server's loop.
It is one file because every message of a worker meets the same requests. Who has which of them is
in `flights.py`, how many an app takes in `slots.py`, one request in `flight.py`.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

import msgspec

from stepwell.server.engine.message.input import (
    Answer,
    Done,
    LeaseExtended,
    LeaseLost,
    Outcome,
    ReplyReceived,
    StepsCheckpointed,
    Verdict,
)
from stepwell.server.engine.row.run import AppRow
from stepwell.server.gateway import ticket
from stepwell.server.gateway.call import Place, place_in, reading_outcome
from stepwell.server.gateway.flight import Ending, Flight
from stepwell.server.gateway.flights import Flights
from stepwell.server.gateway.former_versions import FormerVersions
from stepwell.server.gateway.handshake import Admission, Admitted
from stepwell.server.gateway.phase import GatewayPhase
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.server.gateway.sessions import Session, Sessions
from stepwell.server.gateway.slots import AskHadWork, Slots
from stepwell.server.gateway.socket_endpoint import Accepted, GatewayConnection, Rejected
from stepwell.server.ledger import Ledger, LedgerClosed
from stepwell.server.registration import RegistrationRefused
from stepwell.server.store.port import Cluster, StoreError
from stepwell.server.turns import by_turns
from stepwell.wire.connect_limit import (
    CLOSE_GOING_AWAY,
    REASON_UNEXPECTED,
    REASON_WORKER_SHUTDOWN,
    STRANGERS_MAX,
)
from stepwell.wire.connect_word import (
    Checkpoint,
    CheckpointOutcome,
    ExtendLease,
    Reply,
    WorkerConnect,
    WorkerStatus,
)
from stepwell.wire.long_json import Turns
from stepwell.wire.operation import MalformedOperation, Operation
from stepwell.wire.operation_decode import decoding_operations

log = logging.getLogger("stepwell.gateway")

SWEEP_EVERY_S = 1.0
STORE_RETRY_S = 0.5
ENDED_KEPT = 100
STOP_TIMEOUT_S = 3.0
EXTENSIONS_MISSED_MAX = 2


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a gateway treats its workers. Times in milliseconds unless named otherwise."""

    connection: GatewayConfig = GatewayConfig()
    lease_ms: int = 120_000
    grace_ms: int = 5_000
    """How long after its lease a late answer is waited for."""
    orphan_ms: int = 30_000
    """How long a request waits for its worker to come back after it fell silent."""
    return_ms: int = 2_000
    """The same after the system said that its socket is closed: who lives dials again at once."""
    claim_ms: int = 500
    """The same after a worker of its name is here again: who still has it says so first of all."""
    left_ms: int = 5_000
    """The same after the worker said goodbye."""
    place_ms: int = 10_000
    """How long a request waits for somebody to take it before it returns to the queue."""
    connections_max: int | None = None
    reunion_s: float = 1.0
    """After a restart: how long workers may say what they still hold before they get new work."""
    reunion_window_s: float = 60.0
    former_ms: int | None = 60_000
    """How long a worker of the present version of an app is waited for before one that the app had
    before takes its place. None: only who connects meanwhile takes it, at once."""


class EndedSession(msgspec.Struct, frozen=True):
    """A connection that is over, for those who look back."""

    connection_id: str
    instance_id: str
    apps: tuple[str, ...]
    connected_ms: int
    ended_ms: int
    reason: str


class Gateway:
    """The desk of every connection, and the hands of the connect driver."""

    def __init__(
        self,
        ledger: Ledger,
        now_ms: Callable[[], int],
        *,
        secret: bytes,
        settings: GatewaySettings | None = None,
        on_slots: Callable[[str, int], None],
        on_app: Callable[[AppRow], None],
        had_work: AskHadWork,
        cluster: Cluster | None = None,
    ) -> None:
        """`on_slots` hears how many requests the workers of an app take at once, 0 when none is
        there, and the same of each place where calls wait for workers with some code; `on_app`, of
        registrations; `had_work` is asked whether calls of an app may have been under way when
        the server stopped; `cluster` knows what workers at other servers bring."""
        self.settings = settings or GatewaySettings()
        self.sessions = Sessions(lambda: ledger.catalog.apps)
        self.connections: set[GatewayConnection] = set()
        self.ended_sessions: deque[EndedSession] = deque(maxlen=ENDED_KEPT)
        self.counts: Counter[str] = Counter()
        self.draining = False
        self._ledger = ledger
        self._now_ms = now_ms
        self._secret = secret
        self._cluster = cluster
        self._former = FormerVersions(
            lambda: ledger.catalog.apps,
            now_ms,
            after_ms=lambda: self.settings.former_ms,
            elsewhere=lambda: frozenset() if cluster is None else cluster.served,
        )
        self._admission = Admission(ledger, now_ms, secret=secret, former=self._former)
        self._on_app = on_app
        self.flights = Flights(self.sessions, now_ms, self.counts)
        self._slots = Slots(
            self.sessions,
            now_ms,
            on_slots=on_slots,
            had_work=had_work,
            pinned=self._pinned_of_app,
            reunion_s=self.settings.reunion_s,
            reunion_window_s=self.settings.reunion_window_s,
        )
        self._watching: tuple[asyncio.Task[None], ...] = ()

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch leases, and which versions of apps are here."""
        self._slots.begin()
        loop = asyncio.get_running_loop()
        self._watching = (loop.create_task(self._sweep_on()), loop.create_task(self._look_on()))

    def clock_moved(self, by_ms: int) -> None:
        """The clock goes on from another time: whoever has work has the time it was given."""
        for flight in self.flights.all():
            flight.until_ms += by_ms
            flight.unplaced_ms += by_ms

    def drain(self) -> None:
        """Take no new workers and give no new work; serve those there are a while longer."""
        self.draining = self._slots.closed = True
        for connection in tuple(self.connections):
            connection.drain()

    async def stop(self) -> None:
        """End every connection. What workers hold they may still report to the next server."""
        self.drain()
        for task in self._watching:
            task.cancel()
        self._slots.stop()
        for connection in tuple(self.connections):
            connection.dismiss()
        limit = asyncio.get_running_loop().time() + STOP_TIMEOUT_S
        while self.connections and asyncio.get_running_loop().time() < limit:
            await asyncio.sleep(0.01)
        for connection in tuple(self.connections):
            connection.port.abort()

    async def serve(self, connection: GatewayConnection) -> None:
        """One connection from its first to its last frame. One stranger too many is cut off."""
        if len(self.connections) - len(self.sessions) >= STRANGERS_MAX:
            self.counts["strangers_cut_off"] += 1
            connection.port.abort()
            return
        self.connections.add(connection)
        try:
            await connection.run(draining=self.draining)
        finally:
            self.connections.discard(connection)

    def is_expected(self, query: str) -> bool:
        """Was whoever comes with this query let in by a start call?"""
        return ticket.is_valid(query, self._secret, self._now_ms() / 1000)

    @property
    def is_full(self) -> bool:
        """Has as many connections as it may have. Those that fell silent or take no more work do
        not count: their workers may be the ones that ask to come back."""
        limit, patience_s = self.settings.connections_max, self.settings.connection.stale_s
        if limit is None:
            return False
        live = sum(
            session.connection.protocol.phase is not GatewayPhase.DRAINING
            and session.connection.silence_s < patience_s
            for session in self.sessions
        )
        return live >= limit

    def _pinned_of_app(self, app: str) -> tuple[str, ...]:
        return self._ledger.catalog.pinned_of_app(app)

    # --- for the driver --------------------------------------------------------------------------

    def begin(self, request_id: str, place: Place, code: str = "") -> Flight:
        """A call is to be made: its flight, with its first lease, for a worker with this code."""
        lease_ms = self.settings.lease_ms
        return self.flights.begin(request_id, place, lease_ms=lease_ms, code=code)

    def forget(self, flight: Flight) -> None:
        """Nobody waits for this call any more: its worker is told at once, by a refusal it did not
        ask for. Of a server that stops, only the next one may say what is lost."""
        session, request = flight.session, flight.request
        if session is not None and request is not None and not self.draining:
            session.connection.answer_lease(request, None)
        flight.end(Ending.LOST)
        self.flights.remove(flight.request_id)
        self.flights.place_all()

    # --- what connections say: who is there ------------------------------------------------------

    async def introduced(
        self, connection: GatewayConnection, worker: WorkerConnect
    ) -> Accepted | Rejected:
        """Check a worker's token and register its apps."""
        self.counts["introduced"] += 1
        verdict = await self._admission.admit(worker, self.sessions)
        if not isinstance(verdict, Admitted):
            return verdict
        if self.draining:
            return Rejected(CLOSE_GOING_AWAY, "connect_gateway_closing")
        self.sessions.add(
            connection,
            worker,
            verdict.apps,
            now_ms=self._now_ms(),
            extensions=verdict.extensions,
        )
        checksums = {app.name: app.checksum for app in verdict.apps}
        for registration in verdict.brought:
            self._former.came(registration, checksums[registration.app_name])
        for row in verdict.registered:
            self._on_app(row)
        for app in verdict.apps:
            log.info("worker %s of app %s is connected", worker.instance_id, app.name)
        return Accepted(verdict.extensions)

    def became(self, connection: GatewayConnection, *, routable: bool) -> None:
        """The worker takes work, or no longer."""
        session = self.sessions.of(connection)
        if session is None:
            return
        for app in session.apps:
            self._slots.look(app)
        if routable:
            if session.is_ours:
                self.flights.await_claims(session, self._now_ms() + self.settings.claim_ms)
            self.flights.place_all()

    def status_came(self, connection: GatewayConnection, status: WorkerStatus) -> None:
        """What the worker holds, for those who watch."""
        session = self.sessions.of(connection)
        if session is not None:
            session.status = status

    def ended(self, connection: GatewayConnection, reason: str) -> None:
        """The connection is over: what it held waits for its worker to come back."""
        session = self.sessions.remove(connection)
        if session is None:
            return
        now_ms = self._now_ms()
        self.counts[f"ended:{reason}"] += 1
        self.ended_sessions.append(_ended(session, now_ms, reason))
        self.flights.orphan(session, now_ms + self._patience_ms(session, reason))
        for app in session.apps:
            self._slots.look(app)
            if not self.draining:
                self._admission.left(app, self.sessions)
                self._tell_of_leaving(session, app, reason)

    def _tell_of_leaving(self, session: Session, app: str, reason: str) -> None:
        left = len(self.sessions.serving(app))
        rest = f"{left} remain" if left else "its runs wait until one takes work"
        log.info("worker %s of app %s is gone (%s): %s", session.instance_id, app, reason, rest)

    def _patience_ms(self, session: Session, reason: str) -> int:
        """How long what a worker held waits for it, by how its connection ended."""
        settings = self.settings
        # Whoever lives extends its leases in this time.
        extended = EXTENSIONS_MISSED_MAX * settings.connection.extend_lease_s * 1000
        if reason == REASON_UNEXPECTED:
            # Official workers do not say that they are back, they extend when it is time.
            return settings.return_ms if session.is_ours else max(settings.return_ms, extended)
        patience = settings.left_ms if reason == REASON_WORKER_SHUTDOWN else settings.orphan_ms
        if self.sessions.instance_is_here(session.instance_id):
            # It came back over another connection, or another of its name is here.
            patience = max(patience, extended)
        return patience

    # --- what connections say: requests ----------------------------------------------------------

    def taken(self, connection: GatewayConnection, request_id: str) -> None:
        """A forwarded request was claimed."""
        flight = self.flights.of(request_id)
        if flight is not None:
            flight.claimed = True
            flight.tried = frozenset()

    def not_taken(self, connection: GatewayConnection, request_id: str, why: str) -> None:
        """A forwarded request was not claimed: the next one gets it, under the same id."""
        flight, session = self.flights.of(request_id), self.sessions.of(connection)
        if flight is None or session is None or flight.session is not session or flight.claimed:
            return
        self.counts["rerouted"] += 1
        log.info("request %s was not taken by %s: %s", request_id, session.instance_id, why)
        flight.leave()
        flight.tried |= {session}
        self.flights.place(flight)

    def lease_asked(self, connection: GatewayConnection, asked: ExtendLease) -> None:
        """Extend a lease; one this server does not know may be from before a restart."""
        flight = self.flights.of(asked.request_id)
        if flight is None:
            # A server that stops has forgotten its calls; only the next one may say what is lost.
            if not self.draining:
                self._adopt(connection, asked)
            return
        lease = flight.extend(asked.lease_id, self._now_ms())
        session = self.sessions.of(connection)
        if lease is not None and session is not None and flight.session is not session:
            self.flights.hand_over(flight, session)
        if lease is not None and flight.request is None:
            self._extend_adopted(connection, asked, flight, lease)
        else:
            self._answer_lease(connection, asked, lease)

    def _answer_lease(
        self, connection: GatewayConnection, asked: ExtendLease, lease: str | None
    ) -> None:
        self.counts["extended" if lease else "extension_refused"] += 1
        connection.answer_lease(asked, lease)

    def _adopt(self, connection: GatewayConnection, asked: ExtendLease) -> None:
        place = place_in(asked.system_trace)
        if place is None:
            self.counts["extension_refused"] += 1
            connection.answer_lease(asked, None)
            return
        answered = partial(self._adopted, connection, asked, place)
        given = LeaseExtended(asked.request_id, place.run_id, place.key, self.settings.lease_ms)
        self._ledger.submit(given).add_done_callback(answered)

    def _adopted(
        self,
        connection: GatewayConnection,
        asked: ExtendLease,
        place: Place,
        answer: "asyncio.Future[Answer]",
    ) -> None:
        done = _done(answer)
        if done is None or not self._keeps(connection, done):
            self.counts["extension_refused"] += 1
            connection.answer_lease(asked, None)
            return
        flight = self.flights.of(asked.request_id)
        if flight is None:
            flight = self.begin(asked.request_id, place)
            flight.claimed = True
            self.counts["adopted"] += 1
            session = self.sessions.of(connection)
            if session is not None:
                flight.give_to(session)
        connection.answer_lease(asked, flight.lease_id)

    def _keeps(self, connection: GatewayConnection, done: Done) -> bool:
        """Whether a worker keeps its lease. An official one does when its run is over: it takes a
        refusal as an order to cut its code off."""
        if done.verdict is not Verdict.GONE:
            return done.verdict is Verdict.APPLIED
        session = self.sessions.of(connection)
        return session is not None and not session.is_ours

    def _extend_adopted(
        self, connection: GatewayConnection, asked: ExtendLease, flight: Flight, lease: str
    ) -> None:
        """The engine's lease of an adopted request is nobody else's to extend, and nobody else
        hears that it ended, because the run was cancelled for instance."""
        place, lease_ms = flight.place, self.settings.lease_ms
        given = LeaseExtended(flight.request_id, place.run_id, place.key, lease_ms)

        def answered(answer: "asyncio.Future[Answer]") -> None:
            done = _done(answer)
            lost = done is not None and not self._keeps(connection, done)
            if lost:
                self.forget(flight)
            self._answer_lease(connection, asked, None if lost else lease)

        self._ledger.submit(given).add_done_callback(answered)

    # --- what connections say: answers -----------------------------------------------------------

    def reply_came(self, connection: GatewayConnection, reply: Reply) -> None:
        """Store an answer, then acknowledge it. An answer nobody can place is acknowledged too."""

        def stored(kept: bool) -> None:
            if kept:
                connection.acknowledge(reply.request_id)

        self.store(reply, stored)

    def store(self, reply: Reply, then: Callable[[bool], None]) -> None:
        """Bring an answer to the ledger. `then` is told whether it is dealt with for good."""
        flight = self.flights.of(reply.request_id)
        place = place_in(reply.system_trace) if flight is None else flight.place
        if place is None:
            log.info("an answer to %s finds no item and is dropped", reply.request_id)
            self.counts["answers_unknown"] += 1
            then(True)
            return

        def submit(outcome: Outcome) -> None:
            given = ReplyReceived(reply.request_id, place.run_id, place.key, outcome)
            self._submit_reply(given, then)

        by_turns(reading_outcome(reply, self._now_ms()), submit)

    def _submit_reply(self, given: ReplyReceived, then: Callable[[bool], None]) -> None:
        def answered(answer: "asyncio.Future[Answer]") -> None:
            error = None if answer.cancelled() else answer.exception()
            if isinstance(error, StoreError):
                loop = asyncio.get_running_loop()
                loop.call_later(STORE_RETRY_S, self._submit_reply, given, then)
                return
            done = _done(answer)
            if done is not None:
                self.counts[f"answers_{done.verdict.value}"] += 1
                self._settle(given.lease_id)
            elif not isinstance(error, LedgerClosed):
                log.error("an answer to %s could not be stored: %s", given.lease_id, error)
            then(done is not None)

        self._ledger.submit(given).add_done_callback(answered)

    def _settle(self, request_id: str) -> None:
        flight = self.flights.remove(request_id)
        if flight is not None:
            flight.end(Ending.STORED)
            self.flights.place_all()

    def checkpoint_came(self, connection: GatewayConnection, steps: Checkpoint) -> None:
        """Store steps of a call that goes on, then say what became of them."""
        flight = self.flights.of(steps.request_id)
        if flight is None:
            connection.answer_checkpoint(steps, CheckpointOutcome.STALE, "this call is not known")
            return
        place = flight.place

        def submit(operations: tuple[Operation, ...] | MalformedOperation) -> None:
            if isinstance(operations, MalformedOperation):
                connection.answer_checkpoint(steps, CheckpointOutcome.REFUSED, str(operations))
                return
            given = StepsCheckpointed(steps.request_id, place.run_id, place.key, operations)
            self._ledger.submit(given).add_done_callback(answered)

        def answered(answer: "asyncio.Future[Answer]") -> None:
            done = _done(answer)
            outcome = CheckpointOutcome.REFUSED if done is None else _OUTCOMES[done.verdict]
            self.counts[f"checkpoints_{outcome.name.lower()}"] += 1
            connection.answer_checkpoint(steps, outcome, "" if done is None else done.reason)

        by_turns(_reading(steps.steps), submit)

    # --- time passes -----------------------------------------------------------------------------

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                self.sweep()
            except Exception:
                log.exception("the gateway's sweep failed; it goes on")

    def sweep(self) -> None:
        """End what nobody answers or takes any more, and notice who fell silent."""
        now_ms, settings = self._now_ms(), self.settings
        for flight in self.flights.unplaced:
            if now_ms - flight.unplaced_ms >= settings.place_ms:
                self._drop(flight, Ending.NOT_TAKEN)
        for flight in self.flights.all():
            grace_ms = 0 if flight.session is None else settings.grace_ms
            if flight.claimed and now_ms > flight.until_ms + grace_ms:
                self._drop(flight, Ending.LOST)
        self._slots.look_at_all()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self.look_at_versions()
            except Exception:
                log.exception("the gateway could not look at versions of apps; it goes on")

    async def look_at_versions(self) -> None:
        """Let an app go back to a version it had before, where only workers of that are left."""
        if self._cluster is not None:
            self._cluster.serve(self.sessions.brought())
        for registration in self._former.returning(self.sessions):
            name = registration.app_name
            try:
                row = await self._admission.register(registration, self.sessions, returns=True)
            except (RegistrationRefused, StoreError, LedgerClosed) as error:
                log.warning("app %s could not go back to what it was: %s", name, error)
                continue
            if row is not None:
                log.info("app %s goes back to a version it had before: nobody has a later", name)
                self._on_app(row)
                self._slots.look(name)

    def _drop(self, flight: Flight, how: Ending) -> None:
        self.counts[how.value] += 1
        self.flights.remove(flight.request_id)
        flight.end(how)
        self.flights.place_all()
        if flight.request is None:
            place = flight.place
            given = LeaseLost(flight.request_id, place.run_id, place.key)
            self._ledger.submit(given).add_done_callback(_done)


_OUTCOMES = {
    Verdict.APPLIED: CheckpointOutcome.SAVED,
    Verdict.ALREADY: CheckpointOutcome.STALE,
    Verdict.FENCED: CheckpointOutcome.STALE,
    Verdict.GONE: CheckpointOutcome.STALE,
    Verdict.REFUSED: CheckpointOutcome.REFUSED,
}


def _reading(steps: bytes) -> Turns[tuple[Operation, ...] | MalformedOperation]:
    try:
        return (yield from decoding_operations(steps))
    except MalformedOperation as malformed:
        return malformed


def _done(answer: "asyncio.Future[Answer]") -> Done | None:
    """What the ledger said; None if it could not say anything."""
    if answer.cancelled() or answer.exception() is not None:
        return None
    done = answer.result()
    return done if isinstance(done, Done) else None


def _ended(session: Session, now_ms: int, reason: str) -> EndedSession:
    return EndedSession(
        session.worker.connection_id,
        session.instance_id,
        tuple(session.apps),
        session.connected_ms,
        now_ms,
        reason,
    )
