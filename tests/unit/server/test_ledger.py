"""The ledger: batches only of what waits, answers after the commit, actions after the answers; a
fault, of the store or of ours, refuses only who must be refused."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import msgspec
import pytest

from stepwell.server import ledger as ledger_module
from stepwell.server.engine.decide import decide
from stepwell.server.engine.draft import Decision
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Action, Wake
from stepwell.server.engine.message.input import Accepted, Done, Input, Verdict, Work
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.moment import TICKS_PER_MS, Moment
from stepwell.server.engine.name.lease_id import granted_tick
from stepwell.server.engine.rules import DEFAULT, Rules
from stepwell.server.engine.state.catalog import AppGone
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.ledger import (
    ATTEMPTS_MAX,
    BATCH_INPUTS_MAX,
    Claim,
    EngineFault,
    Ledger,
    LedgerClosed,
)
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import Busy, Conflict, Stale, StoreError, Unavailable
from tests.bench import (
    APP,
    NOW_MS,
    SEED,
    Bench,
    app_row,
    function,
    progressed,
    returned,
    step_run,
)


class Clock:
    def now_ms(self) -> int:
        return NOW_MS


class Watched(MemoryStore):
    """A store that tells what is done to it, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.fail: Callable[[str, Changes | None], None] = lambda verb, changes: None
        self.blocks = False

    @property
    def commit_blocks(self) -> bool:  # type: ignore[override]
        return self.blocks

    def load(self, need: Need, view: View) -> None:
        self.fail("load", None)
        super().load(need, view)

    def write(self, changes: Changes) -> None:
        self.told.append("write")
        self.fail("write", changes)
        super().write(changes)

    def commit(self) -> None:
        self.fail("commit", None)
        super().commit()
        self.told.append("commit")

    def rollback(self) -> None:
        super().rollback()
        self.told.append("rollback")

    def keep(self, changes: Changes) -> None:
        super().keep(changes)
        self.told.append("keep")


class Hall:
    """A ledger, its store, and who submits to it."""

    def __init__(self, store: Watched | None = None) -> None:
        self.store = store or Watched()
        self.bench = Bench(store=self.store)
        self.bench.register(function(event="go"))
        self.store.told.clear()
        self.ledger = Ledger(self.store, Clock(), DEFAULT, self.perform)
        self.acted: list[Action] = []

    def perform(self, actions: Sequence[Action]) -> None:
        self.store.told.append("act")
        self.acted += actions

    def go(self) -> given_.EventsReceived:
        return given_.EventsReceived((self.bench.event("go"),), fresh=False)

    def submit(self, given: Input) -> "asyncio.Future[object]":
        answer = self.ledger.submit(given)
        answer.add_done_callback(lambda _: self.store.told.append("answer"))
        return answer  # type: ignore[return-value]


@pytest.fixture
async def hall() -> Hall:
    return Hall()


async def test_a_lone_input_waits_for_nobody(hall: Hall) -> None:
    given = hall.go()
    answer = await hall.submit(given)
    assert answer == Accepted((given.events[0].id,))
    assert (hall.ledger.commits, hall.ledger.inputs) == (1, 1)


async def test_what_waits_together_shares_a_commit(hall: Hall) -> None:
    answers = await asyncio.gather(*(hall.submit(hall.go()) for _ in range(20)))
    assert len({answer.ids[0] for answer in answers}) == 20  # type: ignore[attr-defined]
    assert (hall.ledger.commits, hall.ledger.inputs) == (1, 20)
    assert len(hall.store.disk.runs) == 20


async def test_a_batch_has_an_end(hall: Hall) -> None:
    await asyncio.gather(*(hall.submit(hall.go()) for _ in range(BATCH_INPUTS_MAX + 1)))
    assert hall.ledger.commits == 2


async def test_answers_follow_the_commit_and_actions_the_answers(hall: Hall) -> None:
    order: list[str] = []
    hall.store.told = order
    await hall.submit(hall.go())
    await asyncio.sleep(0)
    assert order.index("commit") < order.index("keep") < order.index("answer")
    # The answer is given before the actions are handed on; whoever awaits it runs a moment later.
    assert order.index("keep") < order.index("act")
    assert hall.acted


async def test_the_answer_is_set_when_the_actions_are_performed(hall: Hall) -> None:
    seen: list[bool] = []
    answer = hall.ledger.submit(hall.go())
    hall.ledger._perform = lambda actions: seen.append(answer.done())  # type: ignore[assignment]
    await answer
    assert seen == [True]


async def test_what_changes_nothing_commits_nothing(hall: Hall) -> None:
    work = await hall.submit(given_.WorkAsked(SEED, ((APP, 5),), 10, 1_000))
    assert isinstance(work, Work)
    assert hall.store.told == ["keep", "answer"]
    assert hall.ledger.commits == 0


async def test_inputs_of_a_batch_see_one_another(hall: Hall) -> None:
    first = hall.go()
    invoked = given_.InvokeAsked(hall.bench.event("inngest/function.invoked"), "shop-new")
    new = function("new", event="other")
    known = function(event="go")
    register = given_.AppRegistered(app_row(checksum="2"), (known, new))
    answers = await asyncio.gather(hall.submit(first), hall.submit(register), hall.submit(invoked))
    assert [getattr(answer, "verdict", None) for answer in answers] == [
        None,
        Verdict.APPLIED,
        Verdict.APPLIED,
    ]
    assert hall.ledger.commits == 1
    assert hall.ledger.catalog.listing("shop-new") is not None


async def test_a_run_claimed_and_cancelled_in_one_commit_is_not_handed_out(hall: Hall) -> None:
    await hall.submit(hall.go())
    run_id = next(iter(hall.store.disk.runs))
    asked = hall.submit(given_.WorkAsked(SEED, ((APP, 5),), 10, 1_000))
    cancelled = hall.submit(given_.CancelAsked(run_id))
    work, done = await asked, await cancelled
    assert isinstance(work, Work)
    assert work.jobs == ()
    assert isinstance(done, Done)
    assert done.verdict is Verdict.APPLIED


async def test_a_conflict_is_tried_again_before_anybody_is_told(hall: Hall) -> None:
    times = 0

    def fail(verb: str, changes: Changes | None) -> None:
        nonlocal times
        if verb == "commit":
            times += 1
            if times == 1:
                raise Conflict("somebody else")

    hall.store.fail = fail
    answers = await asyncio.gather(*(hall.submit(hall.go()) for _ in range(3)))
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert hall.ledger.commits == 1
    assert len(hall.store.disk.runs) == 3


@pytest.mark.parametrize("verb", ["write", "commit"])
@pytest.mark.parametrize("blocks", [False, True])
async def test_a_store_that_refuses_one_refuses_only_that_one(
    hall: Hall, verb: str, blocks: bool
) -> None:
    hall.store.blocks = blocks
    bad = hall.go()
    given = [hall.go(), bad, hall.go()]
    written: list[Changes] = []

    def fail(now: str, changes: Changes | None) -> None:
        if now == "write" and changes is not None:
            written.append(changes)
        if now == verb and any(e.id == bad.events[0].id for e in written[-1].events):
            raise Unavailable("the disk is full")

    hall.store.fail = fail
    answers = await asyncio.gather(*(hall.submit(g) for g in given), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Accepted, Unavailable, Accepted]
    assert bad.events[0].id not in hall.store.disk.events
    hall.store.fail = lambda verb, changes: None
    assert isinstance(await hall.submit(bad), Accepted)


async def test_a_store_that_cannot_load_refuses_everybody_and_recovers(hall: Hall) -> None:
    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "load":
            raise Unavailable("no disk")

    hall.store.fail = fail
    answers = await asyncio.gather(
        *(hall.submit(hall.go()) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, Unavailable) for answer in answers)
    hall.store.fail = lambda verb, changes: None
    assert isinstance(await hall.submit(hall.go()), Accepted)


async def test_an_error_no_store_should_raise_still_answers(hall: Hall) -> None:
    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "write":
            raise TypeError("a fault of the store's")

    hall.store.fail = fail
    with pytest.raises(StoreError, match="a fault of the store's"):
        await asyncio.wait_for(hall.submit(hall.go()), 1)
    hall.store.fail = lambda verb, changes: None
    assert isinstance(await asyncio.wait_for(hall.submit(hall.go()), 1), Accepted)


def faulty(bad: Input, how: Callable[[], object]) -> Callable[..., Decision | Need]:
    def instead(
        view: View, given: Input, now: Moment, rules: Rules, steps_max: int | None = None
    ) -> Decision | Need:
        if given is bad:
            return how()  # type: ignore[return-value]
        return decide(view, given, now, rules, steps_max)

    return instead


def raising() -> object:
    raise ZeroDivisionError("a fault of ours")


def endless() -> object:
    return Need()


def impossible() -> object:
    """A fact about a run nobody has ever heard of: applying it raises."""
    return Decision((fact.WaitOpened(None),), (), Done(Verdict.APPLIED))  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [raising, endless, impossible])
async def test_a_fault_of_ours_parks_only_that_input(
    hall: Hall, how: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = hall.go()
    monkeypatch.setattr(ledger_module, "decide", faulty(bad, how))
    answers = await asyncio.gather(
        *(hall.submit(g) for g in (hall.go(), bad, hall.go())), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Accepted, EngineFault, Accepted]
    assert len(hall.store.disk.runs) == 2
    assert isinstance(await hall.submit(hall.go()), Accepted)


async def test_needs_that_raise_park_only_that_input(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, real = hall.go(), ledger_module.needs

    def needs(given: Input, *rest: object) -> Need:
        if given is bad:
            raise ZeroDivisionError("a fault of ours")
        return real(given, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger_module, "needs", needs)
    answers = await asyncio.gather(
        *(hall.submit(g) for g in (hall.go(), bad, hall.go())), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Accepted, EngineFault, Accepted]


async def test_an_abandoned_answer_harms_nobody(hall: Hall) -> None:
    gone, stays = hall.submit(hall.go()), hall.submit(hall.go())
    gone.cancel()
    assert isinstance(await stays, Accepted)
    assert len(hall.store.disk.runs) == 2


async def test_actions_that_raise_stop_nothing(hall: Hall) -> None:
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, ctx: problems.append(ctx))

    def perform(actions: Sequence[Action]) -> None:
        raise ZeroDivisionError("a listener's fault")

    hall.ledger._perform = perform
    assert isinstance(await hall.submit(hall.go()), Accepted)
    assert isinstance(await asyncio.wait_for(hall.submit(hall.go()), 1), Accepted)


async def test_a_commit_that_blocks_gathers_the_next_batch_meanwhile(hall: Hall) -> None:
    hall.store.blocks = True
    entered, leave = asyncio.Event(), __import__("threading").Event()
    loop = asyncio.get_running_loop()

    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "commit":
            loop.call_soon_threadsafe(entered.set)
            assert leave.wait(5)

    hall.store.fail = fail
    first = hall.submit(hall.go())
    await entered.wait()
    rest = [hall.submit(hall.go()) for _ in range(5)]
    await asyncio.sleep(0)
    assert not first.done()
    leave.set()
    await asyncio.gather(first, *rest)
    assert hall.ledger.commits == 2
    await hall.ledger.close()


class Shared(Watched):
    """A store that other processes use, too: whatever asks its database for something blocks."""

    commit_blocks = True  # type: ignore[assignment]
    is_shared = True

    def __init__(self) -> None:
        super().__init__()
        self.threads: dict[str, set[threading.Thread]] = {}
        self.fail = self.seen

    def seen(self, verb: str, _: Changes | None) -> None:
        self.threads.setdefault(verb, set()).add(threading.current_thread())

    def confirm(self) -> None:
        self.seen("confirm", None)
        self.told.append("confirm")

    def rollback(self) -> None:
        self.seen("rollback", None)
        super().rollback()


async def test_a_shared_store_is_asked_beside_the_loop_and_decided_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Shared()
    shared = Hall(store)
    store.threads.clear()
    here = threading.current_thread()

    def decide_here(
        view: View, given: Input, now: Moment, rules: Rules, steps_max: int | None = None
    ) -> Decision | Need:
        assert threading.current_thread() is here
        return decide(view, given, now, rules, steps_max)

    monkeypatch.setattr(ledger_module, "decide", decide_here)
    answers = await asyncio.gather(*(shared.submit(shared.go()) for _ in range(3)))
    assert len(answers) == 3
    assert shared.ledger.commits == 1
    assert store.threads.keys() == {"load", "write", "commit"}
    assert not any(here in used for used in store.threads.values())


class Waiting(Shared):
    """A shared store that can wait on the loop, unless it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    def on_loop(self, do: Callable[[], None], done: Callable[[BaseException | None], None]) -> bool:
        if self.is_away:
            return False

        def later() -> None:
            try:
                do()
            except StoreError as error:
                done(error)
            else:
                done(None)

        asyncio.get_running_loop().call_soon(later)
        return True


async def test_a_store_that_waits_on_the_loop_is_asked_there_for_little() -> None:
    store = Waiting()
    hall = Hall(store)
    here = threading.current_thread()
    store.threads.clear()
    await hall.submit(hall.go())
    assert store.threads == {verb: {here} for verb in ("load", "write", "commit")}
    # Nobody knows how much is due.
    store.threads.clear()
    await hall.submit(given_.WorkAsked(SEED, ((APP, 10),), 10, 1_000))
    assert store.threads["load"] - {here}
    # It has no connection.
    store.is_away = True
    store.threads.clear()
    await hall.submit(hall.go())
    assert not any(here in used for used in store.threads.values())
    await hall.ledger.close()


@pytest.mark.logs("was refused: it is away")
async def test_what_went_wrong_on_the_loop_is_told_to_who_asked() -> None:
    store = Waiting()
    hall = Hall(store)

    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "commit":
            raise Unavailable("it is away")

    store.fail = fail
    with pytest.raises(Unavailable, match="it is away"):
        await hall.submit(hall.go())
    store.fail = store.seen
    assert isinstance(await hall.submit(hall.go()), Accepted)
    await hall.ledger.close()


async def test_a_shared_store_is_told_that_a_batch_is_over() -> None:
    shared = Hall(Shared())
    await shared.submit(shared.go())
    shared.store.told.clear()
    ask = given_.WorkAsked(SEED, ((APP, 5),), 10, 1_000)
    answer = await shared.submit(ask)
    assert isinstance(answer, Work)
    assert len(answer.jobs) == 1
    # Leases are rows: whoever has the item must be known to others.
    assert shared.store.told[:3] == ["write", "commit", "keep"]
    shared.store.told.clear()
    assert (await shared.submit(ask)).jobs == ()  # type: ignore[attr-defined]
    assert shared.store.told[:2] == ["confirm", "keep"]


async def test_a_conflict_in_a_shared_store_is_tried_again() -> None:
    store = Shared()
    shared = Hall(store)
    left = ["write", "commit"]

    def fail(verb: str, changes: Changes | None) -> None:
        store.seen(verb, changes)
        if verb in left:
            left.remove(verb)
            raise Conflict("somebody else was first") if verb == "write" else Unavailable("gone")

    store.fail = fail
    with pytest.raises(Unavailable, match="gone"):
        await shared.submit(shared.go())
    assert shared.store.told.count("rollback") == 2
    assert await shared.submit(shared.go())


@pytest.mark.logs("refused: nobody answers$", "^over, after 4 more: nobody answers$")
async def test_a_shared_store_that_is_away_is_asked_once_for_everybody() -> None:
    store = Shared()
    shared = Hall(store)
    looks: list[str] = []

    def fail(verb: str, _: Changes | None) -> None:
        looks.append(verb)
        raise Unavailable("nobody answers")

    store.fail = fail
    answers = [shared.submit(shared.go()) for _ in range(5)]
    for answer in answers:
        with pytest.raises(Unavailable, match="nobody answers"):
            await answer
    assert looks == ["load"]
    store.fail = store.seen
    assert await shared.submit(shared.go())


async def test_close_decides_what_waits_and_takes_no_more(hall: Hall) -> None:
    waiting = [hall.submit(hall.go()) for _ in range(3)]
    await hall.ledger.close()
    assert all(isinstance(answer.result(), Accepted) for answer in waiting)
    with pytest.raises(LedgerClosed):
        await hall.ledger.submit(hall.go())
    await hall.ledger.close()


async def test_ticks_grow_even_when_the_clock_stands_still(hall: Hall) -> None:
    await asyncio.gather(*(hall.submit(hall.go()) for _ in range(3)))
    jobs = (await hall.submit(given_.WorkAsked(SEED, ((APP, 5),), 10, 1_000))).jobs  # type: ignore[attr-defined]
    assert len({job.lease.id for job in jobs}) == 3
    replies = [
        given_.ReplyReceived(job.lease.id, job.run.id, job.item.key, returned()) for job in jobs
    ]
    done = await asyncio.gather(*(hall.submit(reply) for reply in replies))
    assert [answer.verdict for answer in done] == [Verdict.APPLIED] * 3  # type: ignore[attr-defined]


async def test_places_go_on_growing_when_the_clock_was_set_back(hall: Hall) -> None:
    """A process that begins an hour before the last one ended saves behind it all the same."""

    async def save(ledger: Ledger, name: str) -> None:
        asked = given_.WorkAsked(SEED, ((APP, 5),), 10, 1_000)
        (job,) = (await ledger.submit(asked)).jobs  # type: ignore[union-attr]
        reply = progressed(step_run(name))
        given = given_.ReplyReceived(job.lease.id, job.run.id, job.item.key, reply)
        done = await ledger.submit(given)
        assert done.verdict is Verdict.APPLIED  # type: ignore[union-attr]

    class Earlier:
        def now_ms(self) -> int:
            return NOW_MS - 3_600_000

    await hall.submit(hall.go())
    await save(hall.ledger, "first")
    await hall.ledger.close()
    store = MemoryStore(hall.store.disk)
    for item in tuple(store.disk.items):
        store.disk.items.put((item.run_id, item.key), msgspec.structs.replace(item, due_ms=0))
    ledger = Ledger(store, Earlier(), DEFAULT, lambda actions: None)
    await save(ledger, "second")
    run_id = next(iter(store.disk.runs))
    assert [step.name for step in store.reader().steps(run_id)] == ["first", "second"]
    await ledger.close()


# -- another program holds the database -----------------------------------------------------------


async def test_what_waits_for_a_lock_is_decided_when_it_is_free(hall: Hall) -> None:
    refusals = 3

    def refuse(verb: str, changes: Changes | None) -> None:
        nonlocal refusals
        if verb == "write" and refusals:
            refusals -= 1
            raise Busy("locked")

    hall.store.fail = refuse
    answers = await asyncio.gather(*(hall.submit(hall.go()) for _ in range(3)))
    assert [type(answer) for answer in answers] == [Accepted] * 3
    assert refusals == 0
    assert hall.ledger.commits == 1


async def test_a_lock_that_stays_refuses_what_writes_and_nothing_else(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "LOCK_WAIT_S", 0.0)

    def refuse(verb: str, changes: Changes | None) -> None:
        if verb == "write":
            raise Busy("locked")

    hall.store.fail = refuse
    asked = given_.WorkAsked(SEED, ((APP, 5),), 10, 1_000)
    answers = await asyncio.gather(
        hall.submit(hall.go()), hall.submit(asked), hall.submit(hall.go()), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Busy, Work, Busy]
    hall.store.fail = lambda verb, changes: None
    assert isinstance(await hall.submit(hall.go()), Accepted)


class Joined(Watched):
    """A store that others use, too: what they wrote may be from a clock that is ahead."""

    is_shared = True  # type: ignore[assignment]
    newest_tick = 0

    def load(self, need: Need, view: View) -> None:
        super().load(need, view)
        view.newest_tick = max(view.newest_tick, self.newest_tick)


async def test_what_is_decided_comes_after_all_that_was_seen() -> None:
    hall = Hall(Joined())
    assert isinstance(hall.store, Joined)
    hall.store.newest_tick = ahead = (NOW_MS + 5_000) * TICKS_PER_MS
    await asyncio.gather(hall.submit(hall.go()), hall.submit(hall.go()))
    asked = given_.WorkAsked(SEED, ((APP, 10),), 10, 1_000)
    work = await hall.submit(asked)
    assert isinstance(work, Work)
    ticks = {granted_tick(job.lease.id) for job in work.jobs}
    assert len(work.jobs) == 2
    assert all(tick is not None and tick > ahead for tick in ticks)
    await hall.ledger.close()


async def test_a_catalog_that_others_changed_is_read_before_the_batch_goes_on() -> None:
    hall = Hall(Joined())
    stale = iter((Stale("others changed it"),))

    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "load" and (error := next(stale, None)) is not None:
            raise error

    hall.store.fail = fail
    known = hall.ledger.catalog
    told: list[object] = []
    hall.ledger.on_catalog = lambda before, after: told.append((before, after))
    hall.ledger.catalog = known.changed([AppGone(APP)])
    answer = await hall.submit(hall.go())
    assert isinstance(answer, Accepted)
    assert APP in hall.ledger.catalog.apps
    assert len(told) == 1
    await hall.ledger.close()


@pytest.mark.parametrize(
    "met",
    [3, pytest.param(100, marks=pytest.mark.logs("^EventsReceived was refused: somebody was fir"))],
)
async def test_who_meets_others_tries_again_a_few_times(met: int) -> None:
    hall = Hall(Joined())
    left = iter(range(met))

    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "write" and next(left, None) is not None:
            raise Conflict("somebody was first")

    hall.store.fail = fail
    answer = hall.submit(hall.go())
    if met < ATTEMPTS_MAX:
        assert isinstance(await answer, Accepted)
        assert hall.store.told.count("write") == met + 1
    else:
        with pytest.raises(Conflict):
            await answer
    await hall.ledger.close()


# -- what a batch makes is handed out in its own commit ---------------------------------------


class Taker:
    """Whoever claims what batches make, as a pump does."""

    def __init__(self, hall: Hall, room: int = 5) -> None:
        self.asked: list[asyncio.Future[object]] = []
        self._room = room
        hall.ledger.claims = self.claim

    def claim(self) -> Claim:
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        capacity = ((APP, self._room),)
        return given_.WorkAsked(SEED, capacity, 10, 1_000, made_only=True), answer  # type: ignore[return-value]

    @property
    def works(self) -> list[Work]:
        return [work for one in self.asked if isinstance(work := one.result(), Work)]

    @property
    def jobs(self) -> int:
        return sum(len(work.jobs) for work in self.works)


def wakes(hall: Hall) -> int:
    return sum(isinstance(action, Wake) for action in hall.acted)


async def test_what_a_batch_makes_is_handed_out_in_its_own_commit() -> None:
    hall = Hall(Joined())
    taker = Taker(hall)
    await asyncio.gather(hall.submit(hall.go()), hall.submit(hall.go()))
    assert (hall.ledger.commits, len(taker.asked), taker.jobs) == (1, 1, 2)
    assert {job.run.id for job in taker.works[0].jobs} == hall.store.disk.runs.keys()
    # Nobody need ask for them.
    assert wakes(hall) == 0
    await hall.ledger.close()


async def test_where_not_all_have_room_they_wait_for_their_turn() -> None:
    hall = Hall(Joined())
    taker = Taker(hall, room=1)
    await asyncio.gather(hall.submit(hall.go()), hall.submit(hall.go()))
    assert (taker.jobs, wakes(hall)) == (0, 2)
    await hall.ledger.close()


async def test_a_store_of_one_process_is_asked_as_ever(hall: Hall) -> None:
    taker = Taker(hall)
    await hall.submit(hall.go())
    assert (taker.asked, wakes(hall)) == ([], 1)


@pytest.mark.parametrize(
    ("met", "refused"),
    [
        (1, 0),
        pytest.param(
            ATTEMPTS_MAX * 3,
            2,
            marks=pytest.mark.logs("^EventsReceived was refused: somebody was fir"),
        ),
    ],
)
async def test_a_claim_shares_the_fate_of_its_batch(met: int, refused: int) -> None:
    hall = Hall(Joined())
    taker = Taker(hall)
    left = iter(range(met))

    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "write" and next(left, None) is not None:
            raise Conflict("somebody was first")

    hall.store.fail = fail
    answers = [hall.submit(hall.go()) for _ in range(2)]
    await asyncio.wait(answers)
    assert sum(answer.exception() is not None for answer in answers) == refused
    await hall.ledger.close()
    # Every claim was answered, and as many calls handed out as runs began.
    assert taker.jobs == len(hall.store.disk.runs) == 2 - refused
    assert all(one.done() for one in taker.asked)


async def test_what_a_batch_left_for_the_next_is_not_claimed_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger_module, "BATCH_STEPS_MAX", 1)
    hall = Hall(Joined())
    taker = Taker(hall)
    await asyncio.gather(*(hall.submit(hall.go()) for _ in range(3)))
    assert (hall.ledger.commits, len(taker.asked), taker.jobs) == (3, 3, 3)
    await hall.ledger.close()


async def test_what_cannot_be_handed_out_refuses_nobody() -> None:
    hall = Hall(Joined())
    taker = Taker(hall)

    def fail(verb: str, changes: Changes | None) -> None:
        if verb == "write" and changes is not None and changes.leases:
            raise StoreError("no lease fits")

    hall.store.fail = fail
    assert isinstance(await hall.submit(hall.go()), Accepted)
    await hall.ledger.close()
    assert (taker.jobs, len(hall.store.disk.runs), wakes(hall)) == (0, 1, 1)
    assert all(one.done() for one in taker.asked)
