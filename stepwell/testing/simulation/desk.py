"""A pretend server behind pretend gateways: it wants calls done and remembers what it was told.

The smallest thing that keeps the promises a real server keeps: one lease per call with one step of
memory, the first answer wins, every answer may be acknowledged once it is kept, work nobody
answered goes out again under a new id. It survives whatever happens to gateways. Time and chance
are given.
"""

from random import Random

from stepwell.wire.connect_word import CheckpointOutcome, ExecutorRequest, Reply
from stepwell.wire.identifier import ulid_at

ACCOUNT = "00000000-0000-4000-a000-000000000000"
ENVIRONMENT = "00000000-0000-4000-b000-000000000000"
LEASE_S = 120.0
GRACE_S = 5.0


class Call:
    """One call somebody wants done. Every dispatch of it has a request id of its own."""

    def __init__(self, job: str, app: str, function: str, work_s: float, payload: bytes) -> None:
        self.job = job
        self.app = app
        self.function = function
        self.work_s = work_s
        self.payload = payload
        self.request_id = ""
        self.given_to: tuple[int, int] | None = None
        """(gateway, socket) while it is with a worker or on its way to one."""
        self.claimed = False
        self.lease_id = ""
        self.lease_before = ""
        self.lease_until = 0.0
        self.attempts = 0
        self.answer: Reply | None = None
        self.steps: dict[int, bytes] = {}


class Desk:
    """The calls of one pretend server, durable whatever its gateways do."""

    def __init__(self, chance: Random, *, lease_s: float = LEASE_S) -> None:
        self._chance = chance
        self._lease_s = lease_s
        self.calls: list[Call] = []
        self._by_request: dict[str, Call] = {}
        self.told: dict[str, Reply] = {}
        """The first answer to each request id, wanted or not."""
        self.refused_leases = 0

    def want(self, app: str, function: str, work_s: float = 0.0, *, payload: bytes = b"{}") -> Call:
        """Ask for one call; the work itself will take `work_s` seconds."""
        call = Call(f"job-{len(self.calls)}", app, function, work_s, payload)
        self.calls.append(call)
        return call

    def waiting(self, now: float) -> list[Call]:
        """Calls to be dispatched now. What nobody answered under its lease is dispatched anew."""
        due: list[Call] = []
        for call in self.calls:
            if call.answer is not None:
                continue
            if call.request_id and now > call.lease_until + GRACE_S:
                call.request_id = ""
                call.given_to = None
            if call.given_to is None:
                due.append(call)
        return due

    def dispatch(self, call: Call, to: tuple[int, int], now: float) -> ExecutorRequest:
        """Lease the call and say what to send; an unclaimed dispatch keeps its id and lease."""
        if not call.request_id:
            call.request_id = self._ulid(now)
            call.lease_until = now + self._lease_s
            call.lease_id = self._ulid(call.lease_until)
            call.lease_before = ""
            call.attempts += 1
            self._by_request[call.request_id] = call
        call.given_to = to
        call.claimed = False
        return ExecutorRequest(
            request_id=call.request_id,
            account_id=ACCOUNT,
            env_id=ENVIRONMENT,
            app_id="app-id",
            app_name=call.app,
            function_id="function-id",
            function_slug=call.function,
            step_id="step",
            payload=call.payload,
            system_trace=b"{}",
            user_trace=b"{}",
            run_id="run-" + call.job,
            lease_id=call.lease_id,
            job_id=call.job,
        )

    def taken(self, request_id: str) -> None:
        """A worker claimed the dispatch."""
        call = self._by_request.get(request_id)
        if call is not None and call.request_id == request_id:
            call.claimed = True

    def not_taken(self, request_id: str, by: tuple[int, int]) -> None:
        """The dispatch was not claimed there: it goes elsewhere under the same id."""
        call = self._by_request.get(request_id)
        if call is not None and call.request_id == request_id and call.given_to == by:
            call.given_to = None

    def extend(self, request_id: str, lease_id: str, now: float) -> str | None:
        """The next lease; asking again with the one before gives the same; else None."""
        call = self._by_request.get(request_id)
        if call is None or call.request_id != request_id or call.answer is not None:
            self.refused_leases += 1
            return None
        if lease_id == call.lease_before:
            return call.lease_id
        if lease_id != call.lease_id or now > call.lease_until + GRACE_S:
            self.refused_leases += 1
            return None
        call.lease_before = call.lease_id
        call.lease_until = now + self._lease_s
        call.lease_id = self._ulid(call.lease_until)
        return call.lease_id

    def answered(self, reply: Reply) -> None:
        """Keep an answer; the first one to the newest dispatch is the call's."""
        self.told.setdefault(reply.request_id, reply)
        call = self._by_request.get(reply.request_id)
        if call is not None and call.request_id == reply.request_id and call.answer is None:
            call.answer = reply

    def save(self, request_id: str, sequence: int, steps: bytes) -> CheckpointOutcome:
        """Store steps of a call that goes on."""
        call = self._by_request.get(request_id)
        if call is None or call.request_id != request_id or call.answer is not None:
            return CheckpointOutcome.STALE
        call.steps.setdefault(sequence, steps)
        return CheckpointOutcome.SAVED

    def _ulid(self, at_s: float) -> str:
        return ulid_at(int(at_s * 1000), self._chance.randbytes(10))
