"""Asks for due work, at our own pace: when woken, when the next item falls due, when a slot frees,
and now and then in any case, because a wake may be lost."""

import asyncio
import logging
import secrets

from stepwell.server.clock import Clock
from stepwell.server.engine.message.input import Answer, Job, Work, WorkAsked
from stepwell.server.ledger import Claim, Ledger, LedgerClosed
from stepwell.server.runtime.dispatcher import Dispatcher
from stepwell.server.store.port import StoreError
from stepwell.wire.identifier import ENTROPY_BYTES, ulid_at

ASK_ITEMS_MAX = 256
LEASE_MS = 60_000
POLL_MS = 5_000
REFUSED_DELAY_MS = 1_000

log = logging.getLogger("stepwell.pump")


class Pump:
    """One per node."""

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        clock: Clock,
        poll_ms: int = POLL_MS,
        suspect_before_ms: int = 0,
    ) -> None:
        """`suspect_before_ms` as in `WorkAsked`."""
        self._suspect_before_ms = suspect_before_ms
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._clock = clock
        self._poll_ms = poll_ms
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self._asking = False
        self._again = False
        self._nothing_waits = False
        self._stopped = True
        dispatcher.when_free = self.ask
        ledger.claims = self._claim_made

    def start(self) -> None:
        """Begin to ask."""
        self._stopped = False
        self.ask()

    def stop(self) -> None:
        """Ask no more. What was handed out goes on."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    @property
    def is_asking(self) -> bool:
        """Is an answer on its way?"""
        return self._asking

    @property
    def due_ms(self) -> int | None:
        """When it asks next by itself, in milliseconds since 1970; None if it does not."""
        return None if self._timer is None else self._due_ms

    def wake(self, due_ms: int) -> None:
        """Something falls due then."""
        if self._stopped:
            return
        now_ms = self._clock.now_ms()
        if due_ms <= now_ms:
            self.ask()
        else:
            self._set_timer(due_ms, now_ms)

    def ask(self) -> None:
        """Ask now, once; if an answer is on its way, ask again after it."""
        if self._asking:
            self._again = True
            return
        if self._stopped:
            return
        self._asking = True
        self._again = False
        self._ledger.submit(self._asked(made_only=False)).add_done_callback(self._answered)

    def _asked(self, *, made_only: bool) -> WorkAsked:
        now_ms = self._clock.now_ms()
        return WorkAsked(
            seed=ulid_at(now_ms, secrets.token_bytes(ENTROPY_BYTES))[:22],
            capacity=self._dispatcher.capacity(),
            limit=ASK_ITEMS_MAX,
            lease_ms=LEASE_MS,
            suspect_before_ms=self._suspect_before_ms,
            made_only=made_only,
        )

    def _claim_made(self) -> Claim | None:
        """Take what a batch just made, unless something older may wait: that has its turn first."""
        if self._asking or self._stopped or not self._nothing_waits:
            return None
        asked = self._asked(made_only=True)
        if not asked.capacity:
            return None
        self._asking = True
        self._again = False
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(self._made_given)
        return asked, answer

    def _made_given(self, answer: "asyncio.Future[Answer]") -> None:
        self._asking = False
        if answer.exception() is not None:
            log.error("what was just made was not handed out: %s", answer.exception())
            self.ask()
            return
        self._begin_all(answer.result())
        if self._again:
            self.ask()

    def ask_anew(self) -> None:
        """Ask now, and forget when it was to ask next: for a clock that was moved."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.ask()

    def _answered(self, answer: "asyncio.Future[Answer]") -> None:
        self._asking = False
        if answer.cancelled():
            return
        error = answer.exception()
        now_ms = self._clock.now_ms()
        if error is not None:
            if not isinstance(error, LedgerClosed | StoreError):
                log.error("asking for work failed: %s", error)
            if not self._stopped:
                self._set_timer(now_ms + REFUSED_DELAY_MS, now_ms)
            return
        work = self._begin_all(answer.result())
        if not self._stopped:
            self._ask_again(work, now_ms)

    def _begin_all(self, answer: Answer) -> Work:
        assert isinstance(answer, Work)
        for fault in answer.faults:
            log.error("put off, because the engine could not decide: %s", fault)
        # Once it is stopped, whoever leased them is going: they are free again when it has ended.
        for job in () if self._stopped else answer.jobs:
            self._begin(job)
        return answer

    def _begin(self, job: Job) -> None:
        try:
            self._dispatcher.begin(job)
        except Exception:
            # Its lease runs out, and it is tried again; the others need not wait for that.
            log.exception("a call of run %s did not begin", job.run.id)

    def _ask_again(self, work: Work, now_ms: int) -> None:
        is_more = len(work.jobs) >= ASK_ITEMS_MAX
        due = now_ms + self._poll_ms if work.next_due_ms is None else work.next_due_ms
        self._nothing_waits = not is_more and due > now_ms
        if self._again or is_more:
            self.ask()
        else:
            self._set_timer(min(due, now_ms + self._poll_ms), now_ms)

    def _set_timer(self, due_ms: int, now_ms: int) -> None:
        """Ask then, unless we ask earlier anyhow: a wake that came while the last answer was on
        its way knows of something that answer does not."""
        if self._timer is not None:
            if self._due_ms <= due_ms:
                return
            self._timer.cancel()
        self._due_ms = due_ms
        delay = max(due_ms - now_ms, 0) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self.ask()
