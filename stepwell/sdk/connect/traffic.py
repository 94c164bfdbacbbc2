"""What outlives a socket: claimed requests, their leases, their answers and their checkpoints.

The protocol object hands it whatever socket may be written; it decides what to write. It holds the
two guarantees that matter most: a request is executed once, and its answer is kept until the server
has it.
"""

from collections import Counter
from collections.abc import Callable

import msgspec

from stepwell.sdk.connect.connection import Connection
from stepwell.sdk.connect.outbox import Kept, Outbox
from stepwell.sdk.connect.output import (
    CancelWork,
    CheckpointSettled,
    Execute,
    Flush,
    Level,
    Notice,
    Output,
    ReplySettled,
)
from stepwell.sdk.connect.workload import PendingCheckpoint, Stage, Work, Workload
from stepwell.wire.connect_decode import FrameError, decode_reply
from stepwell.wire.connect_encode import encode_reply
from stepwell.wire.connect_limit import (
    EXTEND_LEASE_FALLBACK_S,
    EXTENSION_CHECKPOINT,
    GATEWAY_READ_BYTES_MAX,
)
from stepwell.wire.connect_word import (
    Checkpoint,
    CheckpointAck,
    ExecutorRequest,
    ExtendLeaseAck,
    Reply,
    ReplyStatus,
    RequestAck,
)

# An envelope adds a few bytes to a reply; what is larger never fits a frame.
REPLY_BYTES_MAX = GATEWAY_READ_BYTES_MAX - 64
# A checkpoint names its run and its function beside the steps.
CHECKPOINT_BYTES_MAX = GATEWAY_READ_BYTES_MAX - 65_536
# Of answers below this size none can be the reason for "message too big".
TOO_BIG_SUSPECT_BYTES = 1_048_576


class Sockets(msgspec.Struct, frozen=True):
    """The sockets that may be written: the active one, and one that drains but is still open."""

    active: Connection | None = None
    draining: Connection | None = None

    @property
    def any(self) -> Connection | None:
        """Where an answer goes: the active socket if there is one."""
        return self.active or self.draining


class Traffic:
    """Requests, leases, answers and checkpoints of one worker, over all its sockets."""

    def __init__(
        self,
        *,
        apps: frozenset[str],
        concurrency_max: int | None,
        outbox_bytes_max: int,
        outbox_count_max: int,
        emit: Callable[[Output], None],
        counts: Counter[str],
    ) -> None:
        self._apps = apps
        self._emit = emit
        self._counts = counts
        self.work = Workload(concurrency_max)
        self.outbox = Outbox(bytes_max=outbox_bytes_max, count_max=outbox_count_max)
        self._extend_s = EXTEND_LEASE_FALLBACK_S
        self._extend_at: float | None = None
        self._extend_skipped = False

    # --- requests -----------------------------------------------------------------------------

    def request(self, on: Connection, request: ExecutorRequest, now: float) -> None:
        """A request arrived on a socket that may claim it: acknowledge, then execute once."""
        if not request.app_name or request.app_name not in self._apps:
            self._note(
                Level.ERROR,
                f"a request names the app {request.app_name!r}, which this worker does not serve",
                request_id=request.request_id,
            )
            return
        self._emit(on.transmit(_acknowledgement(request)))
        if self._seen_before(on, request, now):
            return
        self._counts["requests"] += 1
        self.work.claim(request, now)
        if self._extend_at is None:
            self._extend_at = now + self._extend_s
        self.start_waiting(checkpointing=EXTENSION_CHECKPOINT in on.extensions)

    def _seen_before(self, on: Connection, request: ExecutorRequest, now: float) -> bool:
        held = self.work.get(request.request_id)
        if held is not None:
            self._counts["duplicates"] += 1
            held.lease_id = request.lease_id
            held.lost = False
            kept = self.outbox.payload(request.request_id)
            if held.stage is Stage.ANSWERED and kept is not None:
                self._send(self.outbox.add(request.request_id, kept), on, now)
            return True
        payload = self.outbox.payload(request.request_id) or self.work.remembered(
            request.request_id
        )
        if payload is None:
            return False
        self._counts["duplicates"] += 1
        self._send(self.outbox.add(request.request_id, payload), on, now)
        return True

    def start_waiting(self, *, checkpointing: bool) -> None:
        """Let as many requests run as there are slots."""
        for work in self.work.startable():
            self._emit(Execute(work.request, checkpointing))

    # --- answers ------------------------------------------------------------------------------

    def reply(self, reply: Reply, sockets: Sockets, now: float) -> None:
        """A function gave its answer: keep it, then send it if a socket is open."""
        self._counts["replies"] += 1
        work = self.work.answered(reply.request_id)
        payload = encode_reply(reply)
        if len(payload) > REPLY_BYTES_MAX:
            limit = f"a gateway reads {REPLY_BYTES_MAX} bytes"
            payload = self._too_large(reply, len(payload), limit)
        if work is not None:
            for sequence in list(work.pending):
                self.work.end_checkpoint(reply.request_id, sequence)
        kept = self.outbox.add(reply.request_id, payload)
        if sockets.any is not None:
            self._send(kept, sockets.any, now)
        self._checkpoint_free(sockets)

    def abandon(self, request_id: str, sockets: Sockets) -> None:
        """A function ended without an answer; its lease runs out and the server tries again."""
        if self.work.forget(request_id) is not None:
            self._counts["abandoned"] += 1
        self._checkpoint_free(sockets)

    def restore(self, request_id: str, payload: bytes) -> None:
        """An answer an earlier process kept: it waits to be flushed."""
        self.outbox.add(request_id, payload)

    def settled(self, request_id: str) -> None:
        """The server has the answer."""
        payload = self.outbox.payload(request_id)
        if payload is not None:
            self.work.remember(request_id, payload)
        work = self.work.get(request_id)
        if work is not None and work.stage is Stage.ANSWERED:
            self.work.forget(request_id)
        if self.outbox.settle(request_id):
            self._emit(ReplySettled(request_id))

    def flushed(self, request_id: str) -> None:
        """The server took a flush."""
        self._counts["flushed"] += 1
        self.outbox.flush_worked()
        self.settled(request_id)

    def flush_failed(self, request_id: str, status: int | None, message: str, now: float) -> None:
        """A flush failed. A server that is away is tried again for ever; a refusal is final."""
        self._counts["flush_failures"] += 1
        refused = status is not None and 400 <= status < 500
        if status in {401, 403, 408, 425, 429} or not refused:
            wait_s = self.outbox.flush_failed(request_id, now)
            words = "an answer could not be flushed; it is kept"
            facts = {"error": message, "status": status, "retry_in_s": wait_s}
            self._note(Level.WARNING, words, request_id=request_id, **facts)
            return
        payload = self.outbox.payload(request_id)
        self.outbox.flush_worked()
        large = None if payload is None or status != 413 else _large(payload)
        if large is not None and payload is not None:
            smaller = self._too_large(large, len(payload), "the server refuses it")
            self.outbox.add(request_id, smaller)
            return
        words = "the server refused an answer for good; it is dropped"
        size = None if payload is None else len(payload)
        facts = {"error": message, "status": status, "bytes": size}
        self._note(Level.ERROR, words, request_id=request_id, **facts)
        self.settled(request_id)

    def _send(self, kept: Kept, on: Connection, now: float) -> None:
        if not kept.http_only:
            self._emit(on.transmit_reply(kept.payload))
            self.outbox.sent(kept, on.id, now)

    def _too_large(self, reply: Reply, size: int, limit: str) -> bytes:
        message = (
            f"the answer of {size} bytes is too large ({limit}); return less, or keep the data"
            " elsewhere and return where it is"
        )
        self._note(Level.ERROR, message, request_id=reply.request_id, run_id=reply.run_id)
        body = msgspec.json.encode(
            {
                "code": "output_too_large",
                "name": "output_too_large",
                "message": message,
                "stack": "",
            }
        )
        replaced = msgspec.structs.replace(
            reply, status=ReplyStatus.ERROR, body=body, no_retry=True, retry_after=None
        )
        return encode_reply(replaced)

    # --- leases -------------------------------------------------------------------------------

    def lease_answered(self, answer: ExtendLeaseAck) -> None:
        """A lease was extended, or refused: then the request is no longer this worker's."""
        if answer.lease_id is not None:
            self._counts["leases_extended"] += 1
            self.work.renew(answer.request_id, answer.lease_id)
            return
        work = self.work.lose(answer.request_id)
        if work is None or work.stage is Stage.ANSWERED:
            return
        self._counts["leases_refused"] += 1
        facts = {"function": work.request.function_slug, "run_id": work.request.run_id}
        words = "the lease of a request was refused; its result may be discarded"
        self._note(Level.WARNING, words, request_id=answer.request_id, **facts)
        if work.stage is Stage.RUNNING:
            self._emit(CancelWork(answer.request_id, "lease lost"))

    def _extend(self, sockets: Sockets, now: float, *, age_min_s: float) -> None:
        for message in self.work.extensions(now, age_min_s=age_min_s):
            if sockets.any is not None:
                self._emit(sockets.any.transmit(message))
        self._extend_at = now + self._extend_s if len(self.work) else None

    def _tend_leases(self, sockets: Sockets, now: float) -> None:
        if self._extend_at is None or self._extend_at > now:
            return
        # On a draining socket a grant may be lost with it, so a first turn is skipped.
        if sockets.active is None and not self._extend_skipped:
            self._extend_skipped = True
            self._extend_at = now + self._extend_s
            return
        self._extend_skipped = False
        self._extend(sockets, now, age_min_s=self._extend_s / 2)

    # --- checkpoints --------------------------------------------------------------------------

    def checkpoint(self, request_id: str, steps: bytes, sockets: Sockets, now: float) -> int | None:
        """Send steps of a running request to be stored; gives their number.

        None if it cannot be done now: the caller reports the steps in its answer instead.
        """
        work = self.work.get(request_id)
        on = _checkpointing(sockets)
        if work is None or work.lost or work.stage is not Stage.RUNNING or on is None:
            return None
        if len(steps) > CHECKPOINT_BYTES_MAX:
            # No frame could carry it, over this socket or the next.
            return None
        pending = self.work.add_checkpoint(work, steps, now)
        self._send_checkpoint(pending, work, on)
        return pending.sequence

    def checkpoint_answered(self, answer: CheckpointAck) -> None:
        """What became of a checkpoint."""
        if self.work.end_checkpoint(answer.request_id, answer.sequence):
            self._emit(
                CheckpointSettled(
                    answer.request_id, answer.sequence, answer.outcome, answer.message
                )
            )

    def _send_checkpoint(self, pending: PendingCheckpoint, work: Work, on: Connection) -> None:
        request = work.request
        message = Checkpoint(
            request.request_id,
            work.lease_id,
            pending.sequence,
            request.run_id,
            request.function_slug,
            pending.steps,
            request.env_id,
        )
        self._emit(on.transmit(message))

    def _checkpoint_free(self, sockets: Sockets) -> None:
        self.start_waiting(checkpointing=_checkpointing(sockets) is not None)

    def _give_up(self, pending: PendingCheckpoint, why: str) -> None:
        if self.work.end_checkpoint(pending.request_id, pending.sequence):
            self._emit(CheckpointSettled(pending.request_id, pending.sequence, None, why))

    # --- sockets come and go, time passes ---------------------------------------------------------

    def socket_ready(self, on: Connection, now: float) -> None:
        """A new socket is active: take its interval, renew every lease, ask again, flush.

        Young leases too: a server that restarted learns only so that their work has begun.
        """
        self._extend_s = on.extend_s
        self._extend_skipped = False
        sockets = Sockets(on)
        self._extend(sockets, now, age_min_s=0.0)
        for pending in self.work.checkpoints():
            work = self.work.get(pending.request_id)
            if work is not None and _checkpointing(sockets) is not None:
                self._send_checkpoint(pending, work, on)
            else:
                self._give_up(pending, "the new gateway stores no steps while a call goes on")
        self.outbox.hurry()

    def socket_lost(self, socket: int, *, too_big: bool) -> None:
        """A socket ended: the answers it carried go another way."""
        limit = TOO_BIG_SUSPECT_BYTES if too_big else None
        moved = self.outbox.lost(socket, too_big_bytes=limit)
        if moved:
            self._counts["replies_unacknowledged"] += len(moved)

    def tend(self, sockets: Sockets, now: float) -> None:
        """Do what is due: late acknowledgements, flushes, leases, checkpoints without an answer."""
        late = self.outbox.overdue(now)
        if late:
            self._counts["replies_unacknowledged"] += len(late)
            words = "answers were not acknowledged in time and are flushed over HTTP"
            self._note(Level.WARNING, words, count=len(late), request_id=late[0])
        if sockets.active is not None:
            for kept in self.outbox.take_sendable():
                self._send(kept, sockets.active, now)
        for kept in self.outbox.take_due(now):
            self._emit(Flush(kept.request_id, kept.payload))
        self._tend_leases(sockets, now)
        for pending in self.work.overdue_checkpoints(now):
            words = "the server did not say in time whether the steps are stored"
            self._emit(CheckpointSettled(pending.request_id, pending.sequence, None, words))

    def deadline(self) -> float | None:
        """When `tend` will next have something to do; None: only after something arrived."""
        times = (self.outbox.deadline(), self._extend_at, self.work.deadline())
        return min((t for t in times if t is not None), default=None)

    def _note(self, level: Level, words: str, **facts: str | float | None) -> None:
        self._emit(Notice(level, words, facts))


def _checkpointing(sockets: Sockets) -> Connection | None:
    on = sockets.active
    return on if on is not None and EXTENSION_CHECKPOINT in on.extensions else None


def _acknowledgement(request: ExecutorRequest) -> RequestAck:
    return RequestAck(
        request.request_id,
        request.account_id,
        request.env_id,
        request.app_id,
        request.function_slug,
        request.step_id,
        request.system_trace,
        request.user_trace,
        request.run_id,
    )


def _large(payload: bytes) -> Reply | None:
    """A kept answer that may be too large for whoever refused it; None if that cannot be why."""
    if len(payload) <= TOO_BIG_SUSPECT_BYTES:
        return None
    try:
        return decode_reply(payload)
    except FrameError:
        return None
