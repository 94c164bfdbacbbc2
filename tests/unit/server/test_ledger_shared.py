"""The ledger over a store that other processes use, too: where it is asked, what a conflict costs,
and that what a batch makes is handed out in its own commit."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from stepwell.server import ledger as ledger_module
from stepwell.server.engine.decide import decide
from stepwell.server.engine.draft import Decision
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.action import Wake
from stepwell.server.engine.message.input import Accepted, Input, Work
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.moment import TICKS_PER_MS, Moment
from stepwell.server.engine.name.lease_id import granted_tick
from stepwell.server.engine.rules import Rules
from stepwell.server.engine.state.catalog import AppGone
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.ledger import (
    ATTEMPTS_MAX,
    Claim,
)
from stepwell.server.store.port import Conflict, Stale, StoreError, Unavailable
from tests.bench import (
    APP,
    NOW_MS,
    SEED,
)
from tests.unit.server.ledger_hall import Hall, Watched


@pytest.fixture
async def hall() -> Hall:
    return Hall()


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


@pytest.mark.logs("^EventsReceived was refused: gone$")
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
