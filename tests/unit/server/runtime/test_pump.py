"""When a pump takes what a batch has just made, and when that has to wait for its turn."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from stepwell.server.clock import Clock
from stepwell.server.engine.message.input import Answer, Job, Work, WorkAsked
from stepwell.server.ledger import Claim, Ledger
from stepwell.server.runtime.dispatcher import Dispatcher
from stepwell.server.runtime.pump import Pump

NOW_MS = 1_000_000


class Desk:
    """A pump, and whoever it asks."""

    def __init__(self, room: tuple[tuple[str, int], ...] = (("shop", 3),)) -> None:
        self.asked: list[tuple[WorkAsked, asyncio.Future[Answer]]] = []
        self.begun: list[Any] = []
        ledger = SimpleNamespace(submit=self._submit, claims=None)
        dispatcher = SimpleNamespace(capacity=lambda: room, begin=self.begun.append, when_free=None)
        clock = SimpleNamespace(now_ms=lambda: NOW_MS)
        self.pump = Pump(cast(Ledger, ledger), cast(Dispatcher, dispatcher), cast(Clock, clock))
        self.claims = cast(Callable[[], Claim | None], ledger.claims)

    def _submit(self, asked: WorkAsked) -> "asyncio.Future[Answer]":
        self.asked.append((asked, asyncio.get_running_loop().create_future()))
        return self.asked[-1][1]

    async def answer(self, work: Work) -> None:
        """Answer the last question."""
        self.asked[-1][1].set_result(work)
        await asyncio.sleep(0)

    async def begin(self, work: Work) -> None:
        """Start, and answer the first question."""
        self.pump.start()
        await self.answer(work)


async def test_what_is_just_made_is_taken_where_nothing_older_waits() -> None:
    desk = Desk()
    assert desk.claims() is None
    desk.pump.start()
    # Whether something waits is being asked.
    assert desk.claims() is None
    await desk.answer(Work(()))
    claim = desk.claims()
    assert claim is not None
    assert (claim[0].made_only, claim[0].capacity) == (True, (("shop", 3),))
    # It counts on its room until it is answered: nobody else may be given that.
    desk.pump.ask()
    assert (len(desk.asked), desk.claims()) == (1, None)
    job = cast(Job, object())
    claim[1].set_result(Work((job,)))
    await asyncio.sleep(0)
    assert desk.begun == [job]
    assert [asked.made_only for asked, _ in desk.asked] == [False, False]
    desk.pump.stop()


async def test_what_is_older_has_its_turn_first() -> None:
    desk = Desk()
    await desk.begin(Work((), next_due_ms=NOW_MS))
    assert desk.claims() is None
    desk.pump.stop()


async def test_what_is_due_later_is_in_nobodys_way() -> None:
    desk = Desk()
    await desk.begin(Work((), next_due_ms=NOW_MS + 1))
    assert desk.claims() is not None
    desk.pump.stop()


async def test_nothing_is_taken_without_room_or_after_the_end() -> None:
    full = Desk(())
    await full.begin(Work(()))
    assert full.claims() is None
    assert not full.pump.is_asking
    full.pump.stop()
    stopped = Desk()
    await stopped.begin(Work(()))
    stopped.pump.stop()
    assert stopped.claims() is None


async def test_a_claim_that_went_without_leaves_all_to_be_asked_for() -> None:
    desk = Desk()
    await desk.begin(Work(()))
    claim = desk.claims()
    assert claim is not None
    claim[1].set_result(Work(()))
    await asyncio.sleep(0)
    assert (desk.begun, desk.pump.is_asking) == ([], False)
    assert desk.claims() is not None
    desk.pump.stop()
