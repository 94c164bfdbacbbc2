"""The only way to durable state: load, decide, write, commit, answer, act.

Inputs that wait together share one transaction; an input that comes alone waits for nobody.
Whoever submitted is answered after the commit, and actions follow the answers.

A batch is a conversation (docs/decisions/024): it asks something of the store, and goes on when it
is told how that went. The decisions run on the event loop, because they are short and the loop is
where submitters are. What does not block is done in place; what does (a disk flush, a network, a
decision that turns out to be long) runs on the ledger's own thread, and while it does the next
batch gathers (docs/decisions/003).
"""

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import random
from typing import NamedTuple, TypeAlias, TypeVar

from stepwell.server.clock import Clock
from stepwell.server.engine.decide import decide, names_told, needs, operations_of, still_true
from stepwell.server.engine.draft import Decision, LongWork
from stepwell.server.engine.message.action import Action, Wake
from stepwell.server.engine.message.input import (
    Answer,
    Input,
    LeaseExtended,
    LeaseLost,
    Work,
    WorkAsked,
)
from stepwell.server.engine.message.need import NOTHING, Need, is_small, merged, without_due
from stepwell.server.engine.moment import PLACES, TICKS_PER_MS, Moment
from stepwell.server.engine.rules import Rules
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.meters import Meters
from stepwell.server.repeated import Repeated
from stepwell.server.store.port import (
    EVERY_NAME,
    Busy,
    CallState,
    Conflict,
    Stale,
    Store,
    StoreError,
    Unavailable,
    WaitsOnLoop,
)

BATCH_INPUTS_MAX = 256
BATCH_STEPS_MAX = 100_000
RECORD_STEPS = 50
"""How much work a batch may be (a step is about half a microsecond, a record takes so many): the
inputs that are left make another, after whatever else the loop has to do."""
LOOP_STEPS_MAX = 60_000
LOOP_OPERATIONS_MAX = 200
"""A decision of more work than this, or about an answer of more operations, is made on the ledger's
thread: others have their turn meanwhile."""
ROWS_SMALL = 50
"""A commit of no more rows is little work for the processor."""
LOOKS_MAX = 32
"""How often one decision may ask for more rows. Each look shows something new, and what many
things need is asked for together; more looks than this are a fault of ours."""

ATTEMPTS_MAX = 8
"""So often a batch is tried that meets others who change the same rows, before its inputs are
decided one by one, each as often."""
PAUSE_S = 0.02
"""After the second such attempt it waits for a moment, longer each time, so that not all who met
meet again."""

LOCK_WAIT_S = 5.0
"""How long another program may hold the database before what waits for it is refused."""
LOCK_RETRY_S = 0.01

log = logging.getLogger("stepwell.ledger")

Perform: TypeAlias = Callable[[Sequence[Action]], None]
_Waiting: TypeAlias = tuple[Input, asyncio.Future[Answer]]
Claim: TypeAlias = tuple[WorkAsked, asyncio.Future[Answer]]
"""For what a batch makes, and nothing else (`WorkAsked.made_only`). It is never refused: where the
batch does not come to it, it is answered with no work."""
_OF_OUR_OWN = (WorkAsked, LeaseExtended, LeaseLost)
"""Their answers promise nothing to anybody."""


class Ask(NamedTuple):
    """Something a batch asks of the store, whether it blocks, and whether it is little work for the
    processor: then the store may wait on the loop, if it can."""

    do: Callable[[], None]
    blocks: bool
    is_small: bool = False


class Pause(NamedTuple):
    """A batch goes on only after so many seconds."""

    seconds: float


Said = TypeVar("Said")
Talk: TypeAlias = Generator[Ask | Pause, None, Said]
"""A conversation with the store. It goes on when what it asked for is done, and what went wrong
with that is raised where it asked."""


class EngineFault(Exception):
    """A decision raised: a fault of ours. The input was refused and changed nothing."""


class LedgerClosed(Exception):
    """The ledger takes no more inputs: the server is stopping."""


class Ledger:
    """Decides inputs in order, in batches, over one store."""

    def __init__(self, store: Store, clock: Clock, rules: Rules, perform: Perform) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._perform = perform
        # Whoever submits may be in the middle of a handler; what follows from it is not.
        self._context = contextvars.copy_context()
        self._waiting: deque[_Waiting] = deque()
        self._busy = False
        self._alone = 0
        self._is_alone = False
        """Whether the batch is decided by itself, because it was refused together with more."""
        self._refusals = Repeated(log)
        self._between: list[Callable[[], None]] = []
        self._locked_since: float | None = None
        self._closed = False
        self._tick = store.newest_place() // PLACES
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stepwell-commit")
        self._on_loop = store.on_loop if isinstance(store, WaitsOnLoop) else _on_a_thread
        self._idle: asyncio.Future[None] | None = None
        self.catalog = store.catalog()
        self.on_catalog: Callable[[Catalog, Catalog], None] = _nobody
        """Told of the catalog before and after another process changed it."""
        self.claims: Callable[[], Claim | None] = _nobody_claims
        """Asked, where to look for work costs round trips, by a batch that made something due: what
        is handed out in its own commit need not be looked for."""
        self._claim: Claim | None = None
        self._known = self.catalog
        self._wanted: list[Need] = []
        self.chance: Callable[[], float] = random
        """Draws from 0 to 1."""
        self.registering = asyncio.Lock()
        """Held by whoever registers an app, which may take several inputs."""
        self.meters = Meters()
        self.commits = 0
        self.rows = 0
        self.inputs = 0

    def between(self, work: Callable[[], None]) -> None:
        """Do something to the store when no batch is under way."""
        if self._busy:
            self._between.append(work)
        else:
            work()

    @property
    def is_busy(self) -> bool:
        """Is something decided or written, or about to be?"""
        return self._busy

    def submit(self, given: Input) -> asyncio.Future[Answer]:
        """Have an input decided. The future resolves after its commit.

        Raises (through the future) `StoreError` when the store refused, `EngineFault` when the
        engine has a fault, and `LedgerClosed` after `close`.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        if self._closed:
            answer.set_exception(LedgerClosed("the server is stopping; send this again later"))
            return answer
        self._waiting.append((given, answer))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._begin, context=self._context)
        return answer

    def state_of(self, lease_id: str) -> CallState | None:
        """What the call of a lease is told, if it was read with the commit that granted it."""
        return self._store.state_of(lease_id)

    async def close(self) -> None:
        """Decide what still waits, then take no more."""
        self._closed = True
        if self._busy:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._thread.shutdown(wait=True)

    # -- one batch ------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._do_between()
        count = min(len(self._waiting), BATCH_INPUTS_MAX)
        self._is_alone = self._alone > 0
        if self._is_alone:
            self._alone -= 1
            count = 1
        self._go_on(self._talk([self._waiting.popleft() for _ in range(count)]))

    def _go_on(self, talk: Talk[None], error: BaseException | None = None) -> None:
        """Do what a batch asks for, until that blocks or the batch is over."""
        while True:
            try:
                ask = next(talk) if error is None else talk.throw(error)
            except StopIteration:
                return
            loop = asyncio.get_running_loop()
            if isinstance(ask, Pause):
                loop.call_later(ask.seconds, self._go_on, talk, context=self._context)
                return
            if ask.blocks:
                if ask.is_small and self._on_loop(ask.do, partial(self._go_on, talk)):
                    return
                answered = partial(self._answered, talk)
                loop.run_in_executor(self._thread, ask.do).add_done_callback(answered)
                return
            error = _failure_of(ask.do)

    def _answered(self, talk: Talk[None], done: "asyncio.Future[None]") -> None:
        self._go_on(talk, done.exception())

    def _talk(self, batch: list[_Waiting]) -> Talk[None]:
        """One batch, from the first look to the answers."""
        attempts = 0
        wanted = NOTHING
        while True:
            attempts += 1
            try:
                view, decisions = yield from self._decide_all(batch, wanted)
                is_stored = yield from self._store_all(batch, view)
            except Exception as error:  # noqa: BLE001 - whatever it is, everybody gets an answer
                yield from self._roll_back()
                if isinstance(error, Busy) and self._waits_for_lock(batch):
                    return
                again = yield from self._may_try_again(error, attempts)
                if not again:
                    self._refused(batch, error)
                    return
                # All of it at once, in the one order, so that nobody waits in a circle.
                wanted = merged([without_due(need) for need in self._wanted])
            else:
                self._committed(batch, view, decisions, is_stored=is_stored)
                return

    def _may_try_again(self, error: Exception, attempts: int) -> Talk[bool]:
        """Whether the same batch may go better the next time, once what it needs for that is
        done."""
        if not isinstance(error, Conflict):
            return False
        if isinstance(error, Stale):
            try:
                yield Ask(self._read_catalog, self._store.is_shared)
            except StoreError:
                return False
            self.on_catalog(self._known, self.catalog)
            return attempts < LOOKS_MAX
        if not self._store.is_shared:
            return attempts < 2  # nobody else is there: once is chance
        if attempts > 1:
            yield Pause(PAUSE_S * attempts * self.chance())
        return attempts < ATTEMPTS_MAX

    def _read_catalog(self) -> None:
        self._known, self.catalog = self.catalog, self._store.catalog()

    def _store_all(self, batch: list[_Waiting], view: View) -> Talk[bool]:
        """Write and commit what there is to write. Whether there was anything."""
        store, changes = self._store, view.changes
        if changes.to_write(is_shared=store.is_shared):
            if store.is_shared:
                is_little = changes.rows <= ROWS_SMALL
                yield Ask(partial(_write_and_commit, store, changes), True, is_little)
            else:
                yield Ask(partial(store.write, changes), False)
                yield Ask(store.commit, store.commit_blocks)
            return True
        # Whoever is told without a commit that something is stored was told so before: it must be
        # there still.
        if store.is_shared or not all(isinstance(given, _OF_OUR_OWN) for given, _ in batch):
            yield Ask(store.confirm, store.is_shared, is_small=True)
        return False

    def _decide_all(
        self, batch: list[_Waiting], more: Need
    ) -> Talk[tuple[View, list[Decision | EngineFault]]]:
        """`more` is what is known to be needed besides."""
        self._wanted = []
        self._take_claim(batch)
        view = View(self.catalog, self._store.waited)
        moments = [self._moment() for _ in batch]
        yield from self._load_for(batch, moments, view, more)
        decisions: list[Decision | EngineFault] = []
        steps = 0
        for (given, _), moment in zip(batch, moments, strict=True):
            decided = yield from self._decide_one(view, given, moment)
            decisions.append(decided)
            if isinstance(decided, Decision):
                steps += decided.steps + RECORD_STEPS * len(decided.records)
            if steps >= BATCH_STEPS_MAX:
                break
        self._waiting.extendleft(reversed(batch[len(decisions) :]))
        del batch[len(decisions) :]
        if self._store.is_shared:
            yield from self._hand_out(batch, view, decisions)
        return view, decisions

    def _hand_out(
        self, batch: list[_Waiting], view: View, decisions: list[Decision | EngineFault]
    ) -> Talk[None]:
        """Let what the batch made be claimed in its own commit."""
        moment = self._moment()
        is_made = any(item.queue for item in view.made_due(moment.ms))
        if self._claim is None and not self._is_alone and is_made:
            self._claim = self.claims()
        if self._claim is not None:
            batch.append(self._claim)
            decisions.append((yield from self._decide_one(view, self._claim[0], moment)))

    def _take_claim(self, batch: list[_Waiting]) -> None:
        """Of a batch that is decided anew: it is made again in the end."""
        if batch and batch[-1] is self._claim:
            batch.pop()

    def _drop_claim(self, batch: list[_Waiting]) -> None:
        self._take_claim(batch)
        if self._claim is not None and not self._claim[1].done():
            self._claim[1].set_result(Work(()))
        self._claim = None

    def _load_for(
        self, batch: list[_Waiting], moments: list[Moment], view: View, more: Need
    ) -> Talk[None]:
        wanted: list[Need] = [more]
        for (given, _), moment in zip(batch, moments, strict=True):
            try:
                wanted.append(needs(given, moment, self.catalog))
                if self._store.waited is EVERY_NAME and (names := names_told(given)):
                    wanted.append(Need(names=names))
            except Exception as error:
                raise _fault(given, error) from error
        need = merged(wanted)
        if not (self._store.is_shared and self._store.assume(need, view)):
            yield from self._load(need, view)

    def _load(self, need: Need, view: View) -> Talk[None]:
        self._wanted.append(need)
        try:
            is_shared = self._store.is_shared
            is_little = is_shared and is_small(need)
            yield Ask(partial(self._store.load, need, view), is_shared, is_little)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"the store has a fault: {error}") from error

    def _decide_one(self, view: View, given: Input, moment: Moment) -> Talk[Decision | EngineFault]:
        try:
            moment = self._after_all_seen(view, moment)
            looked = partial(decide, view, given, moment, self._rules)
            decided = yield from _made(looked, is_long=_is_long(given))
            looks = 1
            while isinstance(decided, Need):
                if looks >= LOOKS_MAX:
                    raise EngineFault(f"{type(given).__name__} asked for rows without end")
                yield from self._load(decided, view)
                moment = self._after_all_seen(view, moment)
                looked = partial(decide, view, given, moment, self._rules)
                decided = yield from _made(looked, is_long=_is_long(given))
                looks += 1
        except StoreError:
            raise
        except Exception as error:
            log.exception("the engine could not decide %s", type(given).__name__)
            return error if isinstance(error, EngineFault) else _fault(given, error)
        try:
            for record in decided.records:
                view.apply(record)
        except Exception as error:
            # The view is half changed: the batch is decided anew, one by one.
            raise _fault(given, error) from error
        return decided

    def _moment(self) -> Moment:
        now_ms = self._clock.now_ms()
        self._tick = max(self._tick + 1, now_ms * TICKS_PER_MS)
        return Moment(now_ms, self._tick)

    def _after_all_seen(self, view: View, moment: Moment) -> Moment:
        """What is decided comes after what was seen, by its tick, though a process with another
        clock wrote it, and after what the batch decided before."""
        if moment.tick > view.newest_tick:
            return moment
        self._tick = max(self._tick, view.newest_tick) + 1
        view.newest_tick = self._tick
        return Moment(moment.ms, self._tick)

    def _committed(
        self,
        batch: list[_Waiting],
        view: View,
        decisions: list[Decision | EngineFault],
        *,
        is_stored: bool,
    ) -> None:
        try:
            self._store.keep(view.changes)
        except Exception:
            # It is committed, and so it is answered; what the store remembers may be behind.
            log.exception("the store lost track of a commit")
        self.catalog = view.catalog
        self.inputs += len(batch)
        if is_stored:
            self._locked_since = None
            if not self._refusals.is_quiet:
                self._refusals.over()
            self.commits += 1
            self.rows += view.changes.rows
            self.meters.committed(len(batch), view.changes, view.known_run)
        actions: list[Action] = []
        for (_, answer), decision in zip(batch, decisions, strict=True):
            if isinstance(decision, EngineFault):
                _refuse(answer, decision)
                continue
            actions += decision.actions
            if not answer.done():
                answer.set_result(still_true(decision.answer, view))
        if self._claim is not None:
            actions = _not_handed_out(actions, self._claim[1])
            self._claim = None
        self._next()
        if actions:
            self._perform(actions)

    def _refused(self, batch: list[_Waiting], error: Exception) -> None:
        """Nothing was said yet: one by one, so that one bad input is alone. A shared store that is
        away is away for everybody, and each look at it may take seconds."""
        is_more = len(batch) > 1
        self._drop_claim(batch)
        is_away = self._store.is_shared and isinstance(error, Unavailable)
        if is_more and not is_away:
            self._waiting.extendleft(reversed(batch))
            self._alone += len(batch)
            self._next()
            return
        if not isinstance(error, StoreError | EngineFault):
            fault = StoreError(f"the store has a fault: {error}")
            fault.__cause__ = error
            error = fault
        for given, answer in batch:
            text = f"{type(given).__name__} was refused: {error}"
            self._refusals.tell(logging.ERROR, str(error), text)
            _refuse(answer, error)
        self._next()

    def _waits_for_lock(self, batch: list[_Waiting]) -> bool:
        """Try again in a moment: the loop goes on meanwhile. False when it was long enough."""
        loop = asyncio.get_running_loop()
        if self._locked_since is None:
            self._locked_since = loop.time()
        if loop.time() - self._locked_since >= LOCK_WAIT_S:
            return False
        self._alone += len(batch) == 1
        self._waiting.extendleft(reversed(batch))
        loop.call_later(LOCK_RETRY_S, self._begin, context=self._context)
        return True

    def _roll_back(self) -> Talk[None]:
        try:
            yield Ask(self._store.rollback, self._store.is_shared)
        except Exception:
            log.exception("the store could not roll back")

    def _do_between(self) -> None:
        between, self._between = self._between, []
        for work in between:
            work()

    def _next(self) -> None:
        self._do_between()
        loop = asyncio.get_running_loop()
        if self._waiting:
            loop.call_soon(self._begin, context=self._context)
            return
        self._busy = False
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)


def _is_long(given: Input) -> bool:
    return len(operations_of(given)) > LOOP_OPERATIONS_MAX


def _made(looked: Callable[..., Decision | Need], *, is_long: bool) -> Talk[Decision | Need]:
    """One look: on the loop, as nearly all are, or beside it. It reads the batch's own view, which
    nobody else knows."""
    if not is_long:
        try:
            return looked(LOOP_STEPS_MAX)
        except LongWork:
            pass
    found: list[Decision | Need] = []
    yield Ask(lambda: found.append(looked()), blocks=True)
    return found[0]


def _on_a_thread(do: Callable[[], None], done: Callable[[BaseException | None], None]) -> bool:
    """A store that does not wait on the loop."""
    return False


def _write_and_commit(store: Store, changes: Changes) -> None:
    store.write(changes)
    store.commit()


def _refuse(answer: asyncio.Future[Answer], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _failure_of(do: Callable[[], None]) -> Exception | None:
    try:
        do()
    except Exception as error:  # noqa: BLE001 - told to whoever asked for it
        return error
    return None


def _not_handed_out(actions: list[Action], claimed: asyncio.Future[Answer]) -> list[Action]:
    """Without those that ask for what a claim was given."""
    if claimed.cancelled() or claimed.exception() is not None:
        return actions
    work = claimed.result()
    assert isinstance(work, Work)
    given = {(job.item.run_id, job.item.key) for job in work.jobs}
    return [one for one in actions if not (isinstance(one, Wake) and one.item in given)]


def _nobody_claims() -> Claim | None:
    """Before a pump exists, nobody takes anything."""


def _nobody(before: Catalog, after: Catalog) -> None:
    """Nobody wants to know."""


def _fault(given: Input, error: Exception) -> EngineFault:
    fault = EngineFault(f"the engine could not decide {type(given).__name__}: {error}")
    fault.__cause__ = error
    return fault
