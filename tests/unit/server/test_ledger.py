"""The ledger: batches only of what waits, answers after the commit, actions after the answers; a
fault, of the store or of ours, refuses only who must be refused."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import pytest

from stepwell.server import ledger as ledger_module
from stepwell.server.engine.decide import decide
from stepwell.server.engine.draft import Decision
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Action
from stepwell.server.engine.message.input import Accepted, Done, Input, Verdict, Work
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.moment import Moment
from stepwell.server.engine.rules import DEFAULT, Rules
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.ledger import (
    BATCH_INPUTS_MAX,
    EngineFault,
    Ledger,
    LedgerClosed,
)
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import Busy, Conflict, StoreError, Unavailable
from tests.bench import (
    APP,
    NOW_MS,
    SEED,
    app_row,
    function,
    progressed,
    returned,
    step_run,
)
from tests.unit.server.ledger_hall import Hall


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
