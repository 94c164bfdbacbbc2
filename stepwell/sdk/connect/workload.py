"""The requests a worker has claimed: who runs, who waits for a slot, and under which lease.

A request enters when it is acknowledged and leaves when the server has its answer, or when its
function ended without one. Until then its lease is extended, also while it waits for a slot and
while its answer is under way. One id is executed once, however often it is delivered.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from enum import Enum
from typing import Final

import msgspec

from stepwell.wire.connect_word import ExecutorRequest, ExtendLease

CHECKPOINT_TIMEOUT_S: Final = 10.0
REMEMBERED_MAX: Final = 1024
REMEMBERED_BYTES_MAX: Final = 16 * 1024 * 1024


class Stage(Enum):
    """Where a claimed request is."""

    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"


class Work:
    """One claimed request."""

    __slots__ = ("claimed_at", "lease_id", "lost", "pending", "request", "sequence", "stage")

    def __init__(self, request: ExecutorRequest, now: float) -> None:
        self.request = request
        self.lease_id = request.lease_id
        self.claimed_at = now
        self.stage = Stage.QUEUED
        self.lost = False
        self.sequence = 0
        self.pending: set[int] = set()

    def extension(self) -> ExtendLease:
        """The message that asks for more time, with the newest lease."""
        request = self.request
        return ExtendLease(
            request.request_id,
            request.account_id,
            request.env_id,
            request.app_id,
            request.function_slug,
            request.step_id,
            request.system_trace,
            request.user_trace,
            request.run_id,
            self.lease_id,
        )


class PendingCheckpoint(msgspec.Struct, frozen=True):
    """Steps on their way to the server while their call goes on."""

    request_id: str
    sequence: int
    steps: bytes
    deadline: float


class Workload:
    """Claimed requests by id. `concurrency_max` bounds how many run at once; None: no bound."""

    def __init__(self, concurrency_max: int | None) -> None:
        self._concurrency_max = concurrency_max
        self._all: dict[str, Work] = {}
        self._queue: deque[str] = deque()
        self._running = 0
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._answer_bytes = 0
        self._checkpoints: OrderedDict[tuple[str, int], PendingCheckpoint] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._all

    def __iter__(self) -> Iterator[Work]:
        return iter(list(self._all.values()))

    def get(self, request_id: str) -> Work | None:
        """The claimed request of this id."""
        return self._all.get(request_id)

    def ids(self) -> tuple[str, ...]:
        """The ids of everything claimed, oldest first."""
        return tuple(self._all)

    @property
    def unfinished(self) -> int:
        """How many still run or wait for a slot and are still this worker's."""
        return sum(
            1 for work in self._all.values() if work.stage is not Stage.ANSWERED and not work.lost
        )

    def claim(self, request: ExecutorRequest, now: float) -> Work:
        """Take a request that was just acknowledged. The caller checked that it is new."""
        work = Work(request, now)
        self._all[request.request_id] = work
        self._queue.append(request.request_id)
        return work

    def startable(self) -> list[Work]:
        """Requests whose turn it is to run; they count as running from now on."""
        started: list[Work] = []
        limit = self._concurrency_max
        while self._queue and (limit is None or self._running < limit):
            work = self._all.get(self._queue.popleft())
            if work is None or work.stage is not Stage.QUEUED:
                continue
            work.stage = Stage.RUNNING
            self._running += 1
            started.append(work)
        return started

    def answered(self, request_id: str) -> Work | None:
        """The function gave its answer; the lease is kept until that is settled."""
        work = self._all.get(request_id)
        if work is None:
            return None
        self._end_running(work)
        work.stage = Stage.ANSWERED
        return work

    def forget(self, request_id: str) -> Work | None:
        """The request is over: its answer is settled, or there will be none."""
        work = self._all.pop(request_id, None)
        if work is not None:
            self._end_running(work)
            for sequence in work.pending:
                self._checkpoints.pop((request_id, sequence), None)
        return work

    def lose(self, request_id: str) -> Work | None:
        """The lease is refused. What only waited for a slot is given up; what runs may go on.

        Gives the request if it was held until now, else None.
        """
        work = self._all.get(request_id)
        if work is None or work.lost:
            return None
        work.lost = True
        if work.stage is Stage.QUEUED:
            self.forget(request_id)
        return work

    def renew(self, request_id: str, lease_id: str) -> None:
        """Adopt a newer lease; unknown or lost requests stay so."""
        work = self._all.get(request_id)
        if work is not None and not work.lost:
            work.lease_id = lease_id

    def extensions(self, now: float, *, age_min_s: float) -> list[ExtendLease]:
        """The lease extensions due for everything claimed at least `age_min_s` seconds ago."""
        return [
            work.extension()
            for work in self._all.values()
            if not work.lost and now - work.claimed_at >= age_min_s
        ]

    def remember(self, request_id: str, payload: bytes) -> None:
        """Keep a settled answer for a while, in case its request is delivered once more."""
        if len(payload) > REMEMBERED_BYTES_MAX // 8:
            return
        old = self._answers.pop(request_id, None)
        self._answers[request_id] = payload
        self._answer_bytes += len(payload) - len(old or b"")
        while len(self._answers) > REMEMBERED_MAX or self._answer_bytes > REMEMBERED_BYTES_MAX:
            self._answer_bytes -= len(self._answers.popitem(last=False)[1])

    def remembered(self, request_id: str) -> bytes | None:
        """The settled answer of a request delivered again, if it is still remembered."""
        return self._answers.get(request_id)

    def add_checkpoint(self, work: Work, steps: bytes, now: float) -> PendingCheckpoint:
        """Number a checkpoint of a running request and keep it until it is answered."""
        work.sequence += 1
        pending = PendingCheckpoint(
            work.request.request_id, work.sequence, steps, now + CHECKPOINT_TIMEOUT_S
        )
        self._checkpoints[pending.request_id, pending.sequence] = pending
        work.pending.add(pending.sequence)
        return pending

    def end_checkpoint(self, request_id: str, sequence: int) -> bool:
        """A checkpoint was answered; False if nobody waits for it any more."""
        work = self._all.get(request_id)
        if work is not None:
            work.pending.discard(sequence)
        return self._checkpoints.pop((request_id, sequence), None) is not None

    def checkpoints(self) -> list[PendingCheckpoint]:
        """Every checkpoint that waits for its answer, oldest first."""
        return list(self._checkpoints.values())

    def overdue_checkpoints(self, now: float) -> list[PendingCheckpoint]:
        """Checkpoints nobody answered in time; they are given up."""
        late: list[PendingCheckpoint] = []
        while self._checkpoints:
            pending = next(iter(self._checkpoints.values()))
            if pending.deadline > now:
                break
            self.end_checkpoint(pending.request_id, pending.sequence)
            late.append(pending)
        return late

    def deadline(self) -> float | None:
        """When the oldest checkpoint is given up."""
        return next(iter(self._checkpoints.values())).deadline if self._checkpoints else None

    def _end_running(self, work: Work) -> None:
        if work.stage is Stage.RUNNING:
            self._running -= 1
