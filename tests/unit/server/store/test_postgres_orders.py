"""An event and a wait for its name, on two servers at once, in every order in which the verbs of
their batches can come: the event meets the wait, or whoever begins to wait finds the event.

There are few orders, so all of them are gone through; a verb that waits for a lock of the other is
left waiting, as it would be. Law: whichever of them commits second has seen the other.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import LookBack, Meeting, Need
from stepwell.server.engine.row.run import Wait, WaitKind
from stepwell.server.store.port import Conflict
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.testing.contract.store_world import NOW, World, event_number
from tests.postgres import Opener

NAME = "paid"
VERBS = 3
ORDERS = sorted(set(itertools.permutations("E" * VERBS + "W" * VERBS)))
"""Of whom each next verb is: the one with the event, or the one that begins to wait."""


class Side:
    """One server's batch: its verbs, one after the other, on a thread of its own."""

    def __init__(self, *verbs: Callable[[], None]) -> None:
        self._verbs = list(verbs)
        self._goes = threading.Semaphore(0)
        self._left = len(verbs)
        self.done = 0
        self.failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            for verb in self._verbs:
                self._goes.acquire()
                verb()
                self.done += 1
        except BaseException as error:
            self.failed.append(error)

    def go(self) -> None:
        """Begin the next verb."""
        self._goes.release()

    def join(self) -> None:
        """Wait until all of them are done."""
        self._thread.join()

    @property
    def is_over(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()


@pytest.fixture
def worlds(engine_database: str, nobody_else: None) -> Iterator[tuple[World, World]]:
    """Two servers on one database."""
    found = World(Opener(engine_database)), World(Opener(engine_database))
    yield found
    for world in found:
        world.store.rollback()
        world.reader.close()
        world.store.close()


@pytest.mark.parametrize("assumes", [False, True])
def test_an_event_and_a_wait_see_each_other_in_every_order(
    worlds: tuple[World, World], engine_database: str, assumes: bool
) -> None:
    assert len(ORDERS) == 20
    sends, waits = worlds
    with psycopg.connect(engine_database, autocommit=True) as db:
        for number, order in enumerate(ORDERS):
            _play(sends, waits, order, number, db, assumes=assumes)


def _play(
    sends: World,
    waits: World,
    order: tuple[str, ...],
    number: int,
    db: psycopg.Connection,
    *,
    assumes: bool,
) -> None:
    run = waits.begin(2 * number)
    event = event_number(2 * number + 1, NAME)
    wait = Wait(run.id, "w", WaitKind.EVENT, NAME, opened_ms=NOW, until_ms=NOW + 9)
    look = LookBack(NAME, NOW - 1_000, 1_000, run_id=run.id)
    met: list[bool] = []
    seen_back: list[bool] = []
    views = [sends.look(), waits.look()]
    for world in (sends, waits):
        world.store.rollback()

    names = Need(names=frozenset({NAME}))
    assert isinstance(sends.store, PostgresStore)
    sends.store._loader.waited._until_s.clear()

    def load_event() -> None:
        if not (assumes and sends.store.assume(names, views[0])):
            sends.store.load(names, views[0])
        if views[0].is_waited(NAME):
            sends.store.load(Need(meetings=(Meeting(event.id, NAME, event.body),)), views[0])
            met.extend(found.run_id == run.id for found in views[0].meeting(event.id, NAME, ""))
        views[0].apply(fact.EventStored(event))

    def load_wait() -> None:
        wanted = Need(runs=frozenset({run.id}), waits=frozenset({NAME}), look_back=(look,))
        waits.store.load(wanted, views[1])
        seen_back.extend(found.id == event.id for found in views[1].look_back(look))
        views[1].apply(fact.WaitOpened(wait))

    def commit_event() -> None:
        try:
            sends.store.commit()
        except Conflict:
            # What was assumed was not so: the batch begins anew, and looks.
            assert assumes
            sends.store.rollback()
            views[0] = sends.look()
            load_event()
            assert views[0].is_waited(NAME)
            sends.store.write(views[0].changes)
            sends.store.commit()

    sides = {
        "E": Side(load_event, lambda: sends.store.write(views[0].changes), commit_event),
        "W": Side(load_wait, lambda: waits.store.write(views[1].changes), waits.store.commit),
    }
    due = dict.fromkeys(sides, 0)
    for who in order:
        side = sides[who]
        side.go()
        due[who] += 1
        # The next verb begins when this one is done, or waits for a lock of the other side.
        while side.done < due[who] and not side.is_over and not _waits(db):
            time.sleep(0.001)
    for side in sides.values():
        side.join()
        assert side.failed == [], order
    assert any(met) + any(seen_back) == 1, order
    waits.do(fact.WaitClosed(wait))
    for world in (sends, waits):
        world.store.rollback()


def _waits(db: psycopg.Connection) -> bool:
    waiting = b"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return db.execute(waiting).fetchone() is not None
