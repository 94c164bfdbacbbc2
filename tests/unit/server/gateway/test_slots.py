"""Just after a restart, when an app's workers are told of depends on what a database says, which
may take its time."""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from stepwell.server.gateway.sessions import Sessions
from stepwell.server.gateway.slots import Slots
from stepwell.server.serving import Server
from stepwell.server.store.port import Unavailable

REUNION_S = 0.02


class Workers(Sessions):
    """Workers of every app that take three requests at once."""

    def capacity(self, app: str) -> int:
        return 3


class Desk:
    """Slots, what they told, and whoever is to answer them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.asked: list[Callable[[bool], None]] = []
        self.slots = Slots(
            Workers(dict),
            lambda: 0,
            on_slots=lambda app, slots: self.told.append((app, slots)),
            had_work=lambda _, told: self.asked.append(told),
            pinned=lambda _: (),
            reunion_s=REUNION_S,
            reunion_window_s=60,
        )


async def test_workers_get_work_once_it_is_known_that_there_was_none() -> None:
    desk = Desk()
    for _ in range(3):
        desk.slots.look("shop")
    assert (desk.told, len(desk.asked)) == ([], 1)
    desk.asked[0](False)
    assert desk.told == [("shop", 3)]
    desk.slots.look("shop")
    assert len(desk.asked) == 1


async def test_workers_report_first_where_there_was_some() -> None:
    desk = Desk()
    desk.slots.look("shop")
    desk.asked[0](True)
    assert desk.told == []
    while not desk.told:
        await asyncio.sleep(REUNION_S)
    assert desk.told == [("shop", 3)]


async def test_an_answer_after_the_end_changes_nothing() -> None:
    desk = Desk()
    desk.slots.look("shop")
    desk.slots.stop()
    desk.asked[0](False)
    assert desk.told == []


@pytest.mark.parametrize(
    ("blocks", "found", "says"),
    [
        *((False, True, True), (False, False, False), (False, None, True)),
        *((True, True, True), (True, False, False), (True, None, True)),
    ],
)
async def test_a_database_on_a_network_is_read_beside_the_loop(
    blocks: bool, found: bool | None, says: bool
) -> None:
    here = threading.current_thread()

    def had_work(_: str) -> bool:
        assert (threading.current_thread() is here) != blocks
        if found is None:
            raise Unavailable("the database is away")
        return found

    reader = SimpleNamespace(blocks=blocks)
    server = cast(Server, SimpleNamespace(node=SimpleNamespace(reader=reader), _had_work=had_work))
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    Server._ask_had_work(server, "shop", answer.set_result)
    assert answer.done() != blocks
    assert await answer is says
